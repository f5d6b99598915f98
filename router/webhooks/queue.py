"""The deliveries from the side of those who make them: each belongs to one worker at a time, by a lease.

Of one webhook one delivery is under way at a time, over the whole fleet: a slow receiver holds up nobody
else, and gets its events about in the order in which they happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, func, select, update

from router.storage.leased_rows import LeasedRows
from router.storage.schema import webhook_deliveries, webhooks
from router.webhooks.rows import disable, read_webhook, selected_webhooks
from router.webhooks.schedule import KEPT, LEASE, is_unwanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database
    from router.webhooks.webhook import Webhook

_LONGEST_ERROR: Final = 300
_ROUTER: Final = "router"
_table = webhook_deliveries


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A delivery that is ours to make until ``due_at``; ``attempts`` counts this one."""

    id: str
    webhook: Webhook
    sealed_secret: bytes = field(repr=False)
    event: str
    body: str = field(repr=False)
    attempts: int
    due_at: int


class Queue:
    """The deliveries of all webhooks; times in unix seconds. All methods raise ``Unavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = LeasedRows(database, _table, lease=LEASE)

    async def take(self, most: int, now: float) -> list[LeasedDelivery]:
        """Take up to ``most`` deliveries that are due, one of each webhook, for ``LEASE`` seconds."""
        taken = await self._rows.take(most, now, *self._first_of_each(now))
        if not taken:
            return []
        found = selected_webhooks(webhooks.c.id.in_([row["webhook_id"] for row in taken]))
        async with self._database.read() as connection:
            rows = (await connection.execute(found.add_columns(webhooks.c.sealed_secret))).mappings().all()
        secrets = {row["id"]: row["sealed_secret"] for row in rows}
        known = {row["id"]: read_webhook(row) for row in rows}
        # One that was removed at this moment took its deliveries with it.
        return [_leased(row, known, secrets) for row in taken if row["webhook_id"] in known]

    async def sent(self, delivery: LeasedDelivery, status: int, now: float) -> bool:
        """Write down that a delivery arrived; False if it was no longer ours."""
        values = {"state": "sent", "sent_at": int(now), "status": status, "error": None}
        async with self._database.write() as connection:
            ours = await self._rows.settle(connection, delivery, values)
            if ours and delivery.webhook.failing_since is not None:
                await _since(connection, delivery.webhook, None)
        return ours

    async def put_off(
        self, delivery: LeasedDelivery, until: float, error: str, status: int | None, now: float
    ) -> bool:
        """Let a delivery wait for its next try; False if it was no longer ours."""
        values = {"state": "waiting", "due_at": int(until), "status": status, "error": error[:_LONGEST_ERROR]}
        async with self._database.write() as connection:
            ours = await self._rows.settle(connection, delivery, values)
            if ours and delivery.webhook.failing_since is None:
                await _since(connection, delivery.webhook, int(now))
        return ours

    async def fail(self, delivery: LeasedDelivery, error: str, status: int | None, now: float) -> bool:
        """Give a delivery up until somebody asks for it, and the webhook too if it is not wanted any more.

        False if the delivery was no longer ours.
        """
        webhook, values = (
            delivery.webhook,
            {"state": "failed", "status": status, "error": error[:_LONGEST_ERROR]},
        )
        async with self._database.write() as connection:
            ours = await self._rows.settle(connection, delivery, values)
            if not ours:
                return False
            if webhook.failing_since is None:
                await _since(connection, webhook, int(now))
            if not webhook.disabled and is_unwanted(status, webhook.failing_since, now):
                detail = {"failing_since": webhook.failing_since, "status": status, "error": values["error"]}
                await disable(connection, webhook, _ROUTER, detail, now)
        return True

    async def prune(self, now: float) -> int:
        """Forget deliveries of more than ``KEPT`` seconds ago, whatever became of them; answer how many."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(_table).where(_table.c.created_at < int(now) - KEPT))
        return gone.rowcount

    def _first_of_each(self, now: float) -> tuple[ColumnElement[bool], ...]:
        """Pick of each webhook the one that is due longest, unless another one is being sent to it.

        Of one that is disabled none; what was under way when it was waits.
        """
        columns, other = _table.c, _table.alias("other")
        place = func.row_number().over(partition_by=columns.webhook_id, order_by=(columns.due_at, columns.id))
        due = select(columns.id, place.label("place")).where(self._rows.due(now)).subquery()
        first = columns.id.in_(select(due.c.id).where(due.c.place == 1))
        theirs = (other.c.webhook_id == columns.webhook_id) & (other.c.state == "sending")
        wanted = exists().where(webhooks.c.id == columns.webhook_id, ~webhooks.c.disabled)
        return first, wanted, ~exists().where(theirs, other.c.due_at > int(now))


async def _since(connection: AsyncConnection, webhook: Webhook, since: int | None) -> None:
    this = webhooks.c.id == webhook.id
    await connection.execute(update(webhooks).where(this).values(failing_since=since))


def _leased(
    row: Mapping[str, Any], known: Mapping[str, Webhook], secrets: Mapping[str, bytes]
) -> LeasedDelivery:
    return LeasedDelivery(
        id=row["id"],
        webhook=known[row["webhook_id"]],
        sealed_secret=secrets[row["webhook_id"]],
        event=row["event"],
        body=row["body"],
        attempts=row["attempts"],
        due_at=row["due_at"],
    )
