"""The audit: read in pieces and as a stream, altered by nobody, forgotten when it is old."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.observe.tasks import Tasks
from router.storage import audit_trail
from router.storage.audit_trail import AuditFilter, AuditTrail, prune
from router.storage.auditing import ORIGIN, note
from router.storage.leases import Lease
from router.storage.schema import YOUNGEST_PRUNED, audit
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Delete, Insert, Update

    from router.storage.database import Database

NOW = time.time()
DAY = 86_400


@pytest.fixture
def trail(database: Database) -> AuditTrail:
    """The audit of a fresh database."""
    return AuditTrail(database)


async def written(
    database: Database, *actions: str, at: float = NOW, actor: str = "cli:root", tenant_id: str | None = None
) -> None:
    """Write lines, one for each action."""
    async with database.write() as connection:
        for action in actions:
            await note(connection, actor, action, "tnt_1", {"was": "a"}, at, tenant_id=tenant_id)


async def read(trail: AuditTrail, wanted: AuditFilter) -> Sequence[str]:
    """The actions of the lines that are wanted, as they were done."""
    return [line.action async for line in trail.stream(wanted)]


async def test_a_line_is_read_as_it_was_written(database: Database, trail: AuditTrail) -> None:
    """Who, from where, what, to whom, whose, and how it was."""
    ORIGIN.set("203.0.113.7")
    await written(database, "tenant.change", tenant_id="tnt_1")
    [line] = await trail.page(AuditFilter(), most=10)
    assert (line.at, line.actor, line.address) == (int(NOW), "cli:root", "203.0.113.7")
    assert (line.action, line.subject, line.tenant_id) == ("tenant.change", "tnt_1", "tnt_1")
    assert (line.slug, dict(line.detail)) == (None, {"was": "a"})


async def test_pages_lead_back_in_time(database: Database, trail: AuditTrail) -> None:
    """The newest first, each piece from where the one before ended, whatever is written meanwhile."""
    await written(database, *"abcde")
    first = await trail.page(AuditFilter(), most=2)
    await written(database, "f")
    rest = await trail.page(AuditFilter(), most=10, before=first[-1].sequence)
    assert [line.action for line in (*first, *rest)] == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (AuditFilter(), ["tenant.add", "tenants.odd", "domain.verify", "tenant"]),
        (AuditFilter(tenant_id="tnt_2"), ["domain.verify"]),
        (AuditFilter(tenant_id="%"), []),
        (AuditFilter(actor="cli:ada"), ["tenant"]),
        (AuditFilter(action="tenant"), ["tenant.add", "tenant"]),
        (AuditFilter(action="tenant."), ["tenant.add"]),
        (AuditFilter(action="tenant.add"), ["tenant.add"]),
        (AuditFilter(action="tenant_add"), []),
        (AuditFilter(action="%"), []),
        (AuditFilter(since=int(NOW) + 10), ["domain.verify", "tenant"]),
        (AuditFilter(until=int(NOW) + 10), ["tenant.add", "tenants.odd"]),
        (AuditFilter(since=int(NOW) + 10, until=int(NOW) + 20), ["domain.verify"]),
        (AuditFilter(tenant_id="tnt_2", actor="cli:ada"), []),
    ],
    ids=[
        "all",
        "tenant",
        "no-tenant",
        "actor",
        "kind-of-action",
        "kind-with-dot",
        "one-action",
        "underscore",
        "percent",
        "since",
        "until",
        "between",
        "two-at-once",
    ],
)
async def test_filters(
    database: Database, trail: AuditTrail, wanted: AuditFilter, found: Sequence[str]
) -> None:
    """All that is said must be true of a line; an action is one, or a kind of them."""
    await written(database, "tenant.add", "tenants.odd", tenant_id="tnt_1")
    await written(database, "domain.verify", at=NOW + 10, tenant_id="tnt_2")
    await written(database, "tenant", at=NOW + 20, actor="cli:ada")
    assert await read(trail, wanted) == found
    assert [line.action for line in await trail.page(wanted, most=10)] == list(reversed(found))


async def test_a_stream_tells_each_line_once(
    database: Database, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all its pieces, up to what there was when it began; so it ends, however much is written."""
    monkeypatch.setattr(audit_trail, "_PIECE", 3)
    await written(database, *(f"a.{number}" for number in range(9)))
    seen = []
    async for line in trail.stream(AuditFilter(action="a")):
        seen.append(line.action)
        await written(database, "a.later")
    assert seen == [f"a.{number}" for number in range(9)]


async def test_nothing_alters_a_line(database: Database, trail: AuditTrail) -> None:
    """The database refuses to, and to delete what is younger than thirty days, whoever asks."""
    await written(database, "tenant.add")
    statements: list[Insert | Update | Delete] = [update(audit).values(actor="nobody"), delete(audit)]
    if "sqlite" in repr(database):
        statements.append(insert(audit).prefix_with("OR REPLACE").from_select(list(audit.c), select(audit)))
    for statement in statements:
        with pytest.raises(IntegrityError, match="append-only"):
            async with database.write() as connection:
                await connection.execute(statement)
    assert [line.actor for line in await trail.page(AuditFilter(), most=10)] == ["cli:root"]


async def test_old_lines_are_forgotten(
    database: Database, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before a time, some at once; one that is out of order is neither lost nor in the way."""
    monkeypatch.setattr(audit_trail, "_PRUNED_AT_ONCE", 2)
    old = NOW - YOUNGEST_PRUNED - DAY
    await written(database, "old.1", at=old)
    await written(database, "kept")
    await written(database, "old.2", "old.3", at=old)
    assert [await trail.prune(NOW - YOUNGEST_PRUNED) for _ in range(3)] == [2, 1, 0]
    assert await read(trail, AuditFilter()) == ["kept"]


async def test_one_worker_forgets_for_all(database: Database, trail: AuditTrail) -> None:
    """Who has the lease does, and never what is younger than thirty days, whatever it is told."""
    await written(database, "old", at=NOW - 31 * DAY)
    await written(database, "young", at=NOW - 29 * DAY)
    held = Lease(database, audit_trail.LEASE, "wrk_1", life=60)
    assert await held.take(NOW)
    other = Lease(database, audit_trail.LEASE, "wrk_2", life=60)

    async def one_is_left() -> bool:
        return len(await trail.page(AuditFilter(), most=10)) == 1

    async with Tasks() as tasks:
        tasks.start(prune(trail, other, 1), name="another worker's")
        tasks.start(prune(trail, held, 1), name="this worker's")
        await until(one_is_left)
    assert await read(trail, AuditFilter()) == ["young"]
