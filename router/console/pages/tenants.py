"""All tenants, for those who run the platform: the list, a new one, and switching one off or deleting it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, cast, get_args
from urllib.parse import urlencode

from router.behind_edge import see_other
from router.console.api.lists import piece, place_of
from router.console.pages.page import Action, Fault, Faulty, FormPage, Page, version_in
from router.console.scopes import Scope
from router.errors import BadInput
from router.hostname import port_suffix
from router.tenants.form import TenantForm
from router.tenants.listing import Place, Selection, Sorting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.tenants.registry import Registry

_AT_ONCE: Final = 50
_MOST_SEARCHED: Final = 100
_ORDERS: Final = (
    ("slug", "Short name"),
    ("name", "Name"),
    ("-updated_at", "Changed last"),
    ("updated_at", "Changed longest ago"),
)
_STATUSES: Final = (("", "All"), ("active", "Active"), ("suspended", "Suspended"))


class TenantsPage(Page):
    """``/tenants``: searched, filtered and in order, in pieces."""

    path: ClassVar = "/tenants"
    template: ClassVar = "tenants.html"
    title: ClassVar = "Tenants"
    section: ClassVar = "tenants"
    scope: ClassVar = Scope.TENANTS_READ
    platform: ClassVar = True
    told: ClassVar = MappingProxyType({"deleted": "The tenant is deleted, with all that was its own."})

    def __init__(self, desk: Desk, registry: Registry, *, public_port: int) -> None:
        super().__init__(desk)
        self._registry = registry
        self._port = port_suffix(public_port)

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of the list; what is asked for and does not exist is told in its place."""
        asked = _asked(call.request)
        facts = {"asked": asked, "orders": _ORDERS, "statuses": _STATUSES, "port": self._port}
        try:
            rows, following = await self._read(asked)
        except BadInput as fault:
            return facts | {"tenants": [], "fault": fault.sentence, "first": "", "next": ""}
        kept = {name: value for name, value in asked.items() if value and name != "after"}
        first = f"{self.path}?{urlencode(kept)}" if asked["after"] else ""
        onward = f"{self.path}?{urlencode({**kept, 'after': following})}" if following else ""
        return facts | {"tenants": rows, "fault": "", "first": first, "next": onward}

    async def _read(self, asked: Mapping[str, str]) -> tuple[object, str | None]:
        order = cast("Sorting", asked["sort"])
        kind = int if "updated_at" in order else str
        after = cast("Place", place_of(asked["after"], kind, str)) if asked["after"] else None
        status = asked["status"] if asked["status"] in ("active", "suspended") else None
        wanted = Selection(search=asked["search"], status=status, order=order)  # type: ignore[arg-type]
        rows = await self._registry.page(wanted, after=after, most=_AT_ONCE + 1)
        return piece(rows, _AT_ONCE, wanted.place)


