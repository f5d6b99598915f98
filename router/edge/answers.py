"""What the edge says itself: redirects, health, errors, in the tenant's look where one is known.

A person gets a page, a program ``application/problem+json`` (RFC 9457), both with the same code. A hostname
that is nobody's gets the same octets whether it never existed, is pending, or was deleted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from router.edge.decide import SIGN_IN, own_page
from router.edge.headers import fields_of_the_host, language_cookie
from router.edge.visit import Door
from router.hostname import port_suffix

if TYPE_CHECKING:
    from router.edge.decide import ChooseCustomer, Refuse, SignIn, ToHttps
    from router.edge.headers import Header
    from router.edge.visit import Visit
    from router.observe.health import HealthAnswer
    from router.tenants.tenant import Tenant

_RETRY_AFTER = {429: b"1", 503: b"5"}
"""Seconds after which it is worth another try."""

_NO_STORE: Header = (b"Cache-Control", b"no-store")
_JSON: Header = (b"Content-Type", b"application/problem+json")

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}

_SIGN_IN_NEEDED = "sign_in_needed"

_SENTENCES = {
    "bad_host": "The request does not name one host.",
    "not_found": "There is nothing here.",
    "misdirected": "This connection is for another hostname.",
    "https_needed": "This address is for HTTPS only. Revoke a token that was sent to it without.",
    _SIGN_IN_NEEDED: "Sign in first.",
    "choose_customer": "Choose the customer first, at /-/customer.",
    "suspended": "This portal is closed for the moment.",
    "maintenance": "This portal is being worked on. Try again in a while.",
    "too_many_requests": "This portal is asked more than it may be. Try again in a moment.",
    "body_too_large": "What was sent is larger than this portal takes.",
    "upstream_missing": "This portal is not connected to a service yet.",
    "foreign_origin": "This connection was asked for by another site's page.",
    "upstream_busy": "The service is busy. Try again in a moment.",
    "upstream_unreachable": "We could not reach the service.",
    "upstream_forbidden": "We could not reach the service.",
    "upstream_broke_off": "The service broke off before it answered.",
    "upstream_switched": "The service gave an answer that we do not pass on.",
    "upstream_slow": "The service took too long to answer.",
    "storage_unavailable": "We cannot look this up right now. Try again in a moment.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the edge's own. ``close`` ends the connection after it. ``tenant_id`` is for the log."""

    status: int
    fields: tuple[Header, ...] = ()
    body: bytes = b""
    close: bool = False
    tenant_id: str = ""


class ErrorPage(Protocol):
    """A page that says what went wrong, and the Content-Security-Policy that it needs."""

    @property
    def body(self) -> bytes:
        """The page as it is sent, UTF-8."""

    @property
    def csp(self) -> bytes:
        """The value of its Content-Security-Policy."""


class ErrorPages(Protocol):
    """Renders error pages in a tenant's look. The portal has them; it cannot be imported from here."""

    def render(
        self,
        tenant: Tenant | None,
        status: int,
        *,
        code: str,
        request_id: str,
        return_to: str,
        cookie: str | None,
        accept: str,
    ) -> ErrorPage:
        """The page for ``status``, by ``code`` where that says more, as it is wanted; never raises."""


