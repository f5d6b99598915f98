"""Where certificates stand: what is stored, joined with who holds what and with what the workers know.

A worker knows of a certificate when it has followed the changes up to the latest one that names it, or a
hostname it covers. Only changes that some worker has not come to yet are looked at: a handful at most.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from router.certificates.life import Standing, stage_of
from router.certificates.names import covers
from router.certificates.rows import find_held
from router.storage.schema import changes
from router.storage.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from router.certificates.record import CertificateRecord
    from router.storage.database import Database
    from router.storage.workers import Worker

_KINDS = ("certificate", "hostname")


class Standings:
    """Tells where certificates stand. ``clock`` tells unix seconds."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._workers = Workers(database)
        self._clock = clock

    async def of(self, records: Iterable[CertificateRecord]) -> dict[str, Standing]:
        """Tell where each of these certificates stands, by its id. Raises ``Unavailable`` (the database)."""
        records, now = list(records), self._clock()
        alive = await self._workers.alive(now)
        latest = await self._latest(min((worker.position for worker in alive), default=None))
        owners = {each.tenant_id for each in records} - {None}
        async with self._database.read() as connection:  # a platform may have a hundred thousand hostnames
            held = await find_held(connection, owners.pop() if len(owners) == 1 else None) if owners else []
        by_tenant: dict[str, list[str]] = {}
        for hostname, tenant_id in held:
            by_tenant.setdefault(tenant_id, []).append(hostname)
        return {each.id: _standing(each, by_tenant, alive, latest, now) for each in records}

    async def _latest(self, position: int | None) -> Mapping[str, int]:
        """Find the latest change of each name that some worker does not know yet."""
        if position is None:
            return {}
        statement = (
            select(changes.c.key, func.max(changes.c.sequence))
            .where(changes.c.sequence > position, changes.c.kind.in_(_KINDS))
            .group_by(changes.c.key)
        )
        async with self._database.read() as connection:
            return {key: sequence for key, sequence in await connection.execute(statement)}  # noqa: C416 - rows


def _standing(
    record: CertificateRecord,
    held: Mapping[str, Sequence[str]],
    alive: Sequence[Worker],
    latest: Mapping[str, int],
    now: float,
) -> Standing:
    own = held.get(record.tenant_id, ()) if record.tenant_id is not None else ()
    hostnames = tuple(name for name in own if covers(record.names, name))
    wanted = max((latest.get(name, 0) for name in (*record.names, *hostnames)), default=0)
    have = sum(worker.position >= wanted for worker in alive)
    serves = record.tenant_id is None or bool(hostnames)
    deployed = 0 < len(alive) == have
    faults = tuple(f"{worker.node}, process {worker.pid}: {worker.fault}" for worker in alive if worker.fault)
    stage = stage_of(record, now, serves=serves, deployed=deployed)
    return Standing(stage, have, len(alive), hostnames, faults)
