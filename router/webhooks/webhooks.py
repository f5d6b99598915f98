"""Webhooks as operators set them up, and what became of their deliveries."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.errors import BadInput, Conflict, NotFound
from router.storage.changes import record
from router.storage.events import ALL, EventKind, delivery_of
from router.storage.latest import latest_first
from router.storage.schema import audit as lines
from router.storage.schema import new_id, tenants, webhook_deliveries, webhooks
from router.storage.sealed import WEBHOOK_SECRETS
from router.webhooks.rows import audit, disable, read_delivery, read_webhook, selected_webhooks
from router.webhooks.signature import Secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.sealing import Sealer
    from router.webhooks.webhook import DeliveryRecord, DeliveryState, Webhook

MOST: Final = 20
"""Webhooks that a tenant has at most, and the platform."""

TESTS_HOURLY: Final = 20
"""Test events that a webhook is sent in an hour at most: nobody is to be knocked up through the router."""

REDELIVERIES_HOURLY: Final = 600
"""Deliveries of a webhook that are sent again by hand in an hour at most, for the same reason."""

_REDELIVERED: Final = "webhook.redeliver"

TEST: Final = "webhook.test"
"""The kind of the event that is sent to try a webhook out; it tells nothing."""

_ID: Final = re.compile(r"wh[kd]_[0-9a-f]{24}")
_table = webhook_deliveries


class Webhooks:
    """The webhooks of all tenants, and the platform's own, which hear of every tenant's events.

    ``check_url`` reads a URL and refuses it where an upstream may not be either. ``actor`` is who to name in
    the audit. With ``within``, a tenant's id, the webhooks of others and of the platform do not exist. All
    methods that take an id raise ``NotFound("no_such_webhook")``; all raise ``Unavailable``.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        sealer: Sealer,
        check_url: Callable[[str], Awaitable[str]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._sealer = sealer
        self._check_url = check_url
        self._clock = clock

    async def add(
        self, tenant_id: str | None, url: str, events: Sequence[str], *, actor: str
    ) -> tuple[str, Webhook]:
        """Set a webhook up; answer its secret, this once, and what is kept of it.

        Raises ``BadInput`` (``bad_webhook_url``, ``bad_event``), ``Conflict("enough_webhooks")``,
        ``NotFound("tenant_not_found")``.
        """
        kinds, secret, webhook_id = parse_events(events), new_secret(), new_id("whk")
        row = {
            "id": webhook_id,
            "tenant_id": tenant_id,
            "url": await self._check_url(url),
            "events": list(kinds),
            "sealed_secret": self._sealed(webhook_id, secret),
            "disabled": False,
            "created_by": actor[:120],
            "created_at": int(self._clock()),
        }
        try:
            async with self._database.write() as connection:
                made = await self._insert(connection, row, actor)
        except IntegrityError as fault:
            raise NotFound("tenant_not_found", "The tenant does not exist (any more).") from fault
        return secret.told, made

    async def list(
        self, *, within: str | None = None, after: str = "", most: int = MOST + 1
    ) -> Sequence[Webhook]:
        """List up to ``most`` webhooks by id, from behind the id ``after`` on."""
        found = selected_webhooks(webhooks.c.id > after, *_of(within)).order_by(webhooks.c.id).limit(most)
        async with self._database.read() as connection:
            return [read_webhook(row) for row in (await connection.execute(found)).mappings()]

    async def get(self, webhook_id: str, *, within: str | None = None) -> Webhook:
        """Tell of one webhook."""
        async with self._database.read() as connection:
            return await _one(connection, webhook_id, within)

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        actor: str,
        within: str | None = None,
    ) -> Webhook:
        """Have events, or other ones, sent to another URL; what waits goes there too.

        Raises as ``add`` does.
        """
        values: dict[str, Any] = {}
        if url is not None:
            values["url"] = await self._check_url(url)
        if events is not None:
            values["events"] = list(parse_events(events))
        async with self._database.write() as connection:
            before = await _one(connection, webhook_id, within, lock=True)
            now = {"url": before.url, "events": list(before.events)}
            values = {name: value for name, value in values.items() if now[name] != value}
            if not values:
                return before
            await connection.execute(update(webhooks).where(webhooks.c.id == before.id).values(values))
            after = await _one(connection, webhook_id, None)
            detail = {"was": before.origin, "url_changed": "url" in values}
            if "events" in values:
                detail |= {"events": {"from": list(before.events), "to": list(after.events)}}
            await audit(connection, after, actor, "webhook.change", detail, self._clock())
        return after

    async def disable(self, webhook_id: str, *, actor: str, within: str | None = None) -> Webhook:
        """Send a webhook no more; what waits for it has failed. Again is no change."""
        async with self._database.write() as connection:
            webhook = await _one(connection, webhook_id, within, lock=True)
            if not webhook.disabled:
                await disable(connection, webhook, actor, {}, self._clock())
            return await _one(connection, webhook_id, None)

    async def enable(self, webhook_id: str, *, actor: str, within: str | None = None) -> Webhook:
        """Send what happens from now on; what failed before is sent if asked for. Again is no change."""
        async with self._database.write() as connection:
            webhook = await _one(connection, webhook_id, within, lock=True)
            if webhook.disabled:
                anew = {"disabled": False, "failing_since": None}
                await connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(anew))
                await audit(connection, webhook, actor, "webhook.enable", {}, self._clock())
                await record(connection, "webhook", webhook.id)
            changed = await _one(connection, webhook_id, None)
        await self._bell.ring()
        return changed

    async def remove(self, webhook_id: str, *, actor: str, within: str | None = None) -> Webhook:
        """Remove a webhook, with what waits for it and what is told of its deliveries."""
        async with self._database.write() as connection:
            webhook = await _one(connection, webhook_id, within, lock=True)
            await connection.execute(delete(webhooks).where(webhooks.c.id == webhook.id))
            await audit(connection, webhook, actor, "webhook.remove", {}, self._clock())
        return webhook

    async def rotate(self, webhook_id: str, *, actor: str, within: str | None = None) -> tuple[str, Webhook]:
        """Give a webhook another secret, and answer that, this once; for a day the former one signs too."""
        now = self._clock()
        async with self._database.write() as connection:
            webhook = await _one(connection, webhook_id, within, lock=True)
            this = webhooks.c.id == webhook.id
            sealed = await connection.scalar(select(webhooks.c.sealed_secret).where(this))
            former = self._sealer.open(sealed or b"", identity=WEBHOOK_SECRETS.identity(webhook.id))
            secret = Secret.load(former).rotated(now)
            values = {"sealed_secret": self._sealed(webhook.id, secret)}
            await connection.execute(update(webhooks).where(this).values(values))
            await audit(connection, webhook, actor, "webhook.rotate", {}, now)
        return secret.told, webhook

    async def deliveries(
        self,
        webhook_id: str,
        *,
        within: str | None = None,
        state: DeliveryState | None = None,
        after: tuple[int, str] | None = None,
        most: int = 50,
    ) -> Sequence[DeliveryRecord]:
        """List up to ``most`` of a webhook's deliveries, the newest first, perhaps in one state.

        ``after`` is when the one was made that the piece before ended with, and its id.
        """
        async with self._database.read() as connection:
            webhook = await _one(connection, webhook_id, within)
            where = [_table.c.webhook_id == webhook.id]
            if state is not None:
                where.append(_table.c.state == state)
            every = select(_table).where(*where)
            found = latest_first(every, _table.c.created_at, _table.c.id, after=after, most=most)
            return [read_delivery(row) for row in (await connection.execute(found)).mappings()]

    async def redeliver(
        self, webhook_id: str, delivery_id: str, *, actor: str, within: str | None = None
    ) -> DeliveryRecord:
        """Send a delivery once more, at once and with all tries before it, under the same ``webhook-id``.

        Raises ``NotFound("no_such_delivery")``, ``Conflict`` with ``delivery_under_way``,
        ``enough_redeliveries`` or ``webhook_disabled``.
        """
        now = int(self._clock())
        values = {"state": "waiting", "attempts": 0, "due_at": now, "error": None, "sent_at": None}
        async with self._database.write() as connection:
            webhook = await _enabled(connection, webhook_id, within)
            this = (_table.c.id == delivery_id) & (_table.c.webhook_id == webhook.id)
            await _delivery(connection, delivery_id, this)
            await _check_redeliveries(connection, webhook, now)
            again = update(_table).where(this, _table.c.state != "sending").values(values)
            if not (await connection.execute(again)).rowcount:
                raise Conflict("delivery_under_way", "It is being sent just now: look again in two minutes.")
            sent = await _delivery(connection, delivery_id, this)
            detail = {"delivery": sent.id, "event": sent.event}
            await audit(connection, webhook, actor, _REDELIVERED, detail, now)
            await record(connection, "webhook", webhook.id)
        await self._bell.ring()
        return sent

    async def test(self, webhook_id: str, *, actor: str, within: str | None = None) -> DeliveryRecord:
        """Send an event of the kind ``webhook.test``, whatever the webhook asked for.

        Raises ``Conflict`` with ``webhook_disabled`` or ``enough_tests``.
        """
        now = int(self._clock())
        async with self._database.write() as connection:
            webhook = await _enabled(connection, webhook_id, within)
            tests = (_table.c.webhook_id == webhook.id) & (_table.c.event == TEST)
            recent = select(func.count()).where(tests, _table.c.created_at > now - 3600)
            if (await connection.scalar(recent) or 0) >= TESTS_HOURLY:
                raise Conflict(
                    "enough_tests", f"It was tried {TESTS_HOURLY} times within an hour: wait a while."
                )
            row = delivery_of(webhook.id, TEST, webhook.slug, {"webhook": webhook.id}, now)
            await connection.execute(insert(_table).values(row))
            made = await _delivery(connection, row["id"], _table.c.id == row["id"])
            await audit(connection, webhook, actor, "webhook.test", {"delivery": made.id}, now)
            await record(connection, "webhook", webhook.id)
        await self._bell.ring()
        return made

    async def _insert(self, connection: AsyncConnection, row: dict[str, Any], actor: str) -> Webhook:
        # Whoever adds another one at this moment waits, and counts this one.
        one = select(tenants.c.id).where(tenants.c.id == row["tenant_id"])
        await connection.execute(one.with_for_update(key_share=True))
        theirs = select(func.count()).where(webhooks.c.tenant_id == row["tenant_id"])
        if (await connection.scalar(theirs) or 0) >= MOST:
            raise Conflict("enough_webhooks", f"There are {MOST} webhooks already: remove one first.")
        await connection.execute(insert(webhooks).values(row))
        made = await _one(connection, row["id"], None)
        await audit(connection, made, actor, "webhook.add", {"events": row["events"]}, self._clock())
        return made

    def _sealed(self, webhook_id: str, secret: Secret) -> bytes:
        return self._sealer.seal(secret.dump(), identity=WEBHOOK_SECRETS.identity(webhook_id))


