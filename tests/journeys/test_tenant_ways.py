"""How one portal differs from another: maintenance, answer fields, origins, where its visits go."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm
from tests.journeys.node import running_node
from tests.journeys.portals import add_portal, answering, request
from tests.journeys.upstream import RecordingUpstream
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.node import Answer, Node
    from tests.journeys.upstream import Conversation

_PAGE = b"Accept: text/html"


def _ask(node: Node, host: str, *lines: bytes, target: bytes = b"/", method: bytes = b"GET") -> Answer:
    with node.connect(host) as client:
        return client.ask(request(host, *lines, target=target, method=method), to_head=method == b"HEAD")


def _change(node: Node, host: str, form: TenantForm) -> None:
    node.operate(node.registry.change(host.partition(".")[0], form, actor="test"))


# -- maintenance ----------------------------------------------------------------------------------------


def test_a_portal_in_maintenance_says_so(node: Node, upstream: RecordingUpstream) -> None:
    """A person reads so in the portal's look, a program gets the code, both a time to come back."""
    host = add_portal(node, [upstream.url], maintenance=True)
    page, problem = _ask(node, host, _PAGE), _ask(node, host)
    assert (page.status, problem.status) == (503, 503)
    assert host.partition(".")[0].title().encode() in page.body
    assert b"#0b6e4f" in page.body
    assert json.loads(problem.body)["code"] == "maintenance"
    for answer in (page, problem):
        assert (answer.field("retry-after"), answer.field("cache-control")) == ("5", "no-store")
    assert _ask(node, host, _PAGE, target=b"/-/sign-in").status == 503
    assert upstream.contacts == []


def test_maintenance_is_for_people(node: Node, upstream: RecordingUpstream) -> None:
    """The keys of the assertions are there all the same, and the node's health is nobody's maintenance."""
    host = add_portal(node, [upstream.url], maintenance=True)
    keys = _ask(node, host, target=b"/.well-known/portal-jwks.json")
    assert (keys.status, bool(json.loads(keys.body)["keys"])) == (200, True)
    assert _ask(node, host, target=b"/.well-known/portal-jwks.json/..").status == 503
    with node.connect(door=Door.HEALTH) as prober:
        assert prober.ask(request(host, target=b"/readyz")).status == 200


def test_maintenance_begins_and_ends_while_the_router_runs(node: Node, upstream: RecordingUpstream) -> None:
    """An operator's word counts within moments, in both directions, and for that portal alone."""
    host, other = add_portal(node, [upstream.url]), add_portal(node, [upstream.url])
    _change(node, host, TenantForm(forwarding=ForwardingForm(maintenance=True)))
    asyncio.run(until(lambda: _ask(node, host).status == 503))
    assert _ask(node, other).status == 200
    _change(node, host, TenantForm(forwarding=ForwardingForm(maintenance=False)))
    asyncio.run(until(lambda: _ask(node, host).status == 200))


# -- answer fields --------------------------------------------------------------------------------------


_FIELDS = ["Strict-Transport-Security: max-age=31536000", "Content-Security-Policy: frame-ancestors 'none'"]


def test_answer_fields_are_added_and_replace_the_upstream_s(node: Node, upstream: RecordingUpstream) -> None:
    """Each stands once, with the tenant's value, however the upstream spelled its own; others stay."""
    theirs = (
        b"strict-transport-security: max-age=0",
        b"STRICT-TRANSPORT-SECURITY: max-age=1",
        b"X-Own: kept",
    )
    upstream.begin_anew(answering(b"ok", *theirs))
    host = add_portal(node, [upstream.url], answer_fields=_FIELDS)
    answer = _ask(node, host)
    assert answer.fields("strict-transport-security") == ["max-age=31536000"]
    assert answer.fields("content-security-policy") == ["frame-ancestors 'none'"]
    assert (answer.field("x-own"), answer.body) == ("kept", b"ok")


_OWN = [
    *_FIELDS,
    "Permissions-Policy: camera=()",
    "X-Robots-Tag: noindex",
    "Referrer-Policy: unsafe-url",
    "X-Other: yes",
]


@pytest.mark.parametrize(
    ("target", "line", "status"),
    [
        (b"/-/sign-in", b"Accept: text/html", 200),
        (b"/-/no-such-page", b"Accept: text/html", 404),
        (b"/.well-known/portal-jwks.json", b"Accept: */*", 200),
        (b"/private", b"Accept: text/html", 303),
        (b"/private", b"Accept: application/json", 401),
        (b"/private", b"X-Requested-With: x", 401),
    ],
)
def test_our_own_answers_carry_what_is_said_of_the_host(
    node: Node, upstream: RecordingUpstream, target: bytes, line: bytes, status: int
) -> None:
    """HSTS and its like stand on sign-in pages, redirects and errors too; their own policies stay."""
    host = add_portal(node, [upstream.url], public_paths=["/public"], answer_fields=_OWN)
    answer = _ask(node, host, line, target=target)
    assert answer.status == status
    assert answer.fields("strict-transport-security") == ["max-age=31536000"]
    assert answer.fields("permissions-policy") == ["camera=()"]
    assert answer.fields("x-robots-tag") == ["noindex"]
    assert answer.field("content-security-policy") != "frame-ancestors 'none'"
    assert answer.field("referrer-policy") != "unsafe-url"
    assert answer.field("x-other") is None


