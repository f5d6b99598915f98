"""Cookies: whose session they open, and which ones an upstream may set."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.identity.sessions import key_of
from tests.waiting import until

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_NAME = "__Host-portal-session"
_PAGE = b"Accept: text/html"

_STRANGERS = {
    "two sessions, ours first": f"Cookie: {_NAME}=@; {_NAME}=other",
    "two sessions, ours last": f"Cookie: {_NAME}=other; {_NAME}=@",
    "two sessions in two lines": f"Cookie: {_NAME}=other\r\nCookie: {_NAME}=@",
    "two of the same": f"Cookie: {_NAME}=@; {_NAME}=@",
    "two, one empty": f"Cookie: {_NAME}=; {_NAME}=@",
    "in another cookie's value": f"Cookie: a={_NAME}=@",
    "behind a comma": f"Cookie: a=b, {_NAME}=@",
    "in quotes": f'Cookie: {_NAME}="@"',
    "in lower case": f"Cookie: {_NAME.lower()}=@",
    "under a longer name": f"Cookie: x{_NAME}=@",
    "under a name without its prefix": "Cookie: portal-session=@",
    "with a letter more": f"Cookie: {_NAME}=@A",
    "with a letter less": f"Cookie: {_NAME}=@-1",
    "percent-encoded": f"Cookie: {_NAME}=%40",
    "empty": f"Cookie: {_NAME}=",
    "without a value": f"Cookie: {_NAME}",
    "a space inside": f"Cookie: {_NAME}=@ @",
    "4 KB": f"Cookie: {_NAME}={'A' * 4096}",
    "20 KB": f"Cookie: {_NAME}={'A' * 20_480}",
    "a path": f"Cookie: {_NAME}=../../etc/passwd",
    "SQL": f"Cookie: {_NAME}=' OR 1=1 --",
    "octets beyond ASCII": f"Cookie: {_NAME}=ä@",
    "only equals signs": "Cookie: ====",
    "only semicolons": "Cookie: ;;;;",
    "in another header": "Cookie2: " + f"{_NAME}=@",
    "with an underscore": "Coo_kie: " + f"{_NAME}=@",
}


@pytest.mark.parametrize("line", list(_STRANGERS.values()), ids=list(_STRANGERS))
def test_a_doubtful_cookie_makes_a_stranger(node: Node, upstream: RecordingUpstream, line: str) -> None:
    """More than one session, or anything but a whole token: sign-in, neither a page nor an error."""
    shown = line.replace("@-1", node.token[:-1]).replace("@", node.token).encode()
    with node.connect() as client:
        assert client.ask(node.get("/", shown, _PAGE, signed_in=False)).status == 303
        assert client.ask(node.get("/", shown, signed_in=False)).status == 401
    assert upstream.contacts == []


@pytest.mark.parametrize("octet", [b"\x00", b"\x01", b"\x7f", b"\n", b"\r"])
def test_a_cookie_with_control_characters_is_refused(
    node: Node, upstream: RecordingUpstream, octet: bytes
) -> None:
    """Control characters in a Cookie make a bad request, as anywhere in a head."""
    with node.connect() as client:
        assert client.ask(node.get("/", b"Cookie: a=b" + octet + b"c")).status == 400
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "line",
    [
        f"Cookie: a=b; {_NAME}=@; c=d",
        f"Cookie:{_NAME}=@",
        f"Cookie: a=b;{_NAME}=@;c=d",
        f"Cookie: a=b\r\nCookie: {_NAME}=@",
        f"cookie: a; =b; ; {_NAME}=@",
    ],
)
def test_the_session_is_found_among_others(node: Node, upstream: RecordingUpstream, line: str) -> None:
    """Other cookies, however odd, do not hide the session."""
    with node.connect() as client:
        assert (
            client.ask(node.get("/", line.replace("@", node.token).encode(), signed_in=False)).status == 200
        )
    assert b"__Host-portal" not in upstream.seen


def test_a_session_of_one_tenant_opens_no_other(node: Node, upstream: RecordingUpstream) -> None:
    """A token of acme's is nothing at globex's, and still good at acme's afterwards."""
    host = "billing.globex.test"
    with node.connect(host) as client:
        assert client.ask(node.get("/", host=host)).status == 401
        assert client.ask(node.get("/", _PAGE, host=host)).status == 303
    assert upstream.contacts == []
    with node.connect() as client:
        assert client.ask(node.get("/")).status == 200


