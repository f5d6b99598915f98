"""A worker that is killed in the middle of sending (see test_delivery.py): DATABASE_URL PORT."""

from __future__ import annotations

import asyncio
import sys

from router.mail.queue import Queue
from router.storage.database import Database
from tests.clock import Clock
from tests.mail.conftest import START, Office, Theme, by_smtp


async def _main(url: str, port: int) -> None:
    database = Database(url)
    await database.open()
    office = Office(database, Clock(START), Theme(), Queue(database))
    await office.delivery(by_smtp(port)).run()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
