"""Who runs the platform, or one tenant's portal: asked in by a link, and what they may do."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.access import check_gives
from router.console.api.lists import piece, place_of
from router.console.pages.page import Action, Form, FormPage, Page, version_in
from router.console.scopes import SCOPES_OF, Scope, role_of
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from router.console.operator_rows import Operator
    from router.console.operators import Operators
    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent

PLATFORMS: Final = "/operators"
TENANTS: Final = "/tenants/{tenant}/operators"

_AT_ONCE: Final = 50
_TOLD: Final = MappingProxyType(
    {
        "changed": "Saved. They have to sign in again.",
        "removed": "They are an operator no longer, and signed out.",
    }
)


class OperatorsPage(FormPage):
    """``/operators``: everybody's; the form asks somebody in, and shows their link this once."""

    path: ClassVar = PLATFORMS
    template: ClassVar = "operators.html"
    title: ClassVar = "Operators"
    section: ClassVar = "operators"
    scope: ClassVar = Scope.OPERATORS_READ
    change: ClassVar = Scope.OPERATORS_WRITE
    platform: ClassVar = True
    typed: ClassVar = ("email", "read_only")
    required: ClassVar = ("email",)
    said: ClassVar = MappingProxyType({"bad_email": "email", "email_taken": "email"})
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, operators: Operators, link_address: Callable[[str], str]) -> None:
        super().__init__(desk)
        self._operators = operators
        self._link_address = link_address

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of the list."""
        here, after = call.address(self.path), call.request.query.get("after", "")
        facts = {"link": "", "about_whom": "", "first": here if after else "", "of_tenant": call.about}
        try:
            place = str(place_of(after, str)[0]) if after else ""
        except BadInput as fault:
            return facts | {"operators": [], "tokens": {}, "fault": fault.sentence, "next": ""}
        found = await self._operators.list(within=call.within, after=place, limit=_AT_ONCE + 1)
        rows, following = piece(found, _AT_ONCE, lambda operator: (operator.email,))
        return facts | {
            "operators": rows,
            "tokens": await self._operators.tokens_of([each.id for each in rows]),
            "fault": "",
            "next": f"{here}?after={following}" if following else "",
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Ask them in."""
        tenant_id, read_only = call.within, sent["read_only"] == "yes"
        check_gives(call.principal, SCOPES_OF[role_of(tenant_id, read_only=read_only)])
        token, made = await self._operators.add(
            sent["email"], tenant_id=tenant_id, read_only=read_only, actor=call.actor
        )
        return await self.linked(call, token, made)

    async def linked(self, call: Call, token: str, operator: Operator) -> web.Response:
        """Show a link, this once."""
        facts = {**await self.facts(call), "link": self._link_address(token), "about_whom": operator.email}
        return self.render(call, {"form": Form(), **facts})


class TenantOperatorsPage(OperatorsPage):
    """``/tenants/{tenant}/operators``: those of one tenant."""

    path: ClassVar = TENANTS
    section: ClassVar = "tenant-operators"
    platform: ClassVar = False


class OperatorAction(Action):
    """What a button of the list does to one operator."""

    change: ClassVar = Scope.OPERATORS_WRITE
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, operators: Operators) -> None:
        super().__init__(desk)
        self._operators = operators


class ChangeOperatorAction(OperatorAction):
    """Let them change things or only look; keep them out or let them in, and the tokens that they made."""

    path: ClassVar = PLATFORMS + "/{operator}/change"
    back: ClassVar = PLATFORMS
    platform: ClassVar = True

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Nobody makes somebody who may do more than they may themselves."""
        within, read_only, disabled = call.within, _wish(sent["read_only"]), _wish(sent["disabled"])
        found = await self._operators.find(call.path["operator"], within=within)
        looks_only = found.read_only if read_only is None else read_only
        check_gives(call.principal, SCOPES_OF[role_of(found.tenant_id, read_only=looks_only)])
        await self._operators.change(
            found.id,
            read_only=read_only,
            disabled=disabled,
            actor=call.actor,
            version=version_in(sent),
            within=within,
        )
        return self.done(call, "changed")


class ChangeTenantOperatorAction(ChangeOperatorAction):
    """The same within one tenant."""

    path: ClassVar = TENANTS + "/{operator}/change"
    back: ClassVar = TENANTS
    platform: ClassVar = False


class RemoveOperatorAction(OperatorAction):
    """Take them off the list; what they did stays in the audit."""

    path: ClassVar = PLATFORMS + "/{operator}/remove"
    back: ClassVar = PLATFORMS
    platform: ClassVar = True

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Their sessions end."""
        await self._operators.remove(call.path["operator"], actor=call.actor, within=call.within)
        return self.done(call, "removed")


class RemoveTenantOperatorAction(RemoveOperatorAction):
    """The same within one tenant."""

    path: ClassVar = TENANTS + "/{operator}/remove"
    back: ClassVar = TENANTS
    platform: ClassVar = False


class OperatorLinkAction(OperatorAction):
    """Make another link, for who lost theirs, or their password."""

    path: ClassVar = PLATFORMS + "/{operator}/link"
    back: ClassVar = PLATFORMS
    platform: ClassVar = True

    def __init__(self, desk: Desk, operators: Operators, page: OperatorsPage) -> None:
        super().__init__(desk, operators)
        self._page = page

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Whoever has somebody's link can become them: nobody makes one for who may do more."""
        within = call.within
        found = await self._operators.find(call.path["operator"], within=within)
        check_gives(call.principal, SCOPES_OF[found.role])
        token, operator = await self._operators.new_link(found.id, actor=call.actor, within=within)
        return await self._page.linked(call, token, operator)


class TenantOperatorLinkAction(OperatorLinkAction):
    """The same within one tenant."""

    path: ClassVar = TENANTS + "/{operator}/link"
    back: ClassVar = TENANTS
    platform: ClassVar = False


def operator_pages(desk: Desk, operators: Operators, link_address: Callable[[str], str]) -> tuple[Page, ...]:
    """Make all pages about operators."""
    all_of_them = OperatorsPage(desk, operators, link_address)
    of_tenant = TenantOperatorsPage(desk, operators, link_address)
    return (
        all_of_them,
        of_tenant,
        ChangeOperatorAction(desk, operators),
        ChangeTenantOperatorAction(desk, operators),
        RemoveOperatorAction(desk, operators),
        RemoveTenantOperatorAction(desk, operators),
        OperatorLinkAction(desk, operators, all_of_them),
        TenantOperatorLinkAction(desk, operators, of_tenant),
    )


def _wish(said: str) -> bool | None:
    """Read a button's wish; what it does not speak of stays."""
    return {"yes": True, "no": False}.get(said)
