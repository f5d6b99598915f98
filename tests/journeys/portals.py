"""Portals for tests: tenants of their own, open to everybody, and upstreams that say who they are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm
from tests.journeys.node import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation

PUBLIC = ("/",)
"""All of a portal needs no sign-in."""


_numbers = itertools.count(1)


def add_portal(
    node: Node,
    upstreams: Sequence[str],
    *,
    public_paths: Sequence[str] = PUBLIC,
    **forwarding: Any,  # noqa: ANN401 - each field has a type of its own
) -> str:
    """Add another tenant, forwarded as said (fields of ``ForwardingForm``); its hostname."""
    slug = f"portal-{next(_numbers)}"
    form = TenantForm(
        name=slug.title(),
        theme_colour="#0B6E4F",
        upstreams=list(upstreams),
        public_paths=public_paths,
        forwarding=ForwardingForm(**forwarding),
    )
    node.operate(node.registry.add(slug, form, actor="test"))
    return f"{slug}.{DOMAIN}"


def request(
    host: str, *lines: bytes, method: bytes = b"GET", target: bytes = b"/", body: bytes = b""
) -> bytes:
    """Write a stranger's request; a body, or a method that has one, gets its length unless a line says it."""
    fields = [b"Host: " + host.encode(), *lines]
    framed = any(line.lower().startswith((b"content-length:", b"transfer-encoding:")) for line in lines)
    if not framed and (body or method == b"POST"):
        fields.append(b"Content-Length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, target, b"\r\n".join(fields), body)


def answering(name: bytes, *fields: bytes) -> Callable[[Conversation], None]:
    """Make the script of an upstream that answers everything with its name."""
    head = b"".join(field + b"\r\n" for field in fields)

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.send(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(name), name))

    return script


def break_off(conversation: Conversation) -> None:
    """Take a request, and close without an answer."""
    conversation.read_request()
