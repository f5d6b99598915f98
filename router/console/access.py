"""Access: the one door of the API. Who calls, whether they may, and about which tenant.

Every handler passes it first. In this order, and the first that fails answers:

1. a token in the query is refused, for queries end up in logs and histories (RFC 6750 section 5.3): 400;
2. a token there must be, in one Authorization field, and it must be valid: 401;
3. within the budget of calls that every token has: 429;
4. with the scope for what is asked: 403;
5. about a tenant that exists and is the token's: 404, the same for both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.console.problems import Refused
from router.console.tokens import PREFIX
from router.errors import NotFound
from router.storage.lookup import PENDING

if TYPE_CHECKING:
    from aiohttp import web

    from router.console.budgets import Budgets
    from router.console.scopes import Scope
    from router.console.token_finder import TokenFinder
    from router.console.tokens import Token
    from router.tenants.registry import Registry
    from router.tenants.tenant import Tenant

_CREDENTIALS: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 section 2.1
_REALM: Final = 'Bearer realm="tenant-router"'


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be done: by whose token, and for which tenant."""

    token: Token
    tenant: Tenant

    @property
    def actor(self) -> str:
        """Whom to name in the audit."""
        return f"token:{self.token.id}"


class Access:
    """Admits calls. ``registry`` knows the tenants by their short names."""

    def __init__(self, tokens: TokenFinder, registry: Registry, budgets: Budgets) -> None:
        self._tokens = tokens
        self._registry = registry
        self._budgets = budgets

    async def admit(self, request: web.Request, scope: Scope) -> Admitted:
        """Admit a call about the tenant in its path. Raises ``Refused``, ``NotFound``, ``Unavailable``."""
        _check_query(request)
        token = await self._identify(_shown(request), request.headers.get("X-Router-Client", ""))
        await self._budgets.spend(token.id)
        if scope not in token.scopes:
            raise _out_of_scope(scope)
        tenant = await self._tenant(token, request.match_info["tenant"])
        self._tokens.used(token)
        return Admitted(token, tenant)

    async def _identify(self, shown: str, address: str) -> Token:
        """Find whose token it is. A wrong one costs its sender's network, and soon not the database."""
        token = self._tokens.peek(shown)
        if token is PENDING:
            await self._budgets.check_guesses(address)
            token = await self._tokens.find(shown)
        if token is None:
            await self._budgets.note_guess(address)
            sentence = "The token is not valid: unknown, expired or revoked."
            raise _unauthorised("invalid_token", sentence, f'{_REALM}, error="invalid_token"')
        return token

    async def _tenant(self, token: Token, slug: str) -> Tenant:
        if token.tenant_id is not None and token.slug != slug:
            raise NotFound("tenant_not_found", f"There is no tenant “{slug[:60]}”.")
        return (await self._registry.get(slug)).tenant


def _check_query(request: web.Request) -> None:
    named = {"access_token", "token"} & set(request.query)
    if named or any(value.startswith(PREFIX) for value in request.query.values()):
        raise Refused(
            400,
            "token_in_query",
            "A token belongs into the Authorization field: one that was in a URL is to be revoked.",
        )


def _shown(request: web.Request) -> str:
    fields = request.headers.getall("Authorization", [])
    match = _CREDENTIALS.fullmatch(fields[0]) if len(fields) == 1 else None
    if match is None:
        raise _unauthorised("token_needed", "Send one token, as in Authorization: Bearer trt_….", _REALM)
    return match[1]


def _unauthorised(code: str, sentence: str, challenge: str) -> Refused:
    return Refused(401, code, sentence, headers={"WWW-Authenticate": challenge})  # RFC 6750 section 3


def _out_of_scope(scope: Scope) -> Refused:
    challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
    sentence = f"The token does not have the scope “{scope}”: see tenant-router token add --help."
    return Refused(403, "insufficient_scope", sentence, headers={"WWW-Authenticate": challenge})
