from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from router.mail.letters import Letters
from router.mail.message import Composed, Sender
from router.mail.queue import LeasedMail
from router.portal.mails import MAIL_KINDS, Mails
from router.portal.rendering import Renderer
from router.portal.samples import RICH, mail_facts
from router.portal.themes import Themes
from router.storage.outbox import identity_of
from router.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.tenants.tenant import Tenant

SEALER = Sealer([b"s" * 32])
SENDER = Sender("portal@example.com")
LOOP_MS = 2.0


def leased(kind: str) -> LeasedMail:
    """Take a mail of a kind from the outbox."""
    facts = SEALER.seal(json.dumps(mail_facts()).encode(), identity=identity_of(kind))
    return LeasedMail(kind, RICH.id, kind, "ada@acme.test", "de", facts, 1, 60, 0)


async def find(_tenant_id: str) -> Tenant | None:
    """Find the one tenant."""
    return RICH


@pytest.mark.parametrize("kind", ["reset", "registration", "already-registered"])
async def test_a_mail_is_written_beside_the_event_loop(kind: str) -> None:
    """Of a mail's first composing, some 20 ms, the loop does less than two: no visitor waits for it."""
    assert kind in MAIL_KINDS
    await asyncio.to_thread(int)  # the thread is there
    spent = []
    for _ in range(3):  # the least counts: a collection of garbage is no part of the writing
        letters = Letters(SEALER, Mails(Renderer(Themes.load()), find, public_port=443).compose, SENDER)
        mail, began, whole = leased(kind), time.thread_time(), time.process_time()
        message = await letters.write(mail)
        spent.append((time.thread_time() - began) * 1000)
        assert (message.id, message.recipient) == (kind, "ada@acme.test")
        assert (time.process_time() - whole) * 1000 > LOOP_MS
    assert min(spent) < LOOP_MS


async def test_mails_are_written_one_after_the_other() -> None:
    """However many are to be sent at once, one thread competes with the event loop."""
    running, most = 0, 0

    async def compose(_tenant: str | None, kind: str, _language: str, _: Mapping[str, str | int]) -> Composed:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Composed(kind, "text\n", "<p>text</p>\n")

    letters = Letters(SEALER, compose, SENDER)
    written = await asyncio.gather(*(letters.write(leased(kind)) for kind in MAIL_KINDS))
    assert [each.id for each in written] == list(MAIL_KINDS)
    assert most == 1
