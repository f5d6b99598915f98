"""From a mail in the outbox to a message: its facts opened, and put into the words of the tenant's theme.

That takes milliseconds of CPU, soon after somebody asked for a mail whose address is known. So it is done in
a thread, one mail after the other, and the event loop goes on meanwhile (router/worker.py says for how long a
thread may hold it up): how fast other pages answer tells nothing of whether a mail is written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from router.mail.message import Composed, Message, Sender, build
from router.storage.outbox import identity_of

if TYPE_CHECKING:
    from router.mail.queue import LeasedMail
    from router.storage.sealing import Sealer

Compose = Callable[[str | None, str, str, Mapping[str, str | int]], Awaitable[Composed]]
"""``compose(tenant_id, kind, language, facts)`` renders a mail; it raises what it likes."""


class Letters:
    """Writes what is sent; ``sender`` is the platform's address."""

    def __init__(self, sealer: Sealer, compose: Compose, sender: Sender) -> None:
        self._sealer = sealer
        self._compose = compose
        self._sender = sender
        self._turn = asyncio.Lock()

    async def write(self, mail: LeasedMail) -> Message:
        """Write a mail.

        Raises what ``Sealer.open`` and the rendering raise, and ``BadInput("bad_email")``.
        """
        facts = json.loads(self._sealer.open(mail.sealed_facts, identity=identity_of(mail.id)))
        async with self._turn:
            composed = await self._compose(mail.tenant_id, mail.kind, mail.language, facts)
            return await asyncio.to_thread(
                build,
                composed,
                mail_id=mail.id,
                sender=self._sender,
                recipient=mail.recipient,
                at=mail.created_at,
            )
