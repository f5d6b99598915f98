"""Visit: the facts of one request, made from its head, or the reason why there is none.

PURE. llhttp (by httptools) splits the head and refuses what RFC 9112 forbids: bare CR or LF, obs-fold, NUL
and control characters, space before a colon. What it lets through and two parsers could read in two ways is
refused here: the Host rules, the target, the framing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Protocol

import httptools

from router.edge.addresses import read_address
from router.edge.framing import NO_BODY, BadFraming, request_body
from router.edge.headers import (
    REQUEST_VERDICTS,
    Header,
    Kind,
    connection_options,
    session_token,
    without_named,
    without_own_cookies,
)
from router.errors import BadInput
from router.hostname import Authority, Hostname, parse_authority

MAX_FIELDS: Final = 100
"""Header fields of one head that would go on to an upstream; more is 431."""

_SOME_METHOD = re.compile(rb"(?:\r\n)?[!#$%&'*+\-.^_`|~0-9A-Za-z]+ ")

_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)

_READS_DIFFERENTLY = re.compile(
    rb"//|\\"  # empty segments, backslashes
    rb"|/\.{1,2}(?:[/;]|$)"  # dot segments, with or without a parameter
    rb"|;[^/]*/"  # a parameter that some servers cut off before they resolve
    rb"|%(?:2[ef5]|5c|3b|[01][0-9a-f]|7f)"  # encoded . / % \ ; control characters
    rb"|%(?:c[01]|e0%[89]|f0%8)"  # overlong UTF-8 in two, three or four octets (RFC 3629 section 3)
    rb"|%(?![0-9a-f]{2})",  # not an encoding at all
    re.IGNORECASE,
)

Network = IPv4Network | IPv6Network


class Door(Enum):
    """By which of the node's ports a connection came in."""

    HTTPS = "https"
    HTTP = "http"
    HEALTH = "health"
    ADMIN = "admin"


def console_door(admin_port: int | None) -> Door:
    """Say by which door the console is reached: its own where it has a port, else the one of all portals."""
    return Door.HTTPS if admin_port is None else Door.ADMIN


@dataclass(frozen=True, slots=True)
class Cookies:
    """A request's cookies: the whole line, what a tenant's upstream may see of it, and the session token."""

    line: bytes
    passed_on: bytes
    token: str | None


class Presented(Protocol):
    """The certificate that was presented: all that a visit asks of it.

    ``tenant_id`` is whose hostname the connection was opened for; none for nobody's in particular.
    """

    @property
    def tenant_id(self) -> str | None:
        """The tenant that the server name belonged to."""

    def covers(self, hostname: Hostname) -> bool:
        """Whether the certificate names ``hostname``."""


@dataclass(slots=True, eq=False)
class Arrival:
    """What is known of a connection before its first request; one for all its visits.

    ``peer`` is the other end of the connection (after a PROXY header, who that names); ``trusted`` are the
    load balancers that may say in X-Forwarded-For whom they speak for. ``port`` is what stands behind a
    hostname of ours wherever it is written: empty, or ``:8443``. ``cookies`` are the last visit's, and
    what was found in them: a browser sends the same ones again and again. ``fields`` is what followed the
    request line of ``last``, octet by octet: a program sends all of it again and again.
    """

    id: str
    door: Door
    peer: str
    presented: Presented | None = None
    trusted: tuple[Network, ...] = ()
    port: bytes = b""
    visits: int = 0
    cookies: Cookies | None = None
    fields: bytes = b""
    last: Visit | None = None


