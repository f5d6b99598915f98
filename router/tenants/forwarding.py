"""How a tenant's traffic is forwarded: read field by field as an operator types it, and as it is stored.

PURE. Each fault is a ``BadInput`` with a code of its field. What the fields do is told in docs/forwarding.md.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import TypeAdapter

from router.errors import BadInput, Faults, read_each
from router.hostname import Authority, parse_authority, port_suffix
from router.tenants.tenant import Balance, Forwarding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from cryptography.x509 import Certificate

    from router.hostname import Hostname

MAX_HEALTH_PATH: Final = 200
MAX_BODY: Final = 2**50
MAX_WEBSOCKET_ORIGINS: Final = 20
MAX_ANSWER_FIELDS: Final = 20
MAX_ANSWER_OCTETS: Final = 8192
"""All of a tenant's answer fields together: there are clients that take heads of 16 KiB and no more."""
MAX_UPSTREAM_CA: Final = 65_536

_FORWARDING: Final = TypeAdapter(Forwarding)
_POLICIES: Final[Mapping[str, Balance]] = {policy: policy for policy in get_args(Balance)}
_UNITS: Final = {
    "": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE: Final = re.compile(r"([0-9]{1,16}) ?([A-Za-z]{0,3})")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_HEALTH_PATH: Final = re.compile(r"/(?:[!-\"$-.0-\[\]-~][!-\"$-\[\]-~]*)?")  # visible ASCII, but # and \
_ORIGIN: Final = re.compile(r"https://([^/?#@\\\s]+)", re.IGNORECASE)
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([!-~](?:[ -~]*[!-~])?)[ \t]*")

_HOP_BY_HOP: Final = (  # RFC 9110 section 7.6.1
    "connection",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
# What says something of one message, its body or its cookies, and would be false of another.
_OF_ONE_MESSAGE: Final = (
    "age",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
)
_RESERVED: Final = frozenset(_HOP_BY_HOP + _OF_ONE_MESSAGE + ("x-request-id",))
_RESERVED_PREFIXES: Final = ("x-router-", "x-portal-", "proxy-", "sec-websocket-")

_CERTIFICATE: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingForm:
    """What an operator fills in, as typed; None leaves a field as it is, empty sets it to the platform's way.

    ``max_body`` is in octets or as in ``10MiB``; an answer field is a line, ``Name: value``;
    ``upstream_ca`` is the text of a PEM file. Lists are replaced as a whole.
    """

    balance: str | None = None
    health_path: str | None = None
    health_interval: str | int | None = None
    health_status: str | int | None = None
    keep_host: bool | None = None
    rewrite_location: bool | None = None
    maintenance: bool | None = None
    max_body: str | int | None = None
    requests_per_second: str | int | None = None
    answer_timeout: str | int | None = None
    websocket_origins: Sequence[str] | None = None
    answer_fields: Sequence[str] | None = None
    upstream_ca: str | None = None


def judge_forwarding(form: ForwardingForm) -> dict[str, Any]:
    """Read what is filled in, into values for fields of ``Forwarding``.

    Raises ``BadInput`` for the first field at fault, which knows of the others.
    """
    faults, values = Faults(), {}
    for field in fields(form):
        given = getattr(form, field.name)
        if given is not None:
            with faults.at(field.name):
                values[field.name] = _READERS[field.name](given) if field.name in _READERS else given
    faults.check()
    return values


def read_forwarding(stored: Mapping[str, Any]) -> Forwarding:
    """Read the column: what is missing is as by default, what a newer version wrote besides is left out."""
    return _FORWARDING.validate_python(stored)


def stored_forwarding(forwarding: Forwarding) -> dict[str, Any]:
    """Spell the column: only what differs from the defaults, so that a better default reaches everybody."""
    default = asdict(Forwarding())
    return {name: value for name, value in asdict(forwarding).items() if value != default[name]}


def parse_balance(raw: str) -> Balance:
    """Read how visits are shared out. Raises ``BadInput("bad_balance")``."""
    policy = _POLICIES.get(raw.strip().lower().replace("-", "_"))
    if policy is None:
        raise BadInput("bad_balance", f"Balancing is one of: {', '.join(_POLICIES)}.")
    return policy


def parse_health_path(raw: str) -> str:
    """Read the target of the health check as it goes into a request; empty switches the check off.

    Raises ``BadInput("bad_health_path")``.
    """
    path = raw.strip()
    if path and (_HEALTH_PATH.fullmatch(path) is None or len(path) > MAX_HEALTH_PATH):
        raise BadInput(
            "bad_health_path",
            f"A health path begins with one slash, as in /healthz, and is visible ASCII, {MAX_HEALTH_PATH} "
            "characters at most; an empty one switches the checks off.",
        )
    return path


def parse_size(raw: str | int) -> int:
    """Read a size in octets, or with a unit, as in ``10MiB`` or ``500 kB``; 0 is no limit.

    Raises ``BadInput("bad_max_body")``.
    """
    match = _SIZE.fullmatch(str(raw).strip())
    unit = _UNITS.get(match.group(2).lower()) if match else None
    size = int(match.group(1)) * unit if match and unit else None
    if size is None or size > MAX_BODY:
        raise BadInput("bad_max_body", "A size is in octets, or like 500kB, 10MiB or 2GiB; 0 is no limit.")
    return size


def parse_websocket_origins(given: Sequence[str]) -> tuple[str, ...]:
    """Read the origins that may open WebSockets besides the portal's own (RFC 6454 section 6.2).

    Raises ``BadInput`` with ``bad_websocket_origin`` or ``bad_count``.
    """
    _count(given, "WebSocket origins", MAX_WEBSOCKET_ORIGINS)
    return tuple(dict.fromkeys(read_each(_origin, given)))


def parse_answer_fields(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read the header fields that are added to each answer, ``Name: value`` each.

    Raises ``BadInput`` with ``bad_answer_field``, ``reserved_answer_field`` or ``bad_count``.
    """
    _count(given, "answer fields", MAX_ANSWER_FIELDS)
    read = tuple(read_each(_answer_field, given))
    names = [name.lower() for name, _ in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput("bad_answer_field", f"“{twice}” is named twice: join its values with a comma.")
    if sum(len(name) + len(value) + 4 for name, value in read) > MAX_ANSWER_OCTETS:
        raise BadInput(
            "bad_answer_field", f"All answer fields together have {MAX_ANSWER_OCTETS} octets at most."
        )
    return read


def parse_upstream_ca(raw: str) -> str:
    """Read a PEM bundle of CA certificates, and spell it without anything around them; empty for none.

    Raises ``BadInput("bad_upstream_ca")``. What was typed is in no sentence: it may be the wrong file, a
    private key.
    """
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - most forms do without

    if not raw.strip():
        return ""
    if len(raw) > MAX_UPSTREAM_CA:
        raise _bad_ca(f"The CA bundle is larger than {MAX_UPSTREAM_CA // 1024} KiB")
    if set(_CERTIFICATE.findall(raw)) != {"CERTIFICATE"}:
        raise _bad_ca("The CA bundle is a PEM file that holds certificates and nothing else, no private key")
    found = dict.fromkeys(_certificates(raw))
    for certificate in found:
        if not _is_authority(certificate):
            raise _bad_ca(
                f"“{certificate.subject.rfc4514_string()[:100]}” in the bundle is not a CA certificate"
            )
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in found)


def _whole_number(name: str, least: int, most: int, meaning: str) -> Callable[[str | int], int]:
    """Make the reader of a field that is a whole number."""

    def read(raw: str | int) -> int:
        text = str(raw).strip()
        number = int(text) if _NUMBER.fullmatch(text) else -1
        if not least <= number <= most:
            raise BadInput(f"bad_{name}", f"{meaning} is a whole number from {least} to {most}.")
        return number

    return read


_READERS: Final[Mapping[str, Callable[[Any], object]]] = {
    "balance": parse_balance,
    "health_path": parse_health_path,
    "health_interval": _whole_number(
        "health_interval", 2, 3600, "The time between health checks, in seconds,"
    ),
    "health_status": _whole_number("health_status", 200, 599, "The status that a health check expects"),
    "max_body": parse_size,
    "requests_per_second": _whole_number(
        "requests_per_second", 0, 100_000, "The rate of requests in a second"
    ),
    "answer_timeout": _whole_number("answer_timeout", 0, 3600, "The time to wait for an answer, in seconds,"),
    "websocket_origins": parse_websocket_origins,
    "answer_fields": parse_answer_fields,
    "upstream_ca": parse_upstream_ca,
}


def _origin(raw: str) -> str:
    """Spell an origin as browsers do: lower case, without the default port."""
    match = _ORIGIN.fullmatch(raw.strip())
    try:
        authority = parse_authority(match.group(1).encode("ascii")) if match else None
    except (BadInput, UnicodeError):
        authority = None
    if authority is None:
        raise BadInput(
            "bad_websocket_origin",
            f"“{raw[:80]}” is not an origin: write https://HOST or https://HOST:PORT and nothing more.",
        )
    return f"https://{_authority_text(authority)}"


def _authority_text(authority: Authority) -> str:
    host: Hostname | IPv4Address | IPv6Address = authority.host
    text = f"[{host}]" if ":" in str(host) else str(host)
    return text + port_suffix(authority.port)


def _answer_field(raw: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(raw.strip(" \t"))
    if match is None:
        raise BadInput(
            "bad_answer_field",
            f"“{raw[:40]}” is not a header field: write “Name: value”, the value in visible ASCII.",
        )
    name, value = match.groups()
    lower = name.lower()
    if "_" in name or lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
        raise BadInput("reserved_answer_field", f"“{name}” is not a tenant's to set on every answer.")
    return name, value


def _certificates(raw: str) -> list[Certificate]:
    from cryptography import x509  # noqa: PLC0415 - see parse_upstream_ca

    try:
        return x509.load_pem_x509_certificates(raw.encode("ascii"))
    except ValueError as fault:  # UnicodeEncodeError is one too
        raise _bad_ca("The CA bundle cannot be read as PEM certificates") from fault


def _is_authority(certificate: Certificate) -> bool:
    from cryptography import x509  # noqa: PLC0415 - see parse_upstream_ca

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _bad_ca(what: str) -> BadInput:
    return BadInput("bad_upstream_ca", f"{what}.")


def _count(given: Sequence[str], what: str, most: int) -> None:
    if len(given) > most:
        raise BadInput("bad_count", f"A tenant has at most {most} {what}, not {len(given)}.")
