"""The decision at the admin hostname: the console over a connection of its own, and nothing else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from router.edge.decide import CONSOLE, Decision, Refuse, TellHealth, ToConsole, decide, decide_console
from router.edge.visit import Door
from tests.edge.decisions import NOT_FOUND
from tests.edge.heads import ACME, HOST, NOW, Certificate, arrival, visit

ADMIN = b"admin.portal.example"
NAMES = frozenset({ADMIN.decode(), HOST})
MISDIRECTED = Refuse(421, "misdirected", close=True)


def decided(
    *, target: bytes = b"/api/v1/x", door: Door = Door.HTTPS, shown: Certificate | None = None
) -> Decision:
    """The decision on a POST there, by default over a connection that was opened for it."""
    by = arrival(door=door, presented=shown or Certificate(NAMES, CONSOLE))
    return decide_console(visit(b"Content-Length: 2", method=b"POST", target=target, host=ADMIN, by=by))


@pytest.mark.parametrize("target", [b"/", b"/api/v1/tenants/acme/invoice-line", b"/-/sign-in", b"/healthz"])
def test_everything_goes_to_the_console(target: bytes) -> None:
    """Which paths there are is the console's to say; a tenant's own paths mean nothing here."""
    assert decided(target=target) == ToConsole()
    assert decided(target=target, shown=Certificate(NAMES, None)) == ToConsole()


@pytest.mark.parametrize(
    "shown",
    [
        Certificate(NAMES, ACME.id),
        Certificate(frozenset({HOST}), None),
        Certificate(frozenset({HOST}), CONSOLE),
    ],
    ids=["opened for a tenant", "not covered", "not covered by its own"],
)
def test_a_tenants_connection_is_misdirected(shown: Certificate) -> None:
    """Neither a tenant's connection nor a certificate without the name leads to the console."""
    assert decided(shown=shown) == MISDIRECTED


def test_the_consoles_connection_is_no_tenants() -> None:
    """And the other way round: opened for the console, it serves no portal, though the certificate would."""
    by = arrival(presented=Certificate(NAMES, CONSOLE))
    assert decide(visit(by=by), ACME, None, NOW) == MISDIRECTED


@pytest.mark.parametrize("target", [b"/api/v1/x", b"/", b"/healthz"])
def test_plain_text_is_refused(target: bytes) -> None:
    """No redirect makes a program's mistake, a token sent for all to read, look as if it worked."""
    assert decided(target=target, door=Door.HTTP) == Refuse(403, "https_needed", close=True)


def test_the_health_port_is_for_health() -> None:
    """By this name too."""
    assert decided(door=Door.HEALTH) == NOT_FOUND
    asked = visit(target=b"/healthz", host=ADMIN, by=arrival(door=Door.HEALTH))
    assert decide_console(asked) == TellHealth(readiness=False)


@pytest.mark.parametrize(
    "target", [b"/api/../x", b"/api/v1/tenants/a%2fb", b"//api", b"/api;/x", b"/api/%2e%2e/x", b"/api\\x"]
)
def test_a_doubtful_path_is_none(target: bytes) -> None:
    """What could be read as another path gets no further."""
    assert decided(target=target) == NOT_FOUND


@pytest.mark.parametrize(
    ("client", "answered"),
    [
        ("10.1.2.3", True),
        ("2001:db8:7::9", True),
        ("203.0.113.7", False),
        ("2001:db8:8::9", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("door", [Door.HTTPS, Door.HTTP])
def test_from_other_networks_it_is_nobodys_hostname(client: str, answered: bool, door: Door) -> None:  # noqa: FBT001 - a parameter of the test
    """The neutral 404 of any unknown name, over plain text too; who is let in sees no change."""
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8:7::/48"))
    by = arrival(door=door, peer=client, presented=Certificate(NAMES, CONSOLE))
    asked = visit(host=ADMIN, by=by)
    assert decide_console(asked, networks) == (decide_console(asked) if answered else NOT_FOUND)