class Refused(Exception):  # noqa: N818 - it is what we decided
    """The head is not acceptable. Answered with ``status`` and the connection closed."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(slots=True, eq=False)
class Visit:
    """One request, as far as decisions go. Not frozen only because that costs 2 µs a request here.

    ``hostname`` is none for an IP literal. ``host`` is that, with the port that customers see, in the one
    spelling that upstreams get. ``path`` and ``target`` are as sent, octet by octet. ``kept`` are the fields
    that go on to an upstream. ``body`` is as in framing.py. ``covered`` says that the presented certificate
    names the host, ``opened_for`` which tenant the connection was opened for.
    """

    id: str
    door: Door
    client: str
    method: bytes
    target: bytes
    path: bytes
    hostname: Hostname | None
    host: bytes
    covered: bool
    opened_for: str | None
    kept: list[Header]
    cookies: Cookies | None
    body: int
    http10: bool
    keep_alive: bool
    websocket: bool
    expects_continue: bool

    def field(self, name: bytes) -> bytes:
        """The first value of a kept field, by its lower-case name; empty where there is none."""
        for key, value in self.kept:
            if key.lower() == name:
                return value
        return b""

    @property
    def reads_plainly(self) -> bool:
        """Whether the path says the same after any decoding or normalising that a backend may do."""
        return _READS_DIFFERENTLY.search(self.path) is None

    @property
    def prefers_html(self) -> bool:
        """Whether a person is looking: a navigation, or a program that says it shows HTML."""
        return (
            b"text/html" in self.field(b"accept")
            and self.field(b"sec-fetch-mode") in (b"", b"navigate")
            and not self.field(b"x-requested-with")
        )

    @property
    def wants_page(self) -> bool:
        """Whether a redirect to the sign-in page would be followed by a person."""
        return self.method in (b"GET", b"HEAD") and not self.websocket and self.prefers_html


# A member of an enumeration costs 40 ns to look up in its class, and these are needed for each field.
_KEEP, _DROP, _HOST, _CONNECTION, _COOKIE = Kind.KEEP, Kind.DROP, Kind.HOST, Kind.CONNECTION, Kind.COOKIE
_CONTENT_LENGTH, _TRANSFER_ENCODING = Kind.CONTENT_LENGTH, Kind.TRANSFER_ENCODING
_UPGRADE, _EXPECT, _FORWARDED_FOR = Kind.UPGRADE, Kind.EXPECT, Kind.FORWARDED_FOR


class _Head:
    """Collects what httptools calls out; the Kind of each field is looked up as it comes by."""

    __slots__ = ("complete", "fields", "kept", "target")

    def __init__(self) -> None:
        self.target = b""
        self.kept: list[Header] = []
        self.fields: dict[Kind, list[bytes]] = {}
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = REQUEST_VERDICTS[name]
        if kind is _KEEP:
            self.kept.append((name, value))
        elif kind is not _DROP:
            self.fields.setdefault(kind, []).append(value)

    def on_headers_complete(self) -> None:
        self.complete = True


_NOTHING: Final[list[bytes]] = []
_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_NOBODYS_HOST: Final = [b"0.0.0.0"]


def read_visit(head: bytes, arrival: Arrival) -> Visit:
    """Make the Visit from a whole head, empty line included. Raises ``Refused``.

    Where the connection's last visit had the very same method and fields, only the request line is read.
    """
    line, _, fields = head.partition(b"\r\n")
    if arrival.last is not None and fields == arrival.fields:
        again = _REPEATABLE.fullmatch(line)
        if again is not None and again[1] == arrival.last.method:
            return _repeated(arrival.last, again, arrival)
    visit = _read(head, arrival)
    if visit.method in _BODILESS and visit.body == NO_BODY and not (visit.http10 or visit.websocket):
        arrival.fields, arrival.last = fields, visit
    return visit


_BODILESS = frozenset({b"GET", b"HEAD"})
_REPEATABLE = re.compile(rb"(GET|HEAD) (/[!\"$-~]*) HTTP/1\.1")
"""A request line as plain as most are: origin form, visible ASCII without ``#`` (RFC 9112 section 3)."""


def _repeated(last: Visit, line: re.Match[bytes], arrival: Arrival) -> Visit:
    """The last visit's facts with another request line."""
    method, target = line.groups()
    arrival.visits += 1
    return Visit(
        f"{arrival.id}-{arrival.visits:x}",
        last.door,
        last.client,
        method,
        target,
        target.partition(b"?")[0],
        last.hostname,
        last.host,
        last.covered,
        last.opened_for,
        last.kept,
        last.cookies,
        NO_BODY,
        False,  # noqa: FBT003 - HTTP/1.1, as the last one; positions, because keywords cost 0.4 µs
        last.keep_alive,
        False,  # noqa: FBT003 - no WebSocket
        last.expects_continue,
    )


def _read(head: bytes, arrival: Arrival) -> Visit:
    parser, found = _parse(head)
    method, target, fields, kept = parser.get_method(), found.target, found.fields, found.kept
    http10 = _check_request_line(head, method, target, parser.get_http_version())
    if len(kept) > MAX_FIELDS:
        raise Refused(431, "too_many_fields")
    hosts = fields.get(_HOST, _NOTHING)
    if not hosts and http10 and arrival.door is Door.HEALTH:
        hosts = _NOBODYS_HOST  # load balancers that probe by HTTP/1.0 name none
    authority, target = _find_host(hosts, target)
    hostname = authority.host if isinstance(authority.host, Hostname) else None
    options = _NO_OPTIONS
    if _CONNECTION in fields:
        options = connection_options(b",".join(fields[_CONNECTION]))
        kept = without_named(kept, options)
    presented = arrival.presented
    arrival.visits += 1
    return Visit(
        id=f"{arrival.id}-{arrival.visits:x}",
        door=arrival.door,
        client=_client(arrival, fields[_FORWARDED_FOR]) if _FORWARDED_FOR in fields else arrival.peer,
        method=method,
        target=target,
        path=target.partition(b"?")[0],
        hostname=hostname,
        host=hostname.encode() + arrival.port if hostname is not None else hosts[0],
        covered=hostname is not None and presented is not None and presented.covers(hostname),
        opened_for=presented.tenant_id if presented is not None else None,
        kept=kept,
        cookies=_cookies(arrival, fields[_COOKIE])
        if _COOKIE in fields and b"cookie" not in options
        else None,
        body=_body(fields, http10=http10),
        http10=http10,
        keep_alive=not http10 and b"close" not in options,
        websocket=_UPGRADE in fields and not http10 and _is_websocket(fields, options, method),
        expects_continue=_EXPECT in fields and not http10 and _expects_continue(fields[_EXPECT]),
    )


