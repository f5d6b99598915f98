"""Calls: the way of each from its head to its answer, the same for every operation.

In this order, and the first that fails answers: who calls (bearer.py), whether they may (access.py), the
version they want changed, the query, the body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from router.console.access import check, check_platform
from router.console.api.bodies import answered, read_body, read_query
from router.console.api.operation import Call
from router.console.problems import Refused
from router.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

    from router.console.access import Access, Admitted
    from router.console.api.bearer import Bearer
    from router.console.api.operation import Endpoint, Operation, Reply
    from router.console.principal import Principal

ROOT: Final = "/api/v1"

_ETAG: Final = re.compile(r'"v([1-9][0-9]{0,9})"')


class Calls:
    """Does the operations of some endpoints."""

    def __init__(self, bearer: Bearer, access: Access) -> None:
        self._bearer = bearer
        self._access = access

    def routes(self, endpoints: Iterable[Endpoint]) -> list[web.RouteDef]:
        """Say which path does what."""
        return [
            web.route(each.method, ROOT + each.path, self._doing(each))
            for endpoint in endpoints
            for each in endpoint.operations()
        ]

    def _doing(self, operation: Operation) -> Handler:
        async def do(request: web.Request) -> web.StreamResponse:
            principal = await self._bearer.identify(request)
            about = await self._admit(principal, operation, request)
            version = _wanted_version(request) if operation.versioned else None
            query = read_query(request, operation.query) if operation.query is not None else None
            body = await read_body(request, operation.body) if operation.body is not None else None
            call = Call(principal, request.match_info, body, query, about, version)
            return _written(await _done(operation, call), operation)

        return do

    async def _admit(
        self, principal: Principal, operation: Operation, request: web.Request
    ) -> Admitted | None:
        slug = request.match_info.get("tenant")
        if slug is not None:
            return await self._access.admit(principal, operation.scope, slug)
        (check_platform if operation.platform else check)(principal, operation.scope)
        return None


async def _done(operation: Operation, call: Call[Any, Any]) -> Reply:
    try:
        return await operation.handle(call)
    except Conflict as fault:
        if call.version is None or fault.code != "changed_meanwhile":
            raise
        raise Refused(412, fault.code, fault.sentence) from fault


def _wanted_version(request: web.Request) -> int | None:
    """Read which version is to be changed, against lost updates (RFC 9110 section 13.1.1)."""
    said = request.headers.get("If-Match")
    if said is None:
        sentence = "Say which version you change: If-Match with the ETag of what you read, or * for any."
        raise Refused(428, "if_match_needed", sentence)  # RFC 6585 section 3
    if said.strip() == "*":
        return None
    match = _ETAG.fullmatch(said.strip())
    if match is None:
        raise Refused(412, "changed_meanwhile", "If-Match names no version of this: read it again.")
    return int(match[1])


def _written(reply: Reply, operation: Operation) -> web.Response:
    if reply.answer is None:
        response = web.Response(status=204 if operation.answer is None else operation.status)
    else:
        response = answered(reply.answer, status=operation.status)
    response.headers.update(reply.headers)
    if reply.version is not None:
        response.headers["ETag"] = f'"v{reply.version}"'
    return response
