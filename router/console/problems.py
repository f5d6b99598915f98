"""Failures as the API tells them: ``application/problem+json`` (RFC 9457) with a stable code.

``code`` is for programs, ``detail`` for people; ``errors`` says which fields of the body are at fault, each
by a JSON pointer (RFC 6901 section 6). A ``request_id`` is in the router's log too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import RETRY_AFTER
from router.console.access import Forbidden
from router.errors import BadInput, Conflict, NotFound, RouterError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STATUSES: Final = ((NotFound, 404), (Conflict, 409), (Unavailable, 503), (BadInput, 422))
REALM: Final = 'Bearer realm="tenant-router"'

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_AIOHTTPS: Final = {
    404: ("not_found", "There is nothing here: /api/v1/ tells which paths there are."),
    405: ("method_not_allowed", "This path is not asked that way: the Allow field says how."),
    413: ("body_too_large", "What was sent is larger than any sound request."),
}


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field: ``pointer`` is ``#/customer``, ``code`` is stable."""

    pointer: str
    code: str
    detail: str


class Refused(RouterError):  # noqa: N818 - named as its family is, after what happened
    """The API does not do it, for a reason that is HTTP's own; answered with ``status`` and ``headers``."""

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        *,
        headers: Mapping[str, str] = _NOTHING,
        faults: Sequence[FieldFault] = (),
    ) -> None:
        super().__init__(code, sentence)
        self.status = status
        self.headers = headers
        self.faults = tuple(faults)

    def with_others(self, faults: Sequence[FieldFault]) -> Refused:
        """Tell of further faults beside these: not of a field again that these are about, or in."""
        known = [fault.pointer for fault in self.faults]
        others = [
            fault
            for fault in faults
            if not any(each == fault.pointer or each.startswith(f"{fault.pointer}/") for each in known)
        ]
        told = (*self.faults, *others)
        return Refused(self.status, self.code, self.sentence, headers=self.headers, faults=told)


def problem_of(fault: RouterError | web.HTTPException, request_id: str) -> web.Response:
    """Tell what went wrong. What a fault's cause says is for the log alone."""
    match fault:
        case web.HTTPException():
            # aiohttp's own: no such path, no such method, too long a body
            code, detail = _AIOHTTPS.get(fault.status, ("bad_request", f"{HTTPStatus(fault.status).phrase}."))
            headers = {"Allow": fault.headers["Allow"]} if "Allow" in fault.headers else _NOTHING
            return problem(fault.status, code, detail, request_id, headers=headers)
        case Forbidden():
            challenge = f'{REALM}, error="insufficient_scope", scope="{fault.scope}"'
            headers = {"WWW-Authenticate": challenge}  # RFC 6750 section 3.1
            return problem(403, fault.code, fault.sentence, request_id, headers=headers)
        case Refused():
            faults, headers = fault.faults, fault.headers
            return problem(
                fault.status, fault.code, fault.sentence, request_id, headers=headers, faults=faults
            )
        case _:
            status = next((status for kind, status in _STATUSES if isinstance(fault, kind)), 500)
            headers = (
                {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else _NOTHING
            )
            faults = by_field(fault)
            return problem(status, fault.code, fault.sentence, request_id, headers=headers, faults=faults)


def by_field(fault: RouterError) -> tuple[FieldFault, ...]:
    """Tell which fields are at fault; they are named as in ``upstreams/0``, as pointers are."""
    told = fault.faults if isinstance(fault, BadInput) else (fault,)
    return tuple(FieldFault(f"#/{each.field}", each.code, each.sentence) for each in told if each.field)


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    headers: Mapping[str, str] = _NOTHING,
    faults: Sequence[FieldFault] = (),
) -> web.Response:
    """Write a problem; ``type`` is left out, which means ``about:blank`` (RFC 9457 section 4.2.1)."""
    told: dict[str, object] = {"status": status, "code": code, "title": HTTPStatus(status).phrase}
    told["detail"] = detail
    if faults:
        told["errors"] = [asdict(fault) for fault in faults]
    if request_id:
        told["request_id"] = request_id
    body = json.dumps(told, ensure_ascii=False).encode() + b"\n"
    return web.Response(
        status=status, body=body, content_type="application/problem+json", headers=dict(headers)
    )
