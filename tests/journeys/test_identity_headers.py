"""Who is asking, as the upstream is told: what the router says, and nothing of what a client says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from joserfc import jwk, jwt

from router.errors import BadInput

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

_CLAIMS_TO_BE_OURS = (
    "X-Portal-Tenant",
    "X-Portal-User",
    "X-Portal-Email",
    "X-Portal-Customer",
    "X-Portal-Jwt-Assertion",
    "X-Portal-Anything",
    "X-Router-Tenant",
    "X-Router-Host",
    "X-Router-Client",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X-Request-Id",
    "Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "True-Client-IP",
    "X-Client-IP",
    "Proxy",
)

_SPELLINGS = {
    "exact": "{0}: evil",
    "lower": "{lower}: evil",
    "upper": "{upper}: evil",
    "mixed": "{mixed}: evil",
    "underscores": "{under}: evil",
    "one underscore": "{one}: evil",
    "twice": "{0}: evil\r\n{0}: evil",
    "in two spellings": "{0}: evil\r\n{under}: evil",
    "without a space": "{0}:evil",
    "blanks around": "{0}: \t evil \t",
}


def _spelled(name: str, spelling: str) -> bytes:
    mixed = "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(name))
    under = name.replace("-", "_")
    one = name.replace("-", "_", 1) if "-" in name else f"{name}_"
    template = _SPELLINGS[spelling]
    return template.format(
        name, lower=name.lower(), upper=name.upper(), mixed=mixed, under=under, one=one
    ).encode()


@pytest.mark.parametrize("path", ["/", "/public/a"])
@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_a_client_cannot_say_who_it_is(
    node: Node, upstream: RecordingUpstream, spelling: str, path: str
) -> None:
    """None of the names that could be taken for our word gets through, in any spelling, on any path."""
    with node.connect() as client:
        for name in _CLAIMS_TO_BE_OURS:
            if "underscore" in spelling and name in ("Forwarded", "Proxy"):
                continue  # no hyphen to confuse
            answer = client.ask(node.get(path, _spelled(name, spelling)))
            assert answer.status == 200
    assert b"evil" not in upstream.seen
    for request in upstream.requests:
        emails = [b"ada@example.com"] if path == "/" else []
        assert request.values("X-Portal-Email") == emails
        assert request.value("X-Forwarded-For") == b"127.0.0.1"


def test_a_folded_identity_is_refused(node: Node, upstream: RecordingUpstream) -> None:
    """A name or value continued on another line is no request."""
    for line in (
        b"X-Portal-Email:\r\n evil",
        b"A: b\r\n\tX-Portal-Email: evil",
        b"X-Portal-\r\n Email: evil",
    ):
        with node.connect() as client:
            assert client.ask(node.get("/", line)).status == 400
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "named",
    [
        "X-Portal-Email",
        "close, X-Portal-Email, X-Portal-User, X-Portal-Tenant",
        "X-Portal-Jwt-Assertion",
        "X-Forwarded-For, X-Forwarded-Host, X-Request-Id",
        "x-portal-customer\r\nConnection: X-Portal-User",
    ],
)
def test_connection_cannot_name_our_headers_away(node: Node, upstream: RecordingUpstream, named: str) -> None:
    """What we add is added after the client's hop-by-hop fields are gone, so it always arrives."""
    with node.connect() as client:
        assert client.ask(node.get("/", f"Connection: {named}".encode())).status == 200
    (request,) = upstream.requests
    assert request.value("X-Portal-Tenant") == b"acme"
    assert request.value("X-Portal-Email") == b"ada@example.com"
    assert request.value("X-Portal-Customer") == b"C-1001"
    assert request.value("X-Portal-Jwt-Assertion").startswith(b"ey")
    assert request.value("X-Forwarded-For") == b"127.0.0.1"
    assert request.value("X-Forwarded-Host") == b"acme.portal.example"
    assert request.values("Connection") == []


def test_connection_naming_the_cookie_makes_a_stranger(node: Node, upstream: RecordingUpstream) -> None:
    """A client that calls its Cookie hop-by-hop has shown none."""
    with node.connect() as client:
        assert client.ask(node.get("/", b"Connection: Cookie")).status == 401
    assert upstream.contacts == []


@pytest.mark.parametrize("named", ["Host", "Content-Length", "Transfer-Encoding", "Expect", "Host, Cookie2"])
def test_connection_naming_what_frames_a_request_changes_nothing(
    node: Node, upstream: RecordingUpstream, named: str
) -> None:
    """Host and framing are ours to write, whatever Connection names."""
    head = f"POST / HTTP/1.1\r\nHost: acme.portal.example\r\nConnection: {named}\r\nContent-Length: 5\r\n"
    with node.connect() as client:
        assert client.ask(head.encode() + node.cookie + b"\r\nhello").status == 200
    (request,) = upstream.requests
    assert (request.value("Host"), request.body) == (b"acme.portal.example", b"hello")