class Answers:
    """Makes the edge's own answers.

    ``public_port`` is the HTTPS port as customers see it, ``console_port`` the console's; the same, if it is
    not given.
    """

    def __init__(self, error_pages: ErrorPages, *, public_port: int, console_port: int | None = None) -> None:
        self._error_pages = error_pages
        self._port = port_suffix(public_port)
        self._console_port = port_suffix(console_port or public_port)

    def to_https(self, decision: ToHttps, visit: Visit) -> Answer:
        """The same place over TLS; 308 keeps the method (RFC 9110 section 15.4.9)."""
        tenant = decision.tenant
        port = self._port if tenant is not None else self._console_port
        location = f"https://{visit.hostname}{port}".encode() + visit.target
        tenant_id = tenant.id if tenant is not None else ""
        return Answer(308, ((b"Location", location), _NO_STORE), tenant_id=tenant_id)

    def to_own_page(self, decision: SignIn | ChooseCustomer, visit: Visit) -> Answer:
        """To sign in, or to choose a customer; it leads back (303: by GET, RFC 9110 section 15.4.4)."""
        fields: tuple[Header, ...] = (
            (b"Location", own_page(decision).encode()),
            _NO_STORE,
            (b"Vary", b"Cookie"),
        )
        fields += _tenants_fields(decision.tenant, visit)
        return Answer(303, fields, tenant_id=decision.tenant.id)

    def health(self, health: HealthAnswer) -> Answer:
        """What a load balancer asked."""
        return Answer(health.status, ((b"Content-Type", b"application/json"), _NO_STORE), health.body)

    def refused(self, status: int, code: str) -> Answer:
        """To a head that could not even be read: no page, no tenant, and the connection is closed."""
        return Answer(status, (_JSON, _NO_STORE), _problem(status, code, ""), close=True)

    def error(self, refuse: Refuse, visit: Visit) -> Answer:
        """An error, for a person or for a program."""
        status = refuse.status
        # Unknown hosts get the same octets each time.
        tenant_id, request_id = (refuse.tenant.id, visit.id) if refuse.tenant is not None else ("", "")
        fields: tuple[Header, ...] = (_NO_STORE, *_tenants_fields(refuse.tenant, visit))
        if status in _RETRY_AFTER:
            fields += ((b"Retry-After", _RETRY_AFTER[status]),)
        if visit.prefers_html:
            page = self._error_pages.render(
                refuse.tenant,
                status,
                code=refuse.code,
                request_id=request_id,
                return_to=_return_target(visit),
                cookie=language_cookie(visit.cookies.line) if visit.cookies is not None else None,
                accept=visit.field(b"accept-language").decode("latin-1"),
            )
            fields += (
                (b"Content-Type", b"text/html; charset=utf-8"),
                (b"Content-Security-Policy", page.csp),
                (b"X-Content-Type-Options", b"nosniff"),
                (b"Referrer-Policy", b"no-referrer"),
                (b"Vary", b"Accept-Language, Cookie"),
            )
            return Answer(status, fields, page.body, refuse.close, tenant_id)
        body = _problem(status, refuse.code, request_id)
        return Answer(status, (_JSON, *fields), body, refuse.close, tenant_id)


def _tenants_fields(tenant: Tenant | None, visit: Visit) -> tuple[Header, ...]:
    """What the tenant says of its host, over TLS only (RFC 6797 section 7.2)."""
    if tenant is None or visit.door is not Door.HTTPS or not tenant.forwarding.answer_fields:
        return ()
    added = fields_of_the_host(tenant.forwarding.answer_fields)
    return tuple((name.encode(), value.encode()) for name, value in added)


def _return_target(visit: Visit) -> str:
    """Where a page may lead back to: what was asked for; of a form that was sent, the page it stood on."""
    if visit.method in (b"GET", b"HEAD"):
        return visit.target.decode("latin-1")
    origin = b"https://" + visit.host
    referer = visit.field(b"referer")
    return referer[len(origin) :].decode("latin-1") if referer.startswith(origin + b"/") else "/"


def _problem(status: int, code: str, request_id: str) -> bytes:
    title = HTTPStatus(status).phrase
    problem = {"status": status, "code": code, "title": title, "detail": _SENTENCES.get(code, f"{title}.")}
    if code == _SIGN_IN_NEEDED:
        problem["sign_in"] = SIGN_IN  # an extension member (RFC 9457 section 3.2): where a person can do that
    if request_id:
        problem["request_id"] = request_id
    return json.dumps(problem).encode() + b"\n"


def answer_octets(answer: Answer, *, close: bool, to_head: bool) -> bytes:
    """The answer as HTTP/1.1 sends it; the length is said to a HEAD too (RFC 9110 section 9.3.2)."""
    lines = [status_line(answer.status, b""), b"Date: " + formatdate(usegmt=True).encode()]
    lines += map(b": ".join, answer.fields)
    lines.append(b"Content-Length: %d" % len(answer.body))
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if to_head else answer.body)


def status_line(status: int, reason: bytes) -> bytes:
    """The first line of an answer; the standard's reason where none is given."""
    if not reason:
        return _STATUS_LINES.get(status, b"HTTP/1.1 %d " % status)
    return b"HTTP/1.1 %d %b" % (status, reason)
