"""A process that is killed in the middle of a transaction (see test_database_faults.py)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from sqlalchemy import insert

from router.storage.database import Database
from router.storage.schema import changes


async def _main(url: str) -> None:
    async with Database(url).write() as connection:
        for _ in range(2000):
            await connection.execute(insert(changes).values(kind="tenant", key="x" * 200, at=1))
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
