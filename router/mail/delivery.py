"""The delivery of mails: run by every worker, each mail sent by one of them (storage/rounds.py says how).

A mail is rendered and sent, and then it is sent, failed for good, or put off (schedule.py). Of a worker that
dies a mail may arrive twice, with one Message-ID: that the mail server took it and that we know it cannot be
one step.
"""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import BadInput, RouterError, Unavailable
from router.mail.schedule import is_hopeless, pause
from router.mail.transport import Refused
from router.storage.hourly import hourly
from router.storage.rounds import LOOKED_EVERY, Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.mail.letters import Letters
    from router.mail.message import Message
    from router.mail.queue import LeasedMail, Queue
    from router.mail.transport import Transport
    from router.storage.changes import ChangeFeed

AT_ONCE: Final = 4
"""Mails that one worker sends at the same time; together well within a lease."""

_log = structlog.get_logger(__name__)


class Delivery:
    """Sends what waits in the outbox; ``period`` is in seconds."""

    def __init__(
        self,
        queue: Queue,
        letters: Letters,
        transport: Transport,
        feed: ChangeFeed,
        *,
        period: float = LOOKED_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._letters = letters
        self._transport = transport
        self._clock = clock
        self._rounds: Rounds[LeasedMail] = Rounds(
            self._take, self._deliver, name="mail", at_once=AT_ONCE, clock=clock, period=period
        )
        self._rounds.listen(feed, "mail")
        self.healthy = True
        """Whether mails are taken from us, as far as the last one told."""

    def __repr__(self) -> str:
        return f"<Delivery by {self._transport!r} {'up' if self.healthy else 'down'}>"

    async def run(self) -> None:
        """Deliver for ever; mails that are being sent at the end get a few seconds for it."""
        await self._rounds.run()

    async def _take(self, most: int) -> Sequence[LeasedMail]:
        return await self._queue.take(most, self._clock())

    async def _deliver(self, mail: LeasedMail) -> None:
        if is_hopeless(mail.attempts, mail.created_at, self._clock()):
            await self._given_up(mail, "mail_hopeless", "It could not be sent in time.")
            return
        try:
            await self._hand_on(await self._letters.write(mail))
        except BadInput as fault:
            await self._given_up(mail, fault.code, fault.sentence)
        except RouterError as fault:
            await self._put_off(mail, fault.code, fault.sentence)
        except Exception as fault:  # noqa: BLE001 - a fault in a theme's mail is not to stop all others
            _log.error("mail could not be written", kind=mail.kind, at=_place_of(fault))
            await self._put_off(mail, "mail_not_written", f"It could not be written: {_place_of(fault)}.")
        else:
            _log.info("mail sent", mail=mail.id, kind=mail.kind, tenant=mail.tenant_id)
            await self._rounds.settled(mail, lambda: self._queue.sent(mail, self._clock()))

    async def _hand_on(self, message: Message) -> None:
        try:
            await self._transport.send(message)
        except Unavailable:
            self.healthy = False
            raise
        except Refused:
            self.healthy = True  # it was this mail's fault
            raise
        self.healthy = True

    async def _put_off(self, mail: LeasedMail, code: str, sentence: str) -> None:
        seconds = pause(mail.attempts)
        if seconds is None:
            await self._given_up(mail, code, sentence)
            return
        _log.warning("mail put off", mail=mail.id, kind=mail.kind, code=code, seconds=seconds)
        until = self._clock() + seconds
        await self._rounds.settled(mail, lambda: self._queue.put_off(mail, until, sentence))

    async def _given_up(self, mail: LeasedMail, code: str, sentence: str) -> None:
        _log.error("mail failed", mail=mail.id, kind=mail.kind, tenant=mail.tenant_id, code=code)
        await self._rounds.settled(mail, lambda: self._queue.fail(mail, sentence))


async def prune(queue: Queue, *, clock: Callable[[], float] = time.time) -> None:
    """Forget old mails every hour, for ever; also where none are sent."""
    await hourly(lambda: queue.prune(clock()))


def _place_of(fault: Exception) -> str:
    """Name a fault of the program or of a theme: what kind and where; its message may hold a link."""
    at = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} at {at.filename}:{at.lineno}"