def parse_events(raw: Sequence[str]) -> tuple[str, ...]:
    """Read which kinds of events are wanted, each once, or ``*`` for all.

    Raises ``BadInput("bad_event")``.
    """
    given = set(raw)
    known = (*EventKind, ALL)
    if not given or given - set(known):
        sentence = f"Events are one or more of: {', '.join(EventKind)}; or {ALL} for all."
        raise BadInput("bad_event", sentence, field="events")
    return (ALL,) if ALL in given else tuple(kind.value for kind in EventKind if kind in given)


def _of(within: str | None) -> list[ColumnElement[bool]]:
    return [] if within is None else [webhooks.c.tenant_id == within]


async def _one(
    connection: AsyncConnection, webhook_id: str, within: str | None, *, lock: bool = False
) -> Webhook:
    row = None
    if _ID.fullmatch(webhook_id):  # PostgreSQL has no text for all that a path can hold
        found = selected_webhooks(webhooks.c.id == webhook_id, *_of(within))
        if lock:
            # Weakly: events may be queued for it meanwhile, by who has locked other things before.
            found = found.with_for_update(of=webhooks, key_share=True)
        row = (await connection.execute(found)).mappings().one_or_none()
    if row is None:
        raise NotFound("no_such_webhook", "There is no such webhook.")
    return read_webhook(row)