def test_nothing_of_the_host_is_said_in_plain_text(node: Node, upstream: RecordingUpstream) -> None:
    """A redirect on port 80 carries no HSTS (RFC 6797 section 7.2)."""
    host = add_portal(node, [upstream.url], answer_fields=_OWN)
    with node.connect(door=Door.HTTP) as client:
        answer = client.ask(request(host))
    assert (answer.status, answer.field("strict-transport-security")) == (308, None)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (b"GET", b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ],
    ids=["to a HEAD", "not modified", "an error", "chunked"],
)
def test_answer_fields_are_on_every_answer(
    node: Node, upstream: RecordingUpstream, method: bytes, said: bytes
) -> None:
    """Whatever the upstream answers, the tenant's fields are on it, and the framing is the same."""

    def say(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.send(said)

    upstream.begin_anew(say)
    host = add_portal(node, [upstream.url], answer_fields=_FIELDS)
    with node.connect(host) as client:
        for _ in range(2):
            answer = client.ask(request(host, method=method), to_head=method == b"HEAD")
            assert answer.status == int(said.split(b" ")[1])
            assert answer.fields("strict-transport-security") == ["max-age=31536000"]


# -- origins of WebSockets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://{host}", 101),
        ("https://app.example", 101),
        ("https://dev.example:8443", 101),
        ("http://app.example", 403),
        ("https://app.example:8443", 403),
        ("https://dev.example", 403),
        ("https://app.example.evil.example", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_a_tenant_says_whose_pages_may_open_websockets(
    node: Node, upstream: RecordingUpstream, origin: str, status: int
) -> None:
    """Besides the portal's own origin those that the tenant names, exactly, and no other."""

    def accept(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        conversation.wait_for_end()

    upstream.begin_anew(accept)
    allowed = ["https://App.example:443", "https://dev.example:8443"]
    host = add_portal(node, [upstream.url], public_paths=[], websocket_origins=allowed)
    token, _ = node.sign_in(host.partition(".")[0], "ada@example.com")
    answer = _ask(
        node,
        host,
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        f"Origin: {origin.format(host=host)}".encode(),
        f"Cookie: __Host-portal-session={token}".encode(),
    )
    assert answer.status == status
    assert bool(upstream.contacts) is (status == 101)


# -- where visits go ------------------------------------------------------------------------------------


def test_a_tenant_without_upstreams_has_the_platform_s(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """By default visits go to the platform's upstreams, by their weights; a tenant's own come first."""
    second, own_one = RecordingUpstream(), RecordingUpstream()
    for each, name in ((upstream, b"first"), (second, b"second"), (own_one, b"own")):
        each.begin_anew(answering(name))
    shared = [f"{upstream.url} weight=2", second.url]
    with running_node(tmp_path, upstream.url, default_upstreams=shared) as node:
        host = add_portal(node, [])
        with node.connect(host) as client:
            answers = [client.ask(request(host)).body for _ in range(6)]
        assert sorted(answers) == [b"first"] * 4 + [b"second"] * 2
        _change(node, host, TenantForm(upstreams=[own_one.url]))
        asyncio.run(until(lambda: _ask(node, host).body == b"own"))
    second.close()
    own_one.close()


# -- sessions that have ended ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("https://{host}/orders/new?copy=7", "/orders/new%3Fcopy%3D7"),
        ("https://{host}/", "/"),
        ("https://evil.example/orders", "/"),
        ("https://{host}.evil.example/orders", "/"),
        ("http://{host}/orders", "/"),
        ("https://{host}//evil.example/", "/"),
        ("https://{host}/\\evil.example/", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_the_session_s_end_is_not_lost_silently(
    node: Node, upstream: RecordingUpstream, referer: str, back: str
) -> None:
    """A person who sent a form gets a page that says so and leads back to where it stood, no redirect."""
    host = add_portal(node, [upstream.url], public_paths=[])
    lines = [_PAGE, b"Sec-Fetch-Mode: navigate", b"Cookie: __Host-portal-session=" + b"A" * 43]
    if referer:
        lines.append(f"Referer: {referer.format(host=host)}".encode())
    answer = _ask(node, host, *lines, target=b"/orders", method=b"POST")
    assert (answer.status, answer.field("location")) == (401, None)
    assert answer.field("content-type") == "text/html; charset=utf-8"
    assert f'href="/-/sign-in?return={back}"'.encode() in answer.body
    assert upstream.contacts == []


@pytest.mark.parametrize(
    ("method", "lines"),
    [
        (b"GET", (b"Accept: application/json",)),
        (b"GET", (b"Accept: */*",)),
        (b"GET", (_PAGE, b"X-Requested-With: XMLHttpRequest")),
        (b"GET", (_PAGE, b"Sec-Fetch-Mode: cors")),
        (b"GET", (_PAGE, b"Sec-Fetch-Mode: same-origin")),
        (b"GET", (b"Accept: image/*", b"Sec-Fetch-Mode: no-cors")),
        (b"POST", (b"Accept: application/json",)),
        (b"PUT", (b"Accept: application/json",)),
        (b"DELETE", ()),
    ],
)
def test_a_program_is_never_redirected(
    node: Node, upstream: RecordingUpstream, method: bytes, lines: tuple[bytes, ...]
) -> None:
    """A script whose session has ended learns that by 401 and a code, not by somebody's sign-in page."""
    host = add_portal(node, [upstream.url], public_paths=[])
    answer = _ask(node, host, *lines, method=method)
    assert (answer.status, answer.field("location")) == (401, None)
    assert answer.field("content-type") == "application/problem+json"
    assert json.loads(answer.body)["code"] == "sign_in_needed"
