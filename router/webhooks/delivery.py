"""The delivery of events: run by every worker, each made by one of them (storage/rounds.py says how).

A delivery is signed and posted; then it arrived (2xx), is tried again later, or has failed (schedule.py). Of
a worker that dies it may arrive twice, with one ``webhook-id``: receivers go by that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import RouterError
from router.outgoing import NoAnswer
from router.storage.hourly import hourly
from router.storage.rounds import LOOKED_EVERY, Rounds
from router.storage.sealed import WEBHOOK_SECRETS
from router.webhooks.schedule import GONE, is_hopeless, is_received, is_unwanted, pause
from router.webhooks.signature import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.outgoing import Outgoing
    from router.storage.changes import ChangeFeed
    from router.storage.sealing import Sealer
    from router.webhooks.queue import LeasedDelivery, Queue

AT_ONCE: Final = 8
"""Deliveries that one worker makes at the same time, each to another webhook."""

HEARD: Final = ("webhook", "tenant", "certificate")
"""Kinds of changes in whose transactions events are queued."""

_log = structlog.get_logger(__name__)


class Delivery:
    """Makes the deliveries that wait; ``period`` is in seconds."""

    def __init__(
        self,
        queue: Queue,
        sealer: Sealer,
        outgoing: Outgoing,
        feed: ChangeFeed,
        *,
        period: float = LOOKED_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._sealer = sealer
        self._outgoing = outgoing
        self._clock = clock
        self._rounds: Rounds[LeasedDelivery] = Rounds(
            self._take, self._deliver, name="webhook delivery", at_once=AT_ONCE, clock=clock, period=period
        )
        self._rounds.listen(feed, *HEARD)

    async def run(self) -> None:
        """Deliver for ever; what is being posted at the end gets a few seconds for it."""
        await self._rounds.run()

    async def _take(self, most: int) -> Sequence[LeasedDelivery]:
        return await self._queue.take(most, self._clock())

    async def _deliver(self, delivery: LeasedDelivery) -> None:
        if is_hopeless(delivery.attempts):
            await self._failed(delivery, "It could not be sent in time.", None, again=False)
            return
        try:
            status = await self._post(delivery)
        except NoAnswer as fault:
            await self._failed(delivery, f"No answer: {fault}.", None, again=fault.again)
        except RouterError as fault:  # its secret does not open here
            await self._failed(delivery, fault.sentence, None, again=True)
        except Exception as fault:  # noqa: BLE001 - one that cannot be posted is not to stop all others
            _log.exception("webhook not posted", delivery=delivery.id)
            await self._failed(delivery, f"It could not be posted: {type(fault).__name__}.", None, again=True)
        else:
            await self._answered(delivery, status)

    async def _answered(self, delivery: LeasedDelivery, status: int) -> None:
        if not is_received(status):
            await self._failed(delivery, f"It answered {status}.", status, again=status != GONE)
            return
        _log.info("webhook delivered", **_facts(delivery))
        await self._rounds.settled(delivery, lambda: self._queue.sent(delivery, status, self._clock()))

    async def _post(self, delivery: LeasedDelivery) -> int:
        identity = WEBHOOK_SECRETS.identity(delivery.webhook.id)
        secret = Secret.load(self._sealer.open(delivery.sealed_secret, identity=identity))
        at, body = int(self._clock()), delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(at),
            "webhook-signature": secret.sign(delivery.id, at, body),
        }
        return (await self._outgoing.post(delivery.webhook.url, body, headers)).status

    async def _failed(self, delivery: LeasedDelivery, error: str, status: int | None, *, again: bool) -> None:
        """Put a delivery off, or give it up where trying again makes no sense any more."""
        seconds, now = pause(delivery.attempts) if again else None, self._clock()
        if seconds is not None:
            _log.warning("webhook put off", seconds=seconds, cause=error, **_facts(delivery))
            await self._rounds.settled(
                delivery, lambda: self._queue.put_off(delivery, now + seconds, error, status, now)
            )
            return
        _log.error("webhook failed", cause=error, **_facts(delivery))
        await self._rounds.settled(delivery, lambda: self._queue.fail(delivery, error, status, now))
        if is_unwanted(status, delivery.webhook.failing_since, now):
            _log.error("webhook disabled", failing_since=delivery.webhook.failing_since, **_facts(delivery))


async def prune(queue: Queue, *, clock: Callable[[], float] = time.time) -> None:
    """Forget old deliveries every hour, for ever."""
    await hourly(lambda: queue.prune(clock()))


def _facts(delivery: LeasedDelivery) -> dict[str, object]:
    webhook = delivery.webhook
    return {
        "webhook": webhook.id,
        "tenant": webhook.slug,
        "at": webhook.origin,
        "delivery": delivery.id,
        "kind": delivery.event,
        "attempt": delivery.attempts,
    }