async def _enabled(connection: AsyncConnection, webhook_id: str, within: str | None) -> Webhook:
    webhook = await _one(connection, webhook_id, within, lock=True)
    if webhook.disabled:
        raise Conflict("webhook_disabled", "The webhook is disabled: enable it first.")
    return webhook


async def _check_redeliveries(connection: AsyncConnection, webhook: Webhook, now: int) -> None:
    """Count what was sent again by what the audit has of it: a delivery is a row however often that was.

    Raises ``Conflict("enough_redeliveries")``.
    """
    theirs = (lines.c.subject == webhook.id) & (lines.c.action == _REDELIVERED)
    recent = select(func.count()).where(lines.c.at > now - 3600, theirs)
    if (await connection.scalar(recent) or 0) >= REDELIVERIES_HOURLY:
        sentence = f"Within an hour {REDELIVERIES_HOURLY} of its deliveries were sent again: wait a while."
        raise Conflict("enough_redeliveries", sentence)


async def _delivery(
    connection: AsyncConnection, delivery_id: str, this: ColumnElement[bool]
) -> DeliveryRecord:
    row = None
    if _ID.fullmatch(delivery_id):
        row = (await connection.execute(select(_table).where(this))).mappings().one_or_none()
    if row is None:
        raise NotFound("no_such_delivery", "There is no such delivery; they are kept for 30 days.")
    return read_delivery(row)
