"""``/webhooks``: who is told of events. Who is bound to a tenant sees and changes that tenant's alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from router.console.api.bodies import Body, Printable
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope
from router.storage.events import EventKind

if TYPE_CHECKING:
    from router.console.access import Access
    from router.webhooks.webhook import DeliveryRecord, Webhook
    from router.webhooks.webhooks import Webhooks

Kind = Literal["*"] | EventKind
Url = Annotated[
    Printable,
    Field(
        max_length=2000,
        description="Where events are posted to: https, and where an upstream may be.",
        examples=["https://billing.example.com/hooks/portal"],
    ),
]
Kinds = Annotated[
    list[Kind],
    Field(
        min_length=1,
        max_length=100,
        description="The kinds of events that are wanted; `*` is all, those to come included.",
        examples=[["domain.active", "certificate.expiring"]],
    ),
]


class WebhookWish(Body):
    """Where to send which events. Without ``tenant`` it is told of whatever is its maker's."""

    url: Url
    events: Kinds
    tenant: Printable | None = Field(None, description="The short name of the tenant whose events they are.")


class WebhookChange(Body):
    """What of a webhook is to change."""

    url: Url | None = None
    events: Kinds | None = None


class DeliveryQuery(Paging):
    """Which deliveries are listed."""

    state: Literal["waiting", "sending", "sent", "failed"] | None = Field(
        None, description="Only those in this state."
    )


class WebhookTold(BaseModel):
    """A webhook; never its secret."""

    id: str
    tenant: str | None = Field(description="Whose events it is told of; none: of all, and the platform's.")
    url: str
    events: list[str]
    disabled: bool
    failing_since: datetime | None = Field(description="Since when no delivery arrived, if that is so.")
    created_by: str
    created_at: datetime


class WebhookMade(WebhookTold):
    """A webhook with its secret."""

    secret: str = Field(
        description="What its deliveries are signed by, told this once.", examples=["whsec_…"]
    )


class WebhookList(BaseModel):
    """Some webhooks."""

    items: list[WebhookTold]
    next: str | None


class DeliveryTold(BaseModel):
    """An event on its way to a webhook."""

    id: str = Field(description="Its `webhook-id`.")
    event: str
    state: str = Field(description="`waiting`, `sending`, `sent` or `failed`.")
    attempts: int
    next_attempt_at: datetime | None
    status: int | None = Field(description="That of the latest answer.")
    error: str | None
    created_at: datetime
    sent_at: datetime | None
    body: str = Field(description="What is sent, octet for octet.")


class DeliveryList(BaseModel):
    """Some deliveries, the newest first."""

    items: list[DeliveryTold]
    next: str | None


