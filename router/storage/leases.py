"""Leases: work that one process of the whole fleet does at a time.

Who takes a lease writes down until when; a process that dies leaves it to whoever finds the time run out. The
clocks of the nodes need to agree to a few seconds only, for the work itself is safe to be done twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from router.storage.schema import leases

if TYPE_CHECKING:
    from router.storage.database import Database


class Lease:
    """The right to do one kind of work, for one ``holder`` (a process) at a time; ``life`` is in seconds."""

    def __init__(self, database: Database, name: str, holder: str, *, life: int) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._life = life

    def __repr__(self) -> str:
        return f"<Lease {self._name} for {self._holder}>"

    async def take(self, now: float) -> bool:
        """Take it, or keep it for longer; False while another holder has it. Raises ``Unavailable``."""
        values = {"holder": self._holder, "until": int(now) + self._life}
        free = or_(leases.c.holder == self._holder, leases.c.until <= int(now))
        try:
            async with self._database.write() as connection:
                taking = update(leases).where(leases.c.name == self._name, free).values(values)
                if (await connection.execute(taking)).rowcount:
                    return True
                if await connection.scalar(select(leases.c.name).where(leases.c.name == self._name)):
                    return False
                await connection.execute(insert(leases).values(name=self._name, **values))
        except IntegrityError:  # another one was quicker
            return False
        return True

    async def give_back(self) -> None:
        """Let another holder take it at once. Raises ``Unavailable``."""
        mine = (leases.c.name == self._name) & (leases.c.holder == self._holder)
        async with self._database.write() as connection:
            await connection.execute(delete(leases).where(mine))