def test_each_tenant_knows_its_own(node: Node, upstream: RecordingUpstream) -> None:
    """The same browser signed in at two tenants is two people."""
    token, _ = node.sign_in("globex", "grace@example.com", "G-1")
    host = "billing.globex.test"
    cookie = f"Cookie: {_NAME}={token}".encode()
    with node.connect(host) as client:
        assert client.ask(node.get("/", cookie, host=host, signed_in=False)).status == 200
    with node.connect() as client:
        assert client.ask(node.get("/", cookie, signed_in=False)).status == 401
    (request,) = upstream.requests
    assert request.value("X-Portal-Tenant") == b"globex"
    assert request.value("X-Portal-Email") == b"grace@example.com"


async def test_a_revoked_session_is_nobodys(node: Node, upstream: RecordingUpstream) -> None:
    """Once revoked, a session that was in use a moment ago opens nothing."""
    token, _ = node.sign_in("acme", "revoked@example.com")
    request = node.get("/", f"Cookie: {_NAME}={token}".encode(), signed_in=False)
    with node.connect() as client:
        assert client.ask(request).status == 200
        await asyncio.to_thread(node.operate, node.sessions.revoke(key_of(token)))
        await until(lambda: client.ask(request).status == 401)


_DROPPED = [
    "__Host-portal-session=evil; Path=/; Secure",
    "__host-portal-session=evil; Path=/; Secure",
    "__HOST-PORTAL-SESSION=evil",
    " \t__Host-portal-session =evil",
    "__Host-portal-csrf=evil; Path=/; Secure",
    "__Host-portal-anything=evil",
    "__Host-portal-session=evil; Max-Age=0",
    "a=evil; Domain=portal.example",
    "a=evil; Domain=.portal.example",
    "a=evil; domain=PORTAL.EXAMPLE",
    "a=evil; Domain = portal.example ",
    "a=evil;Domain=portal.example;Secure",
    "a=evil; Path=/; Domain=example",
    "a=evil; Domain=.example",
    'a=evil; Domain="portal.example"',
    "a=evil; Domain=portal.example.",
    "a=evil; Domain=acme.portal.example; Domain=portal.example",
    "a=evil; Domain=portal.example; Domain=acme.portal.example",
    "=evil",
    "evil; Domain=portal.example",
]

_KEPT = [
    "a=fine",
    "a=fine; Path=/; Secure; HttpOnly; SameSite=Lax",
    "a=fine; Domain=acme.portal.example",
    "a=fine; Domain=other.test",
    "a=fine; Domain=",
    "a=portal.example",
    "portal-session=fine",
    "__Host-app=fine; Path=/; Secure",
    "__Host-portals=fine; Path=/; Secure",
    "a=fine; Comment=Domain=portal.example",
]


def _answering(*lines: str) -> bytes:
    fields = "".join(f"Set-Cookie: {line}\r\n" for line in lines)
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok".encode()


def _answered(upstream: RecordingUpstream, answer: bytes) -> None:
    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.send(answer)

    upstream.begin_anew(script)


@pytest.mark.parametrize("cookie", _DROPPED)
def test_an_upstream_may_not_set_it(node: Node, upstream: RecordingUpstream, cookie: str) -> None:
    """Ours, and those for the platform's domain or above, are taken out; its other cookies stay."""
    _answered(upstream, _answering("first=fine", cookie, "last=fine"))
    with node.connect() as client:
        answer = client.ask(node.get("/"))
    assert answer.fields("set-cookie") == ["first=fine", "last=fine"]
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("cookie", _KEPT)
def test_an_upstream_may_set_it(node: Node, upstream: RecordingUpstream, cookie: str) -> None:
    """A cookie of the backend's own goes on as it stands."""
    _answered(upstream, _answering(cookie))
    with node.connect() as client:
        assert client.ask(node.get("/")).fields("set-cookie") == [cookie]


def test_interim_answers_and_trailers_set_no_cookie_of_ours(node: Node, upstream: RecordingUpstream) -> None:
    """There is no side door: not in a 103, not behind a chunked body."""
    evil = b"Set-Cookie: __Host-portal-session=evil\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\n" + evil + b"\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + evil + b"\r\n"
    _answered(upstream, early + chunked)
    with node.connect() as client:
        client.send(node.get("/", b"Connection: close"))
        came = client.read_to_end()
    assert b"2\r\nok\r\n0\r\n\r\n" in came
    assert b"evil" not in came


def test_the_portal_may_set_our_cookies(node: Node) -> None:
    """The rule is for tenants' upstreams: our own sign-in page does set its cookie."""
    with node.connect() as client:
        answer = client.ask(node.get("/-/sign-in", signed_in=False))
    assert any(cookie.startswith("__Host-portal-csrf=") for cookie in answer.fields("set-cookie"))