class WebhooksEndpoint:
    """Manages webhooks."""

    def __init__(self, webhooks: Webhooks, access: Access) -> None:
        self._webhooks = webhooks
        self._access = access

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        one, unknown = "/webhooks/{id}", ("no_such_webhook",)
        reading, writing = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE
        return (
            Operation(
                "GET",
                "/webhooks",
                reading,
                self._list,
                "List webhooks",
                query=Paging,
                answer=WebhookList,
                fails=("bad_cursor",),
            ),
            Operation(
                "POST",
                "/webhooks",
                writing,
                self._add,
                "Set a webhook up; its secret is told this once",
                body=WebhookWish,
                answer=WebhookMade,
                status=201,
                creates=True,
                secret=True,
                fails=("bad_webhook_url", "409 enough_webhooks", "tenant_not_found"),
            ),
            Operation("GET", one, reading, self._get, "Show a webhook", answer=WebhookTold, fails=unknown),
            Operation(
                "PATCH",
                one,
                writing,
                self._change,
                "Change where a webhook is, or what it is told of",
                body=WebhookChange,
                answer=WebhookTold,
                fails=("no_such_webhook", "bad_webhook_url"),
            ),
            Operation(
                "DELETE", one, writing, self._remove, "Remove a webhook and its deliveries", fails=unknown
            ),
            Operation(
                "POST",
                f"{one}/disable",
                writing,
                self._disable,
                "Send a webhook no more events",
                answer=WebhookTold,
                fails=unknown,
            ),
            Operation(
                "POST",
                f"{one}/enable",
                writing,
                self._enable,
                "Send a webhook events again",
                answer=WebhookTold,
                fails=unknown,
            ),
            Operation(
                "POST",
                f"{one}/secret",
                writing,
                self._rotate,
                "Give a webhook another secret; for a day the former one signs too",
                answer=WebhookMade,
                secret=True,
                fails=unknown,
            ),
            *self._about_deliveries(one),
        )

    def _about_deliveries(self, one: str) -> tuple[Operation, ...]:
        off = ("no_such_webhook", "409 webhook_disabled")
        return (
            Operation(
                "GET",
                f"{one}/deliveries",
                Scope.WEBHOOKS_READ,
                self._deliveries,
                "List what was sent to a webhook in the last 30 days, or is to be",
                query=DeliveryQuery,
                answer=DeliveryList,
                fails=("no_such_webhook", "bad_cursor"),
            ),
            Operation(
                "POST",
                f"{one}/deliveries/{{delivery}}/redeliver",
                Scope.WEBHOOKS_WRITE,
                self._redeliver,
                "Send a delivery once more",
                answer=DeliveryTold,
                status=202,
                fails=(*off, "no_such_delivery", "409 delivery_under_way", "409 enough_redeliveries"),
            ),
            Operation(
                "POST",
                f"{one}/test",
                Scope.WEBHOOKS_WRITE,
                self._test,
                "Send an event that tells nothing, to try a webhook out",
                answer=DeliveryTold,
                status=202,
                creates=True,
                fails=(*off, "409 enough_tests"),
            ),
        )

    async def _list(self, call: Call[None, Paging]) -> Reply:
        """The platform's and every tenant's, for who speaks for all."""
        query = call.query
        after = str(place_of(query.after, str)[0]) if query.after is not None else ""
        found = await self._webhooks.list(within=call.principal.tenant_id, after=after, most=query.limit + 1)
        rows, following = piece(found, query.limit, lambda each: (each.id,))
        return Reply(WebhookList(items=[_told(each) for each in rows], next=following))

    async def _add(self, call: Call[WebhookWish, None]) -> Reply:
        """Answer it with its secret, which nobody can read afterwards."""
        wish, tenant_id = call.body, call.principal.tenant_id
        if wish.tenant is not None:
            admitted = await self._access.admit(call.principal, Scope.WEBHOOKS_WRITE, wish.tenant)
            tenant_id = admitted.tenant.id
        secret, made = await self._webhooks.add(tenant_id, wish.url, wish.events, actor=call.actor)
        return Reply(WebhookMade(**_told(made).model_dump(), secret=secret))

    async def _get(self, call: Call[None, None]) -> Reply:
        found = await self._webhooks.get(call.path["id"], within=call.principal.tenant_id)
        return Reply(_told(found))

    async def _change(self, call: Call[WebhookChange, None]) -> Reply:
        """What waits is sent to where it is then."""
        changed = await self._webhooks.change(
            call.path["id"],
            url=call.body.url,
            events=call.body.events,
            actor=call.actor,
            within=call.principal.tenant_id,
        )
        return Reply(_told(changed))

    async def _remove(self, call: Call[None, None]) -> Reply:
        """What waits for it is not sent."""
        await self._webhooks.remove(call.path["id"], actor=call.actor, within=call.principal.tenant_id)
        return Reply()

    async def _disable(self, call: Call[None, None]) -> Reply:
        """What waits for it has failed; what happens from now on is not kept for it. Again is no change."""
        changed = await self._webhooks.disable(
            call.path["id"], actor=call.actor, within=call.principal.tenant_id
        )
        return Reply(_told(changed))

    async def _enable(self, call: Call[None, None]) -> Reply:
        """What failed before is sent if it is asked for. Again is no change."""
        changed = await self._webhooks.enable(
            call.path["id"], actor=call.actor, within=call.principal.tenant_id
        )
        return Reply(_told(changed))

    async def _rotate(self, call: Call[None, None]) -> Reply:
        """Each delivery of a day is signed by both, so none is lost while the receiver changes over."""
        secret, webhook = await self._webhooks.rotate(
            call.path["id"], actor=call.actor, within=call.principal.tenant_id
        )
        return Reply(WebhookMade(**_told(webhook).model_dump(), secret=secret))

    async def _deliveries(self, call: Call[None, DeliveryQuery]) -> Reply:
        """The newest first."""
        query, after = call.query, None
        if query.after is not None:
            at, name = place_of(query.after, int, str)
            after = int(at), str(name)
        found = await self._webhooks.deliveries(
            call.path["id"],
            within=call.principal.tenant_id,
            state=query.state,
            after=after,
            most=query.limit + 1,
        )
        rows, following = piece(found, query.limit, lambda each: (each.created_at, each.id))
        return Reply(DeliveryList(items=[_sent(each) for each in rows], next=following))

    async def _redeliver(self, call: Call[None, None]) -> Reply:
        """Under the same `webhook-id`, and with all attempts before it."""
        sent = await self._webhooks.redeliver(
            call.path["id"], call.path["delivery"], actor=call.actor, within=call.principal.tenant_id
        )
        return Reply(_sent(sent))

    async def _test(self, call: Call[None, None]) -> Reply:
        """Its kind is `webhook.test`, and it is sent whatever the webhook asked for."""
        made = await self._webhooks.test(call.path["id"], actor=call.actor, within=call.principal.tenant_id)
        return Reply(_sent(made))


def _told(webhook: Webhook) -> WebhookTold:
    return WebhookTold(
        id=webhook.id,
        tenant=webhook.slug,
        url=webhook.url,
        events=list(webhook.events),
        disabled=webhook.disabled,
        failing_since=_moment(webhook.failing_since),
        created_by=webhook.created_by,
        created_at=datetime.fromtimestamp(webhook.created_at, UTC),
    )


def _sent(delivery: DeliveryRecord) -> DeliveryTold:
    return DeliveryTold(
        id=delivery.id,
        event=delivery.event,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=_moment(delivery.due_at) if delivery.state == "waiting" else None,
        status=delivery.status,
        error=delivery.error,
        created_at=datetime.fromtimestamp(delivery.created_at, UTC),
        sent_at=_moment(delivery.sent_at),
        body=delivery.body,
    )


def _moment(at: int | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
