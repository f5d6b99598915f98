"""``/tokens``: the API's own tokens. Who is bound to a tenant sees, makes and revokes that tenant's alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from router.console.access import Forbidden
from router.console.api.bodies import Body, Printable
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import PLATFORMS_OWN, Scope
from router.console.tokens import MAX_DAYS
from router.errors import BadInput

if TYPE_CHECKING:
    from router.console.access import Access
    from router.console.tokens import Token, Tokens


class TokenWish(Body):
    """What a new token is for. Without ``tenant`` it speaks for whatever its maker does."""

    name: str = Field(description="What it is for, in words.", examples=["Billing system"])
    scopes: Annotated[list[Scope], Field(min_length=1)] = Field(description="What it may do.")
    tenant: Printable | None = Field(None, description="The short name of the tenant it speaks for.")
    days: int = Field(365, ge=1, le=MAX_DAYS, description="How long it lives.")


class TokenTold(BaseModel):
    """What is known of a token; the token itself is not."""

    id: str
    name: str
    tenant: str | None = Field(description="The tenant that it speaks for; none, for all.")
    scopes: list[str]
    state: str = Field(
        description="`valid`, `expired`, `revoked`, or `stopped` while the operator is disabled who made it."
    )
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class TokenMade(TokenTold):
    """A new token."""

    token: str = Field(description="The token itself, told this once.", examples=["trt_…"])


class TokenList(BaseModel):
    """Some tokens, the newest first."""

    items: list[TokenTold]
    next: str | None


class TokensEndpoint:
    """Manages tokens."""

    def __init__(self, tokens: Tokens, access: Access) -> None:
        self._tokens = tokens
        self._access = access

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "GET",
                "/tokens",
                Scope.TOKENS_READ,
                self._list,
                "List tokens, expired and revoked ones too",
                query=Paging,
                answer=TokenList,
                fails=("bad_cursor",),
            ),
            Operation(
                "POST",
                "/tokens",
                Scope.TOKENS_WRITE,
                self._add,
                "Make a token, which is told this once",
                body=TokenWish,
                answer=TokenMade,
                status=201,
                creates=True,
                secret=True,
                fails=("bad_name", "bad_scope", "tenant_not_found"),
            ),
            Operation(
                "DELETE",
                "/tokens/{id}",
                Scope.TOKENS_WRITE,
                self._revoke,
                "Make a token worthless within a second",
                fails=("token_not_found",),
            ),
        )

    async def _list(self, call: Call[None, Paging]) -> Reply:
        """Those of one tenant, for a token of that tenant."""
        query = call.query
        place = place_of(query.after, int, str) if query.after is not None else None
        after = (int(place[0]), str(place[1])) if place is not None else None
        found = await self._tokens.page(call.principal.tenant_id, most=query.limit + 1, after=after)
        rows, following = piece(found, query.limit, lambda token: (token.created_at, token.id))
        items = [TokenTold.model_validate(self._told(token)) for token in rows]
        return Reply(TokenList(items=items, next=following))

    async def _add(self, call: Call[TokenWish, None]) -> Reply:
        """Nobody gives away what they may not do themselves."""
        wish, tenant_id = call.body, call.principal.tenant_id
        for scope in wish.scopes:
            if not call.principal.may(scope):
                raise Forbidden(scope)
        if wish.tenant is not None:
            admitted = await self._access.admit(call.principal, Scope.TOKENS_WRITE, wish.tenant)
            tenant_id = admitted.tenant.id
        if tenant_id is not None and PLATFORMS_OWN.intersection(wish.scopes):
            own = ", ".join(sorted(PLATFORMS_OWN))
            raise BadInput("bad_scope", f"A token of one tenant cannot have any of: {own}.")
        secret, made = await self._tokens.add(
            wish.name,
            wish.scopes,
            days=wish.days,
            tenant_id=tenant_id,
            actor=call.actor,
            operator_id=call.principal.operator_id,
        )
        return Reply(TokenMade.model_validate({**self._told(made), "token": secret}))

    async def _revoke(self, call: Call[None, None]) -> Reply:
        """It opens nothing any more; again is no fault. A token may revoke itself."""
        await self._tokens.revoke(call.path["id"], actor=call.actor, tenant_id=call.principal.tenant_id)
        return Reply()

    def _told(self, token: Token) -> dict[str, object]:
        return {
            "id": token.id,
            "name": token.name,
            "tenant": token.slug,
            "scopes": list(token.scopes),
            "state": self._tokens.state(token),
            "created_by": token.created_by,
            "created_at": _moment(token.created_at),
            "expires_at": _moment(token.expires_at),
            "last_used_at": _moment(token.last_used_at),
            "revoked_at": _moment(token.revoked_at),
        }


def _moment(at: int | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
