"""The API as a billing system reaches it: over real TLS, at the admin hostname and at no other."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from router.edge.visit import Door
from router.tenants.form import TenantForm
from tests.journeys.api import ADMIN, new_token, tokens_of
from tests.journeys.node import DOMAIN
from tests.waiting import until

if TYPE_CHECKING:
    from tests.journeys.node import Answer, Node
    from tests.journeys.upstream import RecordingUpstream

LINE = "/api/v1/tenants/acme/invoice-line"
WISH = b'{"customer": "C-1001", "language": "de"}'


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    """Make a token of Acme's, as ``tenant-router token add`` does; Acme lets customers register."""
    form = TenantForm(allow_registration=True)
    node.operate(node.registry.change("acme", form, actor="test"))
    acme = node.operate(node.registry.get("acme")).tenant
    made = new_token(node, "invoice-line", tenant_id=acme.id)

    def registers() -> bool:
        with node.connect() as client:
            page = client.ask(node.get("/-/register", b"Accept: text/html", signed_in=False))
        return page.status == 200

    asyncio.run(until(registers))  # the worker hears of the change within a second
    return made


def call(token: str, *lines: bytes, host: str = ADMIN, path: str = LINE, body: bytes = WISH) -> bytes:
    """Write a call; its length is said unless a line says how it is framed."""
    fields = [b"Host: " + host.encode(), b"Authorization: Bearer " + token.encode()]
    fields += [b"Content-Type: application/json", *lines]
    if not any(line.lower().startswith((b"transfer-encoding", b"content-length")) for line in lines):
        fields.append(b"Content-Length: %d" % len(body))
    return b"POST %b HTTP/1.1\r\n%b\r\n\r\n%b" % (path.encode(), b"\r\n".join(fields), body)


def problem(answer: Answer) -> dict[str, Any]:
    """Read a problem."""
    assert answer.field("content-type") == "application/problem+json"
    told: dict[str, Any] = json.loads(answer.body)
    return told


def test_a_billing_system_gets_its_line(node: Node, upstream: RecordingUpstream, token: str) -> None:
    """By the platform's own certificate, one call after the other on a connection; no backend hears of it."""
    with node.connect(ADMIN) as client:
        first, second = client.ask(call(token)), client.ask(call(token))
    assert (first.status, first.body) == (200, second.body)
    line = json.loads(first.body)
    assert line["registration_url"].startswith(f"https://{node.host}/-/register?t=")
    assert "Kundenportal von Acme" in line["text"]
    assert upstream.contacts == []


def test_the_link_on_the_invoice_leads_to_a_page(node: Node, upstream: RecordingUpstream, token: str) -> None:
    """Of the tenant's own, without a sign-in; looking at it changes nothing."""
    with node.connect(ADMIN) as client:
        url = json.loads(client.ask(call(token)).body)["registration_url"]
    path = url.removeprefix(f"https://{node.host}")
    with node.connect() as client:
        for _ in range(2):
            assert client.ask(node.get(path, b"Accept: text/html", signed_in=False)).status == 200
    with node.connect(ADMIN) as client:
        assert json.loads(client.ask(call(token)).body)["registration_url"] == url
    assert upstream.contacts == []


def test_at_a_tenants_host_there_is_no_api(node: Node, upstream: RecordingUpstream, token: str) -> None:
    """The path is the tenant's backend's there, behind sign-in, whatever token comes with it (THREATS 80)."""
    with node.connect() as client:
        assert client.ask(call(token, host=node.host)).status == 401
    assert upstream.contacts == []
    with node.connect() as client:
        assert client.ask(call(token, node.cookie.strip(), host=node.host)).body == b"ok"
    assert [request.target for request in upstream.requests] == [LINE.encode()]


@pytest.mark.parametrize("host", ["unknown.example", f"api.{DOMAIN}", DOMAIN, f"admin.acme.{DOMAIN}"])
def test_at_nobodys_host_there_is_no_api(node: Node, token: str, host: str) -> None:
    """The neutral answer that every unknown name gets."""
    with node.connect(ADMIN) as client:
        assert client.ask(call(token, host=host)).status == 404


def test_a_session_opens_nothing_there(node: Node) -> None:
    """Who signed in at a portal is nobody at the admin hostname."""
    with node.connect(ADMIN) as client:
        answer = client.ask(node.get(LINE.replace("invoice-line", ""), b"Accept: text/html", host=ADMIN))
    assert (answer.status, problem(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize(("opened", "host"), [("acme", "admin"), ("admin", "acme"), ("admin", "globex")])
def test_a_connection_serves_whom_it_was_opened_for(node: Node, token: str, opened: str, host: str) -> None:
    """One certificate covers both names, and yet: 421, and the connection ends."""
    with node.connect(f"{opened}.{DOMAIN}") as client:
        answer = client.ask(call(token, host=f"{host}.{DOMAIN}"))
        assert (answer.status, problem(answer)["code"]) == (421, "misdirected")
        client.read_to_end()
        assert client.ended == "closed"


def test_without_tls_a_call_is_refused(node: Node, token: str) -> None:
    """No redirect hides that the token was sent for all to read."""
    with node.connect(door=Door.HTTP) as client:
        answer = client.ask(call(token))
    assert (answer.status, answer.field("location")) == (403, None)
    assert problem(answer)["code"] == "https_needed"


def test_the_edges_own_fields_cannot_be_said(node: Node, token: str) -> None:
    """What a client says in X-Router-… reaches nobody."""
    lines = [b"X-Router-Request-Id: mine", b"x-router-client: 192.0.2.1", b"X_Router_Tenant: tnt_1"]
    with node.connect(ADMIN) as client:
        answer = client.ask(call(token, *lines, body=b"{}"))
    assert answer.status == 422
    assert problem(answer)["request_id"] != "mine"


def test_a_body_that_is_announced_too_large(node: Node, token: str) -> None:
    """Is refused before it comes."""
    with node.connect(ADMIN) as client:
        answer = client.ask(call(token, b"Content-Length: 1000000", body=b"{"))
    assert (answer.status, problem(answer)["code"]) == (413, "body_too_large")


def test_a_body_that_grows_too_large(node: Node, token: str) -> None:
    """Is cut off where it is too much, though no length was said."""
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with node.connect(ADMIN) as client:
        answer = client.ask(call(token, b"Transfer-Encoding: chunked", body=chunk * 5))
    assert (answer.status, problem(answer)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "path", ["/api/v1/tenants/acme%2f..%2fglobex/invoice-line", "/api/../api/v1", "//api"]
)
def test_a_doubtful_path_gets_no_further(node: Node, token: str, path: str) -> None:
    """What two readers could take for two paths is none."""
    with node.connect(ADMIN) as client:
        answer = client.ask(call(token, path=path))
    assert (answer.status, problem(answer)["code"]) == (404, "not_found")


def test_a_revoked_token_opens_nothing(node: Node, token: str) -> None:
    """Over a connection on which another was good a moment ago."""

    async def add_and_revoke() -> str:
        async with tokens_of(node) as tokens:
            secret, made = await tokens.add("Short", ["invoice-line"], days=1, tenant_id=None, actor="test")
            await tokens.revoke(made.id, actor="test")
        return secret

    with node.connect(ADMIN) as client:
        assert client.ask(call(token)).status == 200
        answer = client.ask(call(node.operate(add_and_revoke())))
    assert (answer.status, problem(answer)["code"]) == (401, "invalid_token")
    assert "invalid_token" in str(answer.field("www-authenticate"))
