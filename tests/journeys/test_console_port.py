"""The console on a port of its own: what each port answers to each name, over real TLS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from tests.journeys.node import DOMAIN, running_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

ADMIN = f"admin.{DOMAIN}"
NOBODY = f"nobody.{DOMAIN}"
PORT = 9443
"""As operators see it; the test's own sockets are anywhere."""

HTML = b"Accept: text/html"


@pytest.fixture(scope="module")
def apart(_listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a worker whose console has a port of its own, for one listed network."""
    folder = tmp_path_factory.mktemp("apart")
    listed = {"admin_port": PORT, "admin_networks": "127.0.0.1"}
    with running_node(folder, _listening_upstream.url, **listed) as running:
        yield running


def _asked(
    node: Node,
    door: Door,
    host: str,
    path: str = "/sign-in",
    *,
    accept: bytes = HTML,
    source: str = "127.0.0.1",
) -> tuple[int, bytes]:
    """Ask by a connection that was opened for ``host``: the status, and all of the answer but its date."""
    with node.connect(host, door=door, source=source) as client:
        answer = client.ask(node.get(path, accept, host=host))
    return answer.status, re.sub(rb"\r\nDate: [^\r]*", b"", answer.head) + answer.body


def test_the_console_answers_at_its_port(apart: Node) -> None:
    """Pages and the API, by the admin hostname; a form from the address with that port is its own."""
    assert _asked(apart, Door.ADMIN, ADMIN)[0] == 200
    assert _asked(apart, Door.ADMIN, ADMIN, "/api/v1/tenants", accept=b"Accept: */*")[0] == 401
    form = (
        f"POST /sign-in HTTP/1.1\r\nHost: {ADMIN}\r\nAccept: text/html\r\nContent-Length: 0\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nOrigin: https://"
    )
    told = {}
    for origin in (f"{ADMIN}:{PORT}", f"{ADMIN}:1", "elsewhere.example"):
        with apart.connect(ADMIN, door=Door.ADMIN) as client:
            told[origin] = client.ask(f"{form}{origin}\r\n\r\n".encode()).body
    foreign = [origin for origin, body in told.items() if b"from another site" in body]
    assert foreign == [f"{ADMIN}:1", "elsewhere.example"]
    assert b"stale_form" in told[f"{ADMIN}:{PORT}"]  # only that it bears no token of the page's


@pytest.mark.parametrize("accept", [HTML, b"Accept: */*"], ids=["person", "program"])
@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/tenants", "/healthz", "/readyz"])
def test_at_the_portals_port_it_is_an_unknown_host(apart: Node, path: str, accept: bytes) -> None:
    """Octet by octet, and on a connection that was opened by its name a portal is no more misdirected."""
    nobody = _asked(apart, Door.HTTPS, NOBODY, path, accept=accept)
    assert _asked(apart, Door.HTTPS, ADMIN, path, accept=accept) == nobody
    for name in (ADMIN, NOBODY):
        with apart.connect(name) as client:
            assert client.ask(apart.get("/public", host=apart.host)).status == 200


@pytest.mark.parametrize("accept", [HTML, b"Accept: */*"], ids=["person", "program"])
@pytest.mark.parametrize("host", [f"acme.{DOMAIN}", "billing.globex.test"])
@pytest.mark.parametrize("path", ["/", "/public", "/-/sign-in"])
def test_at_the_consoles_port_everybody_else_is(
    apart: Node, upstream: RecordingUpstream, path: str, host: str, accept: bytes
) -> None:
    """No portal is reached there, be its visitor signed in or its path public."""
    assert _asked(apart, Door.ADMIN, host, path, accept=accept) == _asked(
        apart, Door.HTTPS, NOBODY, path, accept=accept
    )
    assert upstream.contacts == []


def test_plain_http_leads_listed_networks_there(apart: Node) -> None:
    """A person is sent on to the address with the port; for others the name is nobody's."""
    status, answer = _asked(apart, Door.HTTP, ADMIN, "/tenants?q=a")
    assert status == 308
    assert f"\r\nLocation: https://{ADMIN}:{PORT}/tenants?q=a\r\n".encode() in answer
    assert _asked(apart, Door.HTTP, ADMIN, "/api/v1/tenants")[0] == 403
    stranger = _asked(apart, Door.HTTP, ADMIN, source="127.0.0.9")
    assert stranger == _asked(apart, Door.HTTP, NOBODY, source="127.0.0.9")
    assert _asked(apart, Door.ADMIN, ADMIN, source="127.0.0.9") == stranger