class NewTenantPage(FormPage):
    """``/new-tenant``: what a portal needs to answer at once; the rest is settings.

    What is ``needed`` and missed is told with all else that is wrong, hence not ``required`` before.
    """

    path: ClassVar = "/new-tenant"
    template: ClassVar = "new_tenant.html"
    title: ClassVar = "New tenant"
    section: ClassVar = "tenants"
    scope: ClassVar = Scope.TENANTS_MANAGE
    platform: ClassVar = True
    typed: ClassVar = ("name", "portal_address", "theme_colour", "upstreams", "allow_registration")
    needed: ClassVar = ("name", "portal_address", "theme_colour")
    said: ClassVar = MappingProxyType({"slug_taken": "portal_address", "slug_given_up": "portal_address"})

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry

    async def filled(self, call: Call) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Begin with a colour that can be read on."""
        return {"theme_colour": "#0B6E4F"}

    async def facts(self, call: Call) -> Mapping[str, object]:  # noqa: ARG002 - the same for all
        """Say under which domain the address is, and whether an upstream has to be named."""
        registry = self._registry
        return {"domain": registry.platform_domain, "needs_upstreams": registry.needs_upstreams}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Make it, and go on to its settings."""
        form = TenantForm(
            name=sent["name"] or None,
            theme_colour=sent["theme_colour"] or None,
            upstreams=[line.strip() for line in sent["upstreams"].splitlines() if line.strip()] or None,
            allow_registration=sent["allow_registration"] == "yes",
        )
        try:
            made = await self._registry.add(sent["portal_address"], form, actor=call.actor)
        except BadInput as fault:
            raise Faulty(self._all_faults(fault, sent)) from fault
        return see_other(f"/tenants/{made.tenant.slug}/settings?done=added")

    def _all_faults(self, fault: BadInput, sent: Sent) -> dict[str, Fault]:
        """Tell what is missing and what is wrong together, in the order of the page."""
        found = self.faults_in(fault)
        found |= {name: self._missing(name) for name in self.needed if not sent[name]}
        order = {name: place for place, name in enumerate(self.typed)}
        return {name: found[name] for name in sorted(found, key=lambda name: order.get(name, -1))}


class StatePage(Page):
    """``/tenants/{tenant}/state``: whether the portal answers, and the ways to end that."""

    path: ClassVar = "/tenants/{tenant}/state"
    template: ClassVar = "state.html"
    title: ClassVar = "Suspend or delete"
    section: ClassVar = "state"
    scope: ClassVar = Scope.TENANTS_MANAGE
    told: ClassVar = MappingProxyType(
        {
            "suspended": "The portal is switched off: its hostnames answer 503 until it is resumed.",
            "resumed": "The portal is switched on again.",
        }
    )


class StateAction(Action):
    """A button of that page."""

    back: ClassVar = StatePage.path
    change: ClassVar = Scope.TENANTS_MANAGE

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry


class SuspendAction(StateAction):
    """Switch a portal off."""

    path: ClassVar = "/tenants/{tenant}/suspend"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Switch it off."""
        slug = call.admitted.tenant.slug
        await self._registry.suspend(slug, actor=call.actor, version=version_in(sent))
        return self.done(call, "suspended")


class ResumeAction(StateAction):
    """Switch a suspended portal on again."""

    path: ClassVar = "/tenants/{tenant}/resume"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Switch it on."""
        slug = call.admitted.tenant.slug
        await self._registry.resume(slug, actor=call.actor, version=version_in(sent))
        return self.done(call, "resumed")


class DeleteTenantPage(FormPage):
    """``/tenants/{tenant}/delete``: for good, hence its short name is to be typed."""

    path: ClassVar = "/tenants/{tenant}/delete"
    template: ClassVar = "delete_tenant.html"
    title: ClassVar = "Delete the tenant"
    section: ClassVar = "state"
    scope: ClassVar = Scope.TENANTS_MANAGE
    typed: ClassVar = ("slug", "version")
    required: ClassVar = ("slug",)

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry

    async def filled(self, call: Call) -> Mapping[str, str]:
        """Remember which version is looked at."""
        return {"version": str(call.admitted.tenant.version)}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Delete it, if that is what was meant."""
        slug = call.admitted.tenant.slug
        if sent["slug"] != slug:
            sentence = f"Type the tenant's short name, {slug}, to delete it."
            raise Faulty({"slug": Fault("not_the_short_name", sentence)})
        await self._registry.delete(slug, actor=call.actor, version=version_in(sent))
        return see_other(f"{TenantsPage.path}?done=deleted")


def _asked(request: web.Request) -> dict[str, str]:
    """Read what is asked for; an order that there is none of is the usual one."""
    query = request.query
    sort = query.get("sort", "")
    return {
        "search": query.get("search", "")[:_MOST_SEARCHED].strip(),
        "status": query.get("status", ""),
        "sort": sort if sort in get_args(Sorting) else "slug",
        "after": query.get("after", ""),
    }
