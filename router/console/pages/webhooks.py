"""Webhooks: who is told of events, and how each delivery went; the platform's, or one tenant's."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.api.lists import piece, place_of
from router.console.pages.page import Action, Form, FormPage, Page
from router.console.scopes import Scope
from router.errors import BadInput
from router.storage.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.webhooks.webhooks import Webhooks

PLATFORMS: Final = "/webhooks"
TENANTS: Final = "/tenants/{tenant}/webhooks"

_AT_ONCE: Final = 50
_TOLD: Final = MappingProxyType(
    {
        "removed": "The webhook is removed: nothing is sent there any more.",
        "disabled": "The webhook is switched off.",
        "enabled": "The webhook is switched on again.",
        "tested": "A test event is on its way: look at the deliveries in a moment.",
        "redelivered": "It is sent once more.",
    }
)


class WebhooksPage(FormPage):
    """``/webhooks``: all of them; the form adds one of the platform's, and shows its secret this once."""

    path: ClassVar = PLATFORMS
    template: ClassVar = "webhooks.html"
    title: ClassVar = "Webhooks"
    section: ClassVar = "webhooks"
    scope: ClassVar = Scope.WEBHOOKS_READ
    change: ClassVar = Scope.WEBHOOKS_WRITE
    platform: ClassVar = True
    typed: ClassVar = ("url", *EventKind)
    required: ClassVar = ("url",)
    said: ClassVar = MappingProxyType({"bad_webhook_url": "url", "bad_event": "events"})
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, webhooks: Webhooks) -> None:
        super().__init__(desk)
        self._webhooks = webhooks

    async def facts(self, call: Call) -> Mapping[str, object]:
        """List them; there are few."""
        found = await self._webhooks.list(within=call.within)
        return {"webhooks": found, "kinds": tuple(EventKind), "secret": "", "of_tenant": call.about}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Add it; without a kind that is ticked, it is told of all."""
        kinds = [kind.value for kind in EventKind if sent[kind] == "yes"] or ["*"]
        secret, made = await self._webhooks.add(call.within, sent["url"], kinds, actor=call.actor)
        return self.render(call, {**await self.facts(call), "form": Form(), "secret": secret, "made": made})


class TenantWebhooksPage(WebhooksPage):
    """``/tenants/{tenant}/webhooks``: those of one tenant."""

    path: ClassVar = TENANTS
    section: ClassVar = "tenant-webhooks"
    platform: ClassVar = False


class DeliveriesPage(Page):
    """``/webhooks/{webhook}``: what was sent, the newest first."""

    path: ClassVar = PLATFORMS + "/{webhook}"
    template: ClassVar = "deliveries.html"
    title: ClassVar = "Deliveries"
    section: ClassVar = "webhooks"
    scope: ClassVar = Scope.WEBHOOKS_READ
    platform: ClassVar = True
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, webhooks: Webhooks) -> None:
        super().__init__(desk)
        self._webhooks = webhooks

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of them."""
        here, asked, within = call.address(self.path), call.request.query.get("after", ""), call.within
        webhook = await self._webhooks.get(call.path["webhook"], within=within)
        facts = {"webhook": webhook, "first": here if asked else ""}
        try:
            place = place_of(asked, int, str) if asked else None
        except BadInput as fault:
            return facts | {"deliveries": [], "fault": fault.sentence, "next": ""}
        after = (int(place[0]), str(place[1])) if place else None
        found = await self._webhooks.deliveries(webhook.id, within=within, after=after, most=_AT_ONCE + 1)
        rows, following = piece(found, _AT_ONCE, lambda each: (each.created_at, each.id))
        onward = f"{here}?after={following}" if following else ""
        return facts | {"deliveries": rows, "fault": "", "next": onward}


class TenantDeliveriesPage(DeliveriesPage):
    """The same of one tenant's webhook."""

    path: ClassVar = TENANTS + "/{webhook}"
    section: ClassVar = "tenant-webhooks"
    platform: ClassVar = False


class WebhookAction(Action):
    """What a button does to a webhook: ``what`` it is."""

    path: ClassVar = PLATFORMS + "/{webhook}/do"
    back: ClassVar = PLATFORMS
    change: ClassVar = Scope.WEBHOOKS_WRITE
    platform: ClassVar = True

    def __init__(self, desk: Desk, webhooks: Webhooks) -> None:
        super().__init__(desk)
        self._webhooks = webhooks

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Do it."""
        webhook, within = call.path["webhook"], call.within
        match sent["what"]:
            case "remove":
                await self._webhooks.remove(webhook, actor=call.actor, within=within)
                return self.done(call, "removed")
            case "disable":
                await self._webhooks.disable(webhook, actor=call.actor, within=within)
                return self.done(call, "disabled")
            case "enable":
                await self._webhooks.enable(webhook, actor=call.actor, within=within)
                return self.done(call, "enabled")
            case "test":
                await self._webhooks.test(webhook, actor=call.actor, within=within)
                return self.done(call, "tested", self.back + "/{webhook}")
            case _:
                delivery = sent["delivery"]
                await self._webhooks.redeliver(webhook, delivery, actor=call.actor, within=within)
                return self.done(call, "redelivered", self.back + "/{webhook}")


class TenantWebhookAction(WebhookAction):
    """The same to one tenant's webhook."""

    path: ClassVar = TENANTS + "/{webhook}/do"
    back: ClassVar = TENANTS
    platform: ClassVar = False


def webhook_pages(desk: Desk, webhooks: Webhooks) -> tuple[Page, ...]:
    """Make all pages about webhooks."""
    kinds = (WebhooksPage, DeliveriesPage, WebhookAction)
    of_tenants = (TenantWebhooksPage, TenantDeliveriesPage, TenantWebhookAction)
    return tuple(kind(desk, webhooks) for kind in (*kinds, *of_tenants))
