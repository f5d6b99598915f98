"""Bearer tokens: who calls the API, by the token that they show (RFC 6750).

In this order, and the first that fails answers:

1. a token in the query is refused, for queries end up in logs and histories (section 5.3): 400;
2. a token there must be, in one Authorization field, and it must be valid: 401;
3. within the budget of calls that every token has: 429.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.console.budgets import Allowance, check
from router.console.principal import Principal
from router.console.problems import REALM, Refused
from router.console.tokens import PREFIX
from router.storage.lookup import PENDING

if TYPE_CHECKING:
    from router.console.budgets import Budgets
    from router.console.token_finder import TokenFinder
    from router.console.tokens import Token

ALLOWANCE: Final = web.RequestKey("allowance", Allowance)

_CREDENTIALS: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 section 2.1


class Bearer:
    """Finds out whose token a call shows."""

    def __init__(self, tokens: TokenFinder, budgets: Budgets) -> None:
        self._tokens = tokens
        self._budgets = budgets

    async def identify(self, request: web.Request) -> Principal:
        """Say who calls, and count the call. Raises ``Refused``, ``Unavailable``.

        From then on ``request[ALLOWANCE]`` is what is left to them, which every answer tells.
        """
        _check_query(request)
        token = await self._find(_shown(request), request.headers.get("X-Router-Client", ""))
        allowance = request[ALLOWANCE] = await self._budgets.spend(token.id)
        check(allowance)
        self._tokens.used(token)
        actor = f"token:{token.id}"
        return Principal(token.id, actor, token.tenant_id, token.slug, token.opens, token.operator_id)

    async def _find(self, shown: str, address: str) -> Token:
        """Find whose token it is. A wrong one costs its sender's network, and soon not the database."""
        token = self._tokens.peek(shown)
        if token is PENDING:
            await self._budgets.check_guesses(address)
            token = await self._tokens.find(shown)
        if token is None:
            await self._budgets.note_guess(address)
            sentence = "The token is not valid: unknown, expired, revoked, or of an operator who is disabled."
            raise _unauthorised("invalid_token", sentence, f'{REALM}, error="invalid_token"')
        return token


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
        raise _unauthorised("token_needed", "Send one token, as in Authorization: Bearer trt_….", REALM)
    return match[1]


def _unauthorised(code: str, sentence: str, challenge: str) -> Refused:
    return Refused(401, code, sentence, headers={"WWW-Authenticate": challenge})  # RFC 6750 section 3
