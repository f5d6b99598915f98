"""``tenant-router webhook``: add, list, rotate, disable, enable, remove, deliveries, redeliver, test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Record, answer, show_list, when

if TYPE_CHECKING:
    from router.webhooks.webhook import DeliveryRecord, Webhook

app = App(name="webhook", help="Webhooks: who is told what happens to domains and certificates.")

COLUMNS: Final = ("id", "tenant", "url", "events", "disabled", "failing_since")
NONE_YET: Final = "There are none yet: tenant-router webhook add --help"
DELIVERY_COLUMNS: Final = ("id", "event", "state", "attempts", "status", "error", "created_at")
NO_DELIVERIES: Final = "There are none: tenant-router webhook test sends one."

_MOST: Final = 10_000

WebhookId = Annotated[str, Parameter(name="ID", help="The webhook's id, from `webhook list`.")]
Of = Annotated[str | None, Parameter(help="Only those of one tenant.")]


@app.command
async def add(
    url: Annotated[str, Parameter(help="Where events are posted to: https, and no private address.")],
    /,
    *,
    tenant: Annotated[
        str | None,
        Parameter(help="The short name of the tenant whose events they are; without it, of all."),
    ] = None,
    event: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A kind of event, such as domain.active; repeatable, all by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    r"""Have events posted to a URL. The secret that signs them is shown this once.

    For example:
        tenant-router webhook add https://billing.example.com/hooks/portal --tenant acme \
            --event domain.active --event certificate.expiring
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database
    from router.storage.events import ALL  # noqa: PLC0415 - the same

    async with opened() as stores:
        owner = await stores.owner(tenant)
        secret, made = await stores.webhooks.add(owner, url, event or [ALL], actor=actor())
    whose = f"tenant {made.slug}" if made.slug else "all tenants and the platform"
    said = f"{made.id} is told of events of {whose}. Keep the secret safe: it is shown this once."
    answer({**_described(made), "secret": secret}, secret, said, as_json=as_json)


@app.command(name="list")
async def list_(*, tenant: Of = None, as_json: AsJson = False) -> None:
    """List the webhooks; never their secrets.

    For example:
        tenant-router webhook list --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        owner = await stores.owner(tenant)
        found = await stores.webhooks.list(within=owner, most=_MOST)
    rows = [_described(each) for each in found]
    show_list(rows, COLUMNS, as_json=as_json, none=NONE_YET)


@app.command
async def rotate(webhook_id: WebhookId, /, *, as_json: AsJson = False) -> None:
    """Give a webhook another secret, shown this once; for a day the former one signs too.

    For example:
        tenant-router webhook rotate whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        secret, webhook = await stores.webhooks.rotate(webhook_id, actor=actor())
    said = "Both secrets sign for a day: give the receiver the new one until then."
    answer({**_described(webhook), "secret": secret}, secret, said, as_json=as_json)


@app.command
async def disable(webhook_id: WebhookId, /, *, as_json: AsJson = False) -> None:
    """Send a webhook no more events.

    For example:
        tenant-router webhook disable whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        webhook = await stores.webhooks.disable(webhook_id, actor=actor())
    answer(_described(webhook), f"{webhook.id} is sent no more events.", as_json=as_json)


@app.command
async def enable(webhook_id: WebhookId, /, *, as_json: AsJson = False) -> None:
    """Send a webhook events again, from now on.

    For example:
        tenant-router webhook enable whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        webhook = await stores.webhooks.enable(webhook_id, actor=actor())
    answer(_described(webhook), f"{webhook.id} is sent events again.", as_json=as_json)


@app.command
async def remove(webhook_id: WebhookId, /, *, as_json: AsJson = False) -> None:
    """Remove a webhook; what waits for it is not sent.

    For example:
        tenant-router webhook remove whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        webhook = await stores.webhooks.remove(webhook_id, actor=actor())
    answer(_described(webhook), f"{webhook.id} is removed.", as_json=as_json)


@app.command
async def deliveries(
    webhook_id: WebhookId,
    /,
    *,
    most: Annotated[int, Parameter(help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the latest deliveries to a webhook and what became of them; they are kept for 30 days.

    For example:
        tenant-router webhook deliveries whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        found = await stores.webhooks.deliveries(webhook_id, most=max(1, most))
    rows = [_sent(each) for each in found]
    show_list(rows, DELIVERY_COLUMNS, as_json=as_json, none=NO_DELIVERIES)


@app.command
async def redeliver(
    webhook_id: WebhookId,
    delivery: Annotated[str, Parameter(help="The delivery's id, from `webhook deliveries`.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Have a delivery sent once more, at once and with all its attempts.

    For example:
        tenant-router webhook redeliver whk_5f0c4e2b9a7d4c1e8b3a6f90 whd_a97d4c1e8b3a6f905f0c4e2b
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        sent = await stores.webhooks.redeliver(webhook_id, delivery, actor=actor())
    answer(_sent(sent), f"{sent.id} is sent once more.", as_json=as_json)


@app.command(name="test")
async def try_out(webhook_id: WebhookId, /, *, as_json: AsJson = False) -> None:
    """Have an event sent that tells nothing, to try a webhook out.

    For example:
        tenant-router webhook test whk_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        made = await stores.webhooks.test(webhook_id, actor=actor())
    said = f"{made.id} is on its way. What became of it: tenant-router webhook deliveries {made.webhook_id}"
    answer(_sent(made), said, as_json=as_json)


def _described(webhook: Webhook) -> Record:
    return {
        "id": webhook.id,
        "tenant": webhook.slug or "(all)",
        "url": webhook.url,
        "events": list(webhook.events),
        "disabled": webhook.disabled,
        "failing_since": _moment(webhook.failing_since),
        "created_by": webhook.created_by,
        "created_at": when(webhook.created_at),
    }


def _sent(delivery: DeliveryRecord) -> Record:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": when(delivery.due_at) if delivery.state == "waiting" else None,
        "status": delivery.status,
        "error": delivery.error,
        "created_at": when(delivery.created_at),
        "sent_at": _moment(delivery.sent_at),
        "body": delivery.body,
    }


def _moment(at: int | None) -> str | None:
    return when(at) if at is not None else None
