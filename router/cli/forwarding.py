"""The options of ``tenant add`` and ``tenant set`` that say how a tenant's traffic is forwarded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

from cyclopts import Parameter

from router.cli.output import Usage
from router.errors import BadInput
from router.tenants.forwarding import MAX_UPSTREAM_CA, ForwardingForm
from router.tenants.tenant import Forwarding

_T = TypeVar("_T")

_SIZES: Final = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@Parameter(name="*")  # each field is an option of its own, without a prefix
@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingOptions:
    """What an operator types; what is left out stays as it is."""

    balance: Annotated[str | None, Parameter(help="round_robin, least_connections or session_affinity.")] = (
        None
    )
    health_path: Annotated[
        str | None, Parameter(help="A path to check each upstream by, such as /healthz; '' for no check.")
    ] = None
    health_interval: Annotated[str | None, Parameter(help="Seconds between two checks.")] = None
    health_status: Annotated[str | None, Parameter(help="The status that a check expects.")] = None
    keep_host: Annotated[bool | None, Parameter(help="Tell upstreams the portal's Host, not their own.")] = (
        None
    )
    rewrite_location: Annotated[
        bool | None, Parameter(help="Have redirects to the upstream itself lead to the portal.")
    ] = None
    maintenance: Annotated[bool | None, Parameter(help="Answer 503 with a page that says so.")] = None
    max_body: Annotated[
        str | None, Parameter(help="The largest body of a request, such as 10MiB; 0 for no limit.")
    ] = None
    requests_per_second: Annotated[
        str | None, Parameter(help="Requests in a second, of all visitors together; 0 for no limit.")
    ] = None
    answer_timeout: Annotated[
        str | None, Parameter(help="Seconds to wait for an answer to begin; 0 for the platform's setting.")
    ] = None
    websocket_origin: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A further origin that may open WebSockets. May be repeated."),
    ] = None
    no_websocket_origin: Annotated[bool, Parameter(negative=(), help="Allow the portal's own alone.")] = False
    answer_field: Annotated[
        list[str] | None,
        Parameter(negative=(), help="'Name: value', set on each answer of the upstreams. May be repeated."),
    ] = None
    no_answer_field: Annotated[bool, Parameter(negative=(), help="Set no fields on answers.")] = False
    upstream_ca: Annotated[
        Path | None, Parameter(help="A PEM file of the CA certificates to verify https upstreams by.")
    ] = None
    no_upstream_ca: Annotated[
        bool, Parameter(negative=(), help="Verify https upstreams by the system's authorities.")
    ] = False

    def form(self) -> ForwardingForm:
        """Fill in the form. Raises ``BadInput("file_unreadable")`` for the bundle."""
        bundle = None if self.upstream_ca is None else _read(self.upstream_ca)
        return ForwardingForm(
            balance=self.balance,
            health_path=self.health_path,
            health_interval=self.health_interval,
            health_status=self.health_status,
            keep_host=self.keep_host,
            rewrite_location=self.rewrite_location,
            maintenance=self.maintenance,
            max_body=self.max_body,
            requests_per_second=self.requests_per_second,
            answer_timeout=self.answer_timeout,
            websocket_origins=emptied(self.websocket_origin, [], empty=self.no_websocket_origin),
            answer_fields=emptied(self.answer_field, [], empty=self.no_answer_field),
            upstream_ca=emptied(bundle, "", empty=self.no_upstream_ca),
        )


def emptied(given: _T | None, nothing: _T, *, empty: bool) -> _T | None:
    """Give what was typed; where that is nothing, ``nothing`` if the ``--no-`` option was, else None.

    Raises ``Usage`` when both were: which of them is meant is anybody's guess.
    """
    if empty and given is not None:
        raise Usage("usage", "An option and its --no- form contradict each other: give one of them.")
    return nothing if empty else given


def described(forwarding: Forwarding) -> dict[str, object]:
    """Describe how a tenant's traffic is forwarded, in the words of the options."""
    return {
        "balance": forwarding.balance,
        "health_path": forwarding.health_path,
        "health_interval": forwarding.health_interval,
        "health_status": forwarding.health_status,
        "keep_host": forwarding.keep_host,
        "rewrite_location": forwarding.rewrite_location,
        "maintenance": forwarding.maintenance,
        "max_body": forwarding.max_body,
        "requests_per_second": forwarding.requests_per_second,
        "answer_timeout": forwarding.answer_timeout,
        "websocket_origins": list(forwarding.websocket_origins),
        "answer_fields": [f"{name}: {value}" for name, value in forwarding.answer_fields],
        "upstream_ca": forwarding.upstream_ca,
    }


def told(forwarding: Forwarding) -> dict[str, object]:
    """Tell people the same: sizes with a unit, zero as what it means, the bundle by its size."""
    certificates = forwarding.upstream_ca.count("-----BEGIN CERTIFICATE-----")
    limits = {
        "max_body": _size(forwarding.max_body),
        "requests_per_second": forwarding.requests_per_second or "no limit",
        "answer_timeout": forwarding.answer_timeout or "the platform's",
        "upstream_ca": f"{certificates} CA certificates" if certificates else "the system's",
    }
    return {**described(forwarding), **limits}


def _size(octets: int) -> str:
    for unit, size in _SIZES:
        if octets and octets % size == 0:
            return f"{octets // size} {unit}"
    return f"{octets} octets" if octets else "no limit"


def _read(path: Path) -> str:
    """Read a bundle; one octet more than it may have is enough to see that it is too large."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_UPSTREAM_CA + 1).decode("ascii", "replace")
    except OSError as fault:
        raise BadInput("file_unreadable", f"{path} cannot be read: {fault.strerror}.") from fault
