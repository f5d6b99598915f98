"""What is ours, what is public, and what needs a session: told by the path as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

_PAGE = b"Accept: text/html,*/*;q=0.8"

_READ_DIFFERENTLY = [
    "/-/..%2fsecret",
    "/-/../secret",
    "/-/./sign-in",
    "/-/..;/secret",
    "/-/%2e%2e/secret",
    "/-/%2E%2E/secret",
    "/-/.%2e/secret",
    "/-/%252e%252e/secret",
    "/-/%252e%252e%252fsecret",
    "/-/%5c../secret",
    "/-/\\../secret",
    "/-/sign-in/..",
    "/-/sign-in/../../secret",
    "/-/sign-in;/../secret",
    "/-/sign-in;a=b/secret",
    "/-//secret",
    "//-/secret",
    "/-/%00/secret",
    "/-/sign-in%00",
    "/-/%c0%ae%c0%ae/secret",
    "/-/%zz",
    "/-/%",
    "/%2d/sign-in%2f..",
    "/.well-known/../secret",
    "/public/../secret",
    "/public/..",
    "/public/.",
    "/public/./secret",
    "/public/..;/secret",
    "/public/.;/secret",
    "/public;/../secret",
    "/public;x/secret",
    "/public/%2e%2e/secret",
    "/public/%2e%2e%2fsecret",
    "/public%2f..%2fsecret",
    "/public/%252e%252e/secret",
    "/public/..%5csecret",
    "/public/..\\secret",
    "/public\\..\\secret",
    "/public//..//secret",
    "//public/secret",
    "/./public/secret",
    "/x/../public/secret",
    "/public/%00secret",
    "/public/%0a/secret",
    "/public/%7f",
    "/public/%c1%9c../secret",
    "/public/%u002e",
]
"""Paths that begin like ours or a public one, and could be read as another by whoever is behind us."""

_NOT_PUBLIC = [
    "/publicity",
    "/PUBLIC",
    "/Public/a",
    "/publi",
    "/public.html",
    "/a/public",
    "/public;x",
    "/public%2fa",
]


@pytest.mark.parametrize("path", [*_READ_DIFFERENTLY, *_NOT_PUBLIC])
def test_a_doubtful_path_needs_a_session(node: Node, upstream: RecordingUpstream, path: str) -> None:
    """Nobody gets past sign-in by a path that one of two readers takes for ours, or for a public one."""
    with node.connect() as client:
        page = client.ask(node.get(path, _PAGE, signed_in=False))
        assert page.status == 303
        assert str(page.field("location")).startswith("/-/sign-in?return=")
        assert client.ask(node.get(path, signed_in=False)).status == 401
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "path", [*_READ_DIFFERENTLY, *_NOT_PUBLIC, "/%2d/a", "/-", "/-x/a", "/*", "/a?/-/sign-in"]
)
def test_a_doubtful_path_goes_on_byte_for_byte(node: Node, upstream: RecordingUpstream, path: str) -> None:
    """For somebody who signed in it is the backend's business, exactly as it was sent."""
    with node.connect() as client:
        assert client.ask(node.get(path)).status == 200
    assert [request.target for request in upstream.requests] == [path.encode()]


@pytest.mark.parametrize(
    "path",
    [
        "/-/",
        "/-/sign-in",
        "/-/sign-out",
        "/-/signed-out",
        "/-/nothing-of-this-name",
        "/-/static/nothing",
        "/-/sign-in?return=/../x",
        "/-/sign-in?x=%2e%2e%2f",
        "/-/a.b/c..d/...",
        "/-/a%20b",
        "/.well-known/portal-jwks.json",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_our_own_paths_are_never_forwarded(
    node: Node, upstream: RecordingUpstream, method: str, path: str
) -> None:
    """By whatever method, signed in or not: the portal answers, or says that there is nothing."""
    for signed_in in (True, False):
        request = node.get(path, b"Content-Length: 0", signed_in=signed_in).replace(
            b"GET", method.encode(), 1
        )
        with node.connect() as client:
            assert client.ask(request, to_head=method == "HEAD").status in (200, 303, 400, 403, 404, 405)
    assert upstream.contacts == []


def test_the_own_paths_of_another_are_not_ours(node: Node, upstream: RecordingUpstream) -> None:
    """Only the well-known documents that we have are ours; the backend's are its own."""
    with node.connect() as client:
        assert client.ask(node.get("/.well-known/security.txt")).body == b"ok"
        assert client.ask(node.get("/.well-known/portal-jwks.json/x")).body == b"ok"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "path", ["/public", "/public/", "/public/a/b", "/public?x=/../y", "/public/a.b/..c", "/public/a;b"]
)
def test_a_public_path_is_open(node: Node, upstream: RecordingUpstream, path: str) -> None:
    """A public path, and what is below it, is forwarded for everybody."""
    with node.connect() as client:
        assert client.ask(node.get(path, signed_in=False)).status == 200
    assert upstream.requests[0].target == path.encode()


@pytest.mark.parametrize(
    "method",
    ["OPTIONS", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "REPORT", "SEARCH", "PURGE"],
)
def test_no_method_gets_past_sign_in(node: Node, upstream: RecordingUpstream, method: str) -> None:
    """Without a session nothing is forwarded; only who asks for a page by GET or HEAD is led to sign-in."""
    request = node.get("/", _PAGE, signed_in=False).replace(b"GET", method.encode(), 1)
    with node.connect() as client:
        answer = client.ask(request, to_head=method == "HEAD")
    assert answer.status == (303 if method == "HEAD" else 401)
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "lines",
    [
        [b"Accept: */*"],
        [b"Accept: application/json"],
        [_PAGE, b"X-Requested-With: XMLHttpRequest"],
        [_PAGE, b"Sec-Fetch-Mode: cors"],
        [_PAGE, b"Sec-Fetch-Mode: no-cors"],
        [_PAGE, b"Sec-Fetch-Mode: websocket"],
        [_PAGE, b"Connection: Upgrade", b"Upgrade: websocket"],
        [b"User-Agent: kube-probe/1.31"],
        [b"User-Agent: GoogleHC/1.0"],
        [b"User-Agent: ELB-HealthChecker/2.0"],
        [b"X-HTTP-Method-Override: GET", b"X-Original-URL: /public"],
        [b"Authorization: Basic YWRtaW46YWRtaW4="],
    ],
    ids=lambda lines: b" ".join(lines).decode(),
)
def test_a_program_is_told_to_sign_in(node: Node, upstream: RecordingUpstream, lines: list[bytes]) -> None:
    """No program is redirected, and no header of its own lets it in: 401, with a code that it can read."""
    with node.connect() as client:
        answer = client.ask(node.get("/invoices", *lines, signed_in=False))
    assert (answer.status, answer.field("location")) == (401, None)
    assert upstream.contacts == []


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/", "/-/sign-in?return=/"),
        ("/invoices?page=2&x=y", "/-/sign-in?return=/invoices%3Fpage%3D2%26x%3Dy"),
        ("//evil.example/", "/-/sign-in?return=//evil.example/"),
        ("/a%0d%0aSet-Cookie:%20x", "/-/sign-in?return=/a%250d%250aSet-Cookie%3A%2520x"),
    ],
)
def test_sign_in_leads_back(node: Node, target: str, location: str) -> None:
    """The redirect stays here and carries where the person was going, encoded."""
    with node.connect() as client:
        answer = client.ask(node.get(target, _PAGE, b"Host2: x", signed_in=False))
    assert (answer.status, answer.field("location")) == (303, location)
    assert answer.field("cache-control") == "no-store"