def _check_request_line(head: bytes, method: bytes, target: bytes, version: str) -> bool:
    """Hold the first line to one space between its parts (RFC 9112 section 3); whether it is HTTP/1.0.

    One empty line may stand before it (section 2.2); llhttp would take bare CR and LF as well.
    """
    line = b"%b %b HTTP/1." % (method, target)
    if version not in ("1.1", "1.0") or not head.startswith((line, b"\r\n" + line)):
        raise Refused(400, "bad_request_line")
    if method in (b"CONNECT", b"TRACE"):
        raise Refused(405, "method_not_allowed")
    return version == "1.0"


def _body(fields: dict[Kind, list[bytes]], *, http10: bool) -> int:
    if _CONTENT_LENGTH not in fields and _TRANSFER_ENCODING not in fields:
        return NO_BODY
    lengths, codings = fields.get(_CONTENT_LENGTH, _NOTHING), fields.get(_TRANSFER_ENCODING, _NOTHING)
    try:
        return request_body(lengths, codings, http10=http10)
    except BadFraming as fault:
        raise Refused(400, "bad_framing") from fault


def _cookies(arrival: Arrival, values: list[bytes]) -> Cookies:
    """Take the cookies apart, or remember them: 2 µs saved on all but a connection's first visit."""
    line = values[0] if len(values) == 1 else b"; ".join(values)
    known = arrival.cookies
    if known is None or known.line != line:
        known = arrival.cookies = Cookies(line, without_own_cookies(line), session_token(line))
    return known


def _parse(head: bytes) -> tuple[httptools.HttpRequestParser, _Head]:
    found = _Head()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # llhttp stops where another protocol could begin; whether it does is decided below
    except httptools.HttpParserInvalidMethodError as fault:
        if _SOME_METHOD.match(head) is None:
            raise Refused(400, "bad_request_line") from fault
        raise Refused(501, "method_unknown") from fault
    except httptools.HttpParserError as fault:
        raise Refused(400, "bad_head") from fault
    if not found.complete:
        raise Refused(400, "bad_head")
    return parser, found


def _find_host(hosts: list[bytes], target: bytes) -> tuple[Authority, bytes]:
    """The one host that the request is for, and the target in origin form."""
    if len(hosts) != 1:
        raise Refused(400, "bad_host")
    try:
        authority = parse_authority(hosts[0])
        if not target.startswith(b"/"):
            target = _origin_form(target, authority)
    except BadInput as fault:
        raise Refused(400, fault.code) from fault
    if b"#" in target:
        raise Refused(400, "bad_target")
    return authority, target


def _origin_form(target: bytes, authority: Authority) -> bytes:
    """Turn absolute form (RFC 9112 section 3.2.2) into origin form; the target must name the Host's host."""
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise Refused(400, "bad_target")
    if parse_authority(match[1]) != authority:
        raise Refused(400, "bad_host")
    rest = match[2]
    return rest if rest.startswith(b"/") else b"/" + rest


def _client(arrival: Arrival, forwarded_for: list[bytes]) -> str:
    """Who asks: the first address from the right that is not one of our trusted load balancers."""
    if not arrival.trusted or not is_trusted(arrival.peer, arrival.trusted):
        return arrival.peer
    client = arrival.peer
    for raw in reversed(b",".join(forwarded_for).split(b",")):
        try:
            address = read_address(raw.strip(b" \t").decode("ascii"))
        except ValueError:
            return client  # what cannot be read is not believed, nor anything to the left of it
        client = address
        if not is_trusted(address, arrival.trusted):
            break
    return client


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether an address is one of our load balancers'."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a Unix socket has no address
        return False
    return any(parsed in network for network in trusted)


def _is_websocket(fields: dict[Kind, list[bytes]], options: frozenset[bytes], method: bytes) -> bool:
    """Whether this asks for a WebSocket (RFC 6455 section 4.1).

    Any other Upgrade is ignored, as RFC 9110 section 7.8 allows.
    """
    upgrade = fields[_UPGRADE]
    return (
        len(upgrade) == 1
        and upgrade[0].lower() == b"websocket"
        and b"upgrade" in options
        and method == b"GET"
        and _CONTENT_LENGTH not in fields
        and _TRANSFER_ENCODING not in fields
    )


def _expects_continue(expect: list[bytes]) -> bool:
    """Know 100-continue and nothing else; an HTTP/1.0 client does not mean it (RFC 9110 section 10.1.1)."""
    if len(expect) != 1 or expect[0].lower() != b"100-continue":
        raise Refused(417, "unknown_expectation")
    return True
