"""Calls: the way of each from its head to its answer, the same for every operation.

In this order, and the first that fails answers: who calls (bearer.py), whether they may (access.py), the
version they want changed, the query, the body, whether it was done before (idempotency.py).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from router.console.access import check, check_names, check_platform
from router.console.api.bodies import answered, check_json, read_body, read_octets, read_query, sound_part
from router.console.api.idempotency import HEADER, Kept, asked, read_key
from router.console.api.operation import Call
from router.console.problems import Refused, by_field
from router.errors import BadInput, Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

    from router.console.access import Access, Admitted
    from router.console.api.bearer import Bearer
    from router.console.api.idempotency import Asked, Idempotency
    from router.console.api.operation import Operation, Reply
    from router.console.principal import Principal

ROOT: Final = "/api/v1"

_OF_THE_BODY: Final = ("Content-Type", "Content-Length")
_ETAG: Final = re.compile(r'"v([1-9][0-9]{0,9})"')


class Calls:
    """Does the operations."""

    def __init__(self, bearer: Bearer, access: Access, idempotency: Idempotency) -> None:
        self._bearer = bearer
        self._access = access
        self._idempotency = idempotency

    def routes(self, operations: Iterable[Operation]) -> list[web.RouteDef]:
        """Say which path does what."""
        return [web.route(each.method, ROOT + each.path, self._doing(each)) for each in operations]

    def _doing(self, operation: Operation) -> Handler:
        async def do(request: web.Request) -> web.StreamResponse:
            principal = await self._bearer.identify(request)
            check_names(request.match_info.values())
            about = await self._admit(principal, operation, request)
            version = _wanted_version(request) if operation.versioned else None
            query = read_query(request, operation.query) if operation.query is not None else None
            raw = await _read(request, operation)
            call = Call(principal, request.match_info, None, query, about, version)
            call = replace(call, body=await _body(raw, operation, call))
            key = read_key(request.headers.getall(HEADER, [])) if operation.creates else None
            if key is None:
                return _written(await _done(operation, call), operation)
            octets = (request.method.encode(), request.path_qs.encode(), raw)
            return await self._once(operation, call, asked(principal.id, key, *octets))

        return do

    async def _once(self, operation: Operation, call: Call[Any, Any], wanted: Asked) -> web.StreamResponse:
        """Do a call that has a key, or answer as it was answered before."""
        claim = await self._idempotency.claim(wanted)
        if isinstance(claim, Kept):
            return _replayed(claim, operation)
        try:
            response = _written(await _done(operation, call), operation)
        except Exception:
            with suppress(Unavailable):  # then the key is free in a minute
                await self._idempotency.release(claim)
            raise
        with suppress(Unavailable):  # the database has logged it; done is done, and is to be told
            await self._idempotency.keep(claim, _to_keep(response, operation))
        return response

    async def _admit(
        self, principal: Principal, operation: Operation, request: web.Request
    ) -> Admitted | None:
        slug = request.match_info.get("tenant")
        if slug is not None:
            return await self._access.admit(principal, operation.scope, slug)
        (check_platform if operation.platform else check)(principal, operation.scope)
        return None


async def _read(request: web.Request, operation: Operation) -> bytes:
    """Read a body as it comes, if the operation has one."""
    if operation.body is not None:
        check_json(request)
    elif not operation.octets:
        return b""
    return await read_octets(request, operation.most)


async def _body(raw: bytes, operation: Operation, call: Call[Any, Any]) -> Any:  # noqa: ANN401 - its model
    """Read a body by the operation's model, if it has one. Raises ``Refused`` with all that is wrong."""
    model = operation.body
    if model is None:
        return raw if operation.octets else None
    try:
        return read_body(raw, model)
    except Refused as refused:
        rest = sound_part(raw, model) if operation.judge is not None and refused.faults else None
        if operation.judge is None or rest is None:
            raise
        try:
            await operation.judge(replace(call, body=rest))
        except BadInput as fault:
            raise refused.with_others(by_field(fault)) from None
        raise


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
    if reply.stream is not None:
        # aiohttp sends the pieces as they come, and cuts the connection when one fails.
        response = web.Response(body=reply.stream, status=operation.status)
        response.content_type = operation.streams or "application/octet-stream"
    elif reply.answer is None:
        response = web.Response(status=204 if operation.answer is None else operation.status)
    else:
        response = answered(reply.answer, status=operation.status)
    response.headers.update(reply.headers)
    if reply.version is not None:
        response.headers["ETag"] = f'"v{reply.version}"'
    return response


def _to_keep(response: web.Response, operation: Operation) -> Kept:
    headers = {name: value for name, value in response.headers.items() if name not in _OF_THE_BODY}
    body = None if operation.secret or not isinstance(response.body, bytes) else response.body.decode()
    return Kept(response.status, headers, body)


def _replayed(kept: Kept, operation: Operation) -> web.Response:
    if operation.secret:
        sentence = "This was done already. Its answer held a secret, which is told once and kept nowhere."
        raise Refused(409, "already_done", sentence, headers=kept.headers)
    if kept.body is None:
        response = web.Response(status=kept.status)
    else:
        response = web.Response(status=kept.status, text=kept.body, content_type="application/json")
    response.headers.update({**kept.headers, "Idempotency-Replayed": "true"})
    return response
