"""``/operators``: who signs in to the console. Who is bound to a tenant manages that tenant's alone.

And nobody makes somebody who may do more than they may themselves, nor a link to become such a one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from router.console.access import check_gives
from router.console.api.bodies import Body, Email, Printable
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import SCOPES_OF, Role, Scope, role_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.console.access import Access
    from router.console.operator_rows import Operator
    from router.console.operators import Operators

_A_TENANT = "The short name of their tenant; none, for the platform."


class OperatorsWanted(Paging):
    """Which operators are listed."""

    tenant: Printable | None = Field(None, description="Only those of this tenant.")


class OperatorWish(Body):
    """A new operator. Without ``tenant`` they are whatever their maker is for: the platform, or a tenant."""

    email: Email
    tenant: Printable | None = Field(None, description="The short name of their tenant.")
    read_only: bool = Field(
        default=False, description="They see everything that is theirs, and change nothing."
    )


class OperatorChange(Body):
    """What is to be different; what is left out stays. Their sessions end.

    The API tokens that they made do no more than they may, from then on: nothing while they are disabled.
    """

    read_only: bool | None = Field(None, description="Whether they change nothing.")
    disabled: bool | None = Field(None, description="Whether they are kept out.")


class OperatorTold(BaseModel):
    """An operator."""

    id: str
    email: str
    tenant: str | None = Field(description=_A_TENANT)
    role: Role
    state: str = Field(description="`active`, `disabled`, or `invited` until their first link was used.")
    tokens: int = Field(
        description="API tokens that they made: stopped while they are disabled, revoked with them."
    )
    version: int
    created_at: datetime
    updated_at: datetime


class OperatorLinked(OperatorTold):
    """An operator, and the link with which they choose a password."""

    link: str = Field(description="Works once, within a day; told this once, and replaces earlier ones.")


class OperatorList(BaseModel):
    """Some operators, by e-mail address."""

    items: list[OperatorTold]
    next: str | None


class OperatorsEndpoint:
    """Manages operators. ``address`` says where the token of a link is opened."""

    def __init__(self, operators: Operators, access: Access, address: Callable[[str], str]) -> None:
        self._operators = operators
        self._access = access
        self._address = address

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "GET",
                "/operators",
                Scope.OPERATORS_READ,
                self._list,
                "List operators",
                query=OperatorsWanted,
                answer=OperatorList,
                fails=("bad_cursor", "tenant_not_found"),
            ),
            Operation(
                "POST",
                "/operators",
                Scope.OPERATORS_WRITE,
                self._add,
                "Add an operator, and get the link with which they choose a password",
                body=OperatorWish,
                answer=OperatorLinked,
                status=201,
                creates=True,
                secret=True,
                fails=("tenant_not_found", "409 email_taken"),
            ),
            Operation(
                "GET",
                "/operators/{id}",
                Scope.OPERATORS_READ,
                self._show,
                "Show an operator",
                answer=OperatorTold,
                fails=("no_such_operator",),
            ),
            Operation(
                "PATCH",
                "/operators/{id}",
                Scope.OPERATORS_WRITE,
                self._change,
                "Let an operator only look, or keep them out",
                body=OperatorChange,
                answer=OperatorTold,
                versioned=True,
                fails=("no_such_operator", "409 last_operator"),
            ),
            Operation(
                "DELETE",
                "/operators/{id}",
                Scope.OPERATORS_WRITE,
                self._remove,
                "Remove an operator",
                fails=("no_such_operator", "409 last_operator"),
            ),
            Operation(
                "POST",
                "/operators/{id}/link",
                Scope.OPERATORS_WRITE,
                self._link,
                "Make another link, for who lost theirs, or their password",
                answer=OperatorLinked,
                secret=True,
                fails=("no_such_operator", "409 operator_disabled"),
            ),
        )

    async def _list(self, call: Call[None, OperatorsWanted]) -> Reply:
        """Those of one tenant, for who is bound to it."""
        query, within = call.query, call.principal.tenant_id
        if query.tenant is not None:
            admitted = await self._access.admit(call.principal, Scope.OPERATORS_READ, query.tenant)
            within = admitted.tenant.id
        after = str(place_of(query.after, str)[0]) if query.after is not None else ""
        found = await self._operators.list(within=within, after=after, limit=query.limit + 1)
        rows, following = piece(found, query.limit, lambda operator: (operator.email,))
        made = await self._operators.tokens_of([operator.id for operator in rows])
        items = [OperatorTold.model_validate(_told(each, made.get(each.id, 0))) for each in rows]
        return Reply(OperatorList(items=items, next=following))

    async def _show(self, call: Call[None, None]) -> Reply:
        found = await self._operators.find(call.path["id"], within=call.principal.tenant_id)
        return await self._shown(found)

    async def _add(self, call: Call[OperatorWish, None]) -> Reply:
        wish, tenant_id = call.body, call.principal.tenant_id
        if wish.tenant is not None:
            admitted = await self._access.admit(call.principal, Scope.OPERATORS_WRITE, wish.tenant)
            tenant_id = admitted.tenant.id
        check_gives(call.principal, SCOPES_OF[role_of(tenant_id, read_only=wish.read_only)])
        token, made = await self._operators.add(
            wish.email, tenant_id=tenant_id, read_only=wish.read_only, actor=call.actor
        )
        return await self._linked(token, made)

    async def _change(self, call: Call[OperatorChange, None]) -> Reply:
        wish, within, version = call.body, call.principal.tenant_id, call.version
        if wish.read_only is False or wish.disabled is False:
            found = await self._operators.find(call.path["id"], within=within)
            read_only = found.read_only if wish.read_only is None else wish.read_only
            check_gives(call.principal, SCOPES_OF[role_of(found.tenant_id, read_only=read_only)])
            version = found.version if version is None else version  # what was judged is what is changed
        changed = await self._operators.change(
            call.path["id"],
            read_only=wish.read_only,
            disabled=wish.disabled,
            actor=call.actor,
            version=version,
            within=within,
        )
        return await self._shown(changed)

    async def _remove(self, call: Call[None, None]) -> Reply:
        """Their sessions end, and the tokens that they made; what they did stays in the audit."""
        within = call.principal.tenant_id
        await self._operators.remove(call.path["id"], actor=call.actor, within=within)
        return Reply()

    async def _link(self, call: Call[None, None]) -> Reply:
        """Whoever has somebody's link can become them: nobody makes one for who may do more."""
        within = call.principal.tenant_id
        found = await self._operators.find(call.path["id"], within=within)
        check_gives(call.principal, SCOPES_OF[found.role])
        token, operator = await self._operators.new_link(found.id, actor=call.actor, within=within)
        return await self._linked(token, operator)

    async def _linked(self, token: str, operator: Operator) -> Reply:
        told = {**_told(operator, await self._tokens(operator)), "link": self._address(token)}
        return Reply(OperatorLinked.model_validate(told), operator.version)

    async def _shown(self, operator: Operator) -> Reply:
        told = _told(operator, await self._tokens(operator))
        return Reply(OperatorTold.model_validate(told), operator.version)

    async def _tokens(self, operator: Operator) -> int:
        return (await self._operators.tokens_of([operator.id])).get(operator.id, 0)


def _told(operator: Operator, tokens: int) -> dict[str, object]:
    return {
        "id": operator.id,
        "email": operator.email,
        "tenant": operator.slug,
        "role": operator.role,
        "state": operator.state,
        "tokens": tokens,
        "version": operator.version,
        "created_at": datetime.fromtimestamp(operator.created_at, UTC),
        "updated_at": datetime.fromtimestamp(operator.updated_at, UTC),
    }
