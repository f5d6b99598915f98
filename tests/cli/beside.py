"""A running router's directory beside the command line: what another process changes, it hears of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from router.cli.output import Exit
from router.hostname import Hostname
from router.storage.bell import SqliteBell
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.tenants.directory import Directory

if TYPE_CHECKING:
    from router.tenants.tenant import Tenant
    from tests.cli.conftest import Shell


async def known_around(acme: Shell, *command: str) -> tuple[Tenant, Tenant]:
    """Run a command as a process while a directory knows Acme: what it knew, and what it finds at once."""
    url = f"sqlite:///{acme.folder}/data/router.db"
    database, bell = Database(url), SqliteBell(url)
    feed = ChangeFeed(database, bell)
    directory = Directory(database, None, feed)
    address = Hostname.parse("acme.portal.example")
    async with asyncio.TaskGroup() as group:
        tail = group.create_task(feed.run())
        known = await directory.find(address)
        ran = await asyncio.to_thread(acme.process, *command)
        assert (ran.code, ran.err) == (Exit.OK, "")
        async with asyncio.timeout(20):
            await feed.caught_up(feed.position + 1 if directory.peek(address) is known else feed.position)
        found = await directory.find(address)
        tail.cancel()
    await directory.close()
    await bell.close()
    await database.close()
    assert known is not None
    assert found is not None
    return known, found