@pytest.mark.parametrize(
    "value", ["6.6.6.6", "6.6.6.6, 127.0.0.1", "unknown", "::1", "x" * 300, "6.6.6.6:80", ""]
)
def test_a_strangers_forwarded_for_counts_for_nothing(
    node: Node, upstream: RecordingUpstream, value: str
) -> None:
    """Only a trusted load balancer may say whom it speaks for."""
    with node.connect() as client:
        client.ask(node.get("/", f"X-Forwarded-For: {value}".encode(), b"Forwarded: for=6.6.6.6"))
    (request,) = upstream.requests
    assert request.value("X-Forwarded-For") == b"127.0.0.1"
    assert request.value("X-Forwarded-Proto") == b"https"
    assert request.value("X-Forwarded-Port") == b"443"


def test_each_visit_has_an_id_of_its_own(node: Node, upstream: RecordingUpstream) -> None:
    """X-Request-Id is ours, and no two visits share one."""
    with node.connect() as client:
        for _ in range(3):
            client.ask(node.get("/", b"X-Request-Id: 1"))
    with node.connect() as client:
        client.ask(node.get("/"))
    ids = [request.value("X-Request-Id") for request in upstream.requests]
    assert len({*ids, b"1"}) == 5


def test_the_session_cookie_stays_here_and_authorization_goes_on(
    node: Node, upstream: RecordingUpstream
) -> None:
    """Our own cookies are taken out, wherever they stand; what is meant for the backend goes on."""
    cookie = f"Cookie: a=b; __Host-portal-session={node.token}; __Host-portal-csrf=x; c=d".encode()
    with node.connect() as client:
        request = node.get("/", cookie, b"Authorization: Bearer abc", b"Cookie: e=f", signed_in=False)
        assert client.ask(request).status == 200
    (request_seen,) = upstream.requests
    assert request_seen.value("Cookie") == b"a=b; c=d; e=f"
    assert request_seen.value("Authorization") == b"Bearer abc"
    assert b"__Host-portal" not in upstream.seen
    assert node.token.encode() not in upstream.seen


def test_our_cookies_alone_leave_no_cookie(node: Node, upstream: RecordingUpstream) -> None:
    """Where nothing is left of a Cookie, there is none."""
    with node.connect() as client:
        client.ask(node.get("/"))
        client.ask(node.get("/public"))
    assert [request.values("Cookie") for request in upstream.requests] == [[], []]


def test_a_public_path_knows_nobody(node: Node, upstream: RecordingUpstream) -> None:
    """On a public path nothing says who is asking, not even of somebody who signed in."""
    with node.connect() as client:
        client.ask(node.get("/public/a"))
    assert b"x-portal-" not in upstream.seen.lower()
    assert upstream.requests[0].value("X-Forwarded-For") == b"127.0.0.1"


def test_an_odd_customer_reference_arrives_in_one_piece(node: Node, upstream: RecordingUpstream) -> None:
    """Whatever printable ASCII a reference holds, it is one field value; a per cent sign is encoded."""
    token, _ = node.sign_in("acme", "odd@example.com", 'C "1"; x=y, \\z: 100%')
    cookie = f"Cookie: __Host-portal-session={token}".encode()
    with node.connect() as client:
        assert client.ask(node.get("/", cookie, signed_in=False)).status == 200
    assert upstream.requests[0].value("X-Portal-Customer") == b'C "1"; x=y, \\z: 100%25'


@pytest.mark.parametrize("customer", ["C\r\nX-Portal-Email: evil", "C\nX", "C\x00", "Zoë", ""])
def test_a_customer_reference_that_no_header_can_hold_is_refused(node: Node, customer: str) -> None:
    """Line ends, control characters and other alphabets never get as far as a session."""
    with pytest.raises(BadInput):
        node.sign_in("acme", "line@example.com", customer)


def test_the_assertion_says_the_same_and_can_be_verified(node: Node, upstream: RecordingUpstream) -> None:
    """The assertion is signed by a published key, for this upstream, host and person, for about a minute."""
    with node.connect() as client:
        client.ask(node.get("/"))
        published = client.ask(node.get("/.well-known/portal-jwks.json", signed_in=False))
    (request,) = upstream.requests
    keys = jwk.KeySet.import_key_set(json.loads(published.body))
    token = jwt.decode(request.value("X-Portal-Jwt-Assertion").decode(), keys, algorithms=["ES256"])
    claims = token.claims
    assert claims["iss"] == "https://portal.example"
    assert claims["aud"] == upstream.url
    assert claims["sub"].encode() == request.value("X-Portal-User")
    assert (claims["email"], claims["tenant"], claims["customer"]) == ("ada@example.com", "acme", "C-1001")
    assert claims["host"] == "acme.portal.example"
    now = time.time()
    assert claims["nbf"] <= now < claims["exp"] <= now + 120


@pytest.mark.parametrize("value", ["globex", "billing.globex.test"])
@pytest.mark.parametrize("name", ["X-Router-Tenant", "X-Router-Host", "X-Router-Client"])
def test_the_portal_believes_the_edge_only(node: Node, name: str, value: str) -> None:
    """What tells the portal whose page to show cannot be said by a client."""
    with node.connect() as client:
        answer = client.ask(node.get("/-/sign-in", f"{name}: {value}".encode(), signed_in=False))
    assert answer.status == 200
    assert b"Acme" in answer.body
    assert b"Globex" not in answer.body
