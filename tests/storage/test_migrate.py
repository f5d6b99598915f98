from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, inspect, select, text

from router.errors import Conflict, Unavailable
from router.storage import migrate as migrate_module
from router.storage.database import Database
from router.storage.migrate import migrate, pending
from router.storage.schema import claims, memberships, metadata, sessions, tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

_T = TypeVar("_T")
_PROJECT = Path(__file__).parents[2]
_REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006"]


async def _sync(url: str, task: Callable[[Connection], _T]) -> _T:
    database = Database(url)
    await database.open()
    async with database.write() as connection:
        answer = await connection.run_sync(task)
    await database.close()
    return answer


async def test_migrations_and_schema_agree(empty_database_url: str) -> None:
    """A migrated database has exactly the tables, columns, types, keys and indexes of storage/schema.py."""

    def default_differs(*compared: Any) -> bool | None:  # noqa: ANN401 - Alembic's own
        _, found, _, default, _, wanted = compared
        if isinstance(found.type, JSON):  # which PostgreSQL cannot compare, as Alembic would ask it to
            return bool(default.removesuffix("::json").strip("'") != wanted.strip("'"))
        return None  # as Alembic does

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": default_differs})
        return list(compare_metadata(context, metadata))

    await migrate(empty_database_url)
    assert await _sync(empty_database_url, differences) == []


async def test_migrations_make_the_same_statements(tmp_path: Path) -> None:
    """What Alembic does not compare (checks, partial indexes, AUTOINCREMENT) is the same as well."""

    def statements(connection: Connection) -> set[frozenset[str]]:
        rows = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
        return {parts(row) for row in rows if "alembic_version" not in row}

    def parts(statement: str) -> frozenset[str]:
        # Constraints come in an order of Alembic's own, and columns added later come last.
        plain = re.sub(r"\s*([()])\s*", r"\1", re.sub(r"\s+", " ", statement)).removesuffix(")")
        head, _, body = plain.partition("(")
        return frozenset({head, *(part.strip() for part in re.split(r",(?![^()]*\))", body))})

    await migrate(f"sqlite:///{tmp_path / 'migrated.db'}")
    await _sync(f"sqlite:///{tmp_path / 'made.db'}", metadata.create_all)
    migrated = await _sync(f"sqlite:///{tmp_path / 'migrated.db'}", statements)
    assert migrated == await _sync(f"sqlite:///{tmp_path / 'made.db'}", statements)


_CLAIM = "id, tenant_id, hostname, kind, state, txt_token, created_at, updated_at"
"""The columns of a claim in the first revisions."""


async def _fill_as_of(revision: str, url: str, *rows: tuple[str, str, str]) -> None:
    """Migrate up to a revision and no further, and store rows as they were then: table, columns, values."""
    upgrade = command.upgrade
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, revision))
        await migrate(url)

    def fill(connection: Connection) -> None:
        for table, columns, values in rows:
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"))  # noqa: S608 - ours

    await _sync(url, fill)


def _tenant(slug: str = "acme", name: str = "Acme") -> tuple[str, str, str]:
    """Write a tenant as the first revision had it."""
    columns = "id, slug, name, cname_label, theme_colour, allow_registration, upstreams, public_paths, status"
    values = f"'tnt_{slug}', '{slug}', '{name}', '{slug}', '#ffffff', false, '[]', '[]', 'active'"
    return "tenants", f"{columns}, version, created_at, updated_at", f"{values}, 1, 0, 0"


async def test_a_tenant_from_before_forwarding_could_be_set_is_forwarded_as_before(
    empty_database_url: str,
) -> None:
    """The column comes to the tenants there are, empty, and takes nothing that refers to them along."""
    values = "'clm_1', 'tnt_acme', 'acme.portal.example', 'platform', 'active', 'x', 0, 0"
    await _fill_as_of("0001", empty_database_url, _tenant(), ("claims", _CLAIM, values))
    assert await migrate(empty_database_url) == _REVISIONS[1:]
    question = select(claims.c.id, tenants.c.forwarding).join(tenants)
    found = await _sync(empty_database_url, lambda connection: connection.execute(question).all())
    assert [tuple(row) for row in found] == [("clm_1", {})]


async def test_a_user_from_before_memberships_acts_for_the_same_customer(empty_database_url: str) -> None:
    """Who signed in for a customer before is a member of it afterwards, and so are their sessions."""
    user_columns = "id, tenant_id, email, customer, password_hash, disabled, created_at, updated_at"
    session_columns = (
        "key, id, tenant_id, user_id, signed_in_at, seen_at, expires_at, idle_life, address, user_agent"
    )
    await _fill_as_of(
        "0002",
        empty_database_url,
        _tenant(),
        ("users", user_columns, "'usr_1', 'tnt_acme', 'mary@acme.test', 'C-1001', 'x', false, 7, 7"),
        ("sessions", session_columns, "'k', 'ses_1', 'tnt_acme', 'usr_1', 0, 0, 9, 9, '', ''"),
    )
    assert await migrate(empty_database_url) == _REVISIONS[2:]
    question = select(memberships.c.customer, memberships.c.created_at, sessions.c.customer).join(
        sessions, sessions.c.user_id == memberships.c.user_id
    )
    found = await _sync(empty_database_url, lambda connection: connection.execute(question).all())
    assert [tuple(row) for row in found] == [("C-1001", 7, "C-1001")]


async def test_hostnames_from_before_proof_go_on_as_they_were(empty_database_url: str) -> None:
    """What answers was vouched for and stays so; what waits is looked for from now on."""
    before = (
        "'a', 'tnt_acme', 'acme.portal.example', 'platform', 'active', 'x', 0, 7",
        "'b', 'tnt_acme', 'billing.acme.example', 'external', 'active', 'x', 0, 7",
        "'c', 'tnt_acme', 'konto.acme.example', 'external', 'pending', 'x', 0, 7",
        "'d', 'tnt_acme', 'old.acme.example', 'external', 'released', 'x', 0, 7",
    )
    rows = (("claims", _CLAIM, values) for values in before)
    await _fill_as_of("0003", empty_database_url, _tenant(), *rows)
    await migrate(empty_database_url)
    question = select(claims.c.proof, claims.c.proved_at, claims.c.next_check_at).order_by(claims.c.id)
    found = await _sync(empty_database_url, lambda connection: connection.execute(question).all())
    assert [tuple(row) for row in found] == [
        (None, None, None),
        ("operator", 7, None),
        (None, None, 0),
        (None, None, None),
    ]


async def test_migrating_twice_applies_nothing(empty_database_url: str) -> None:
    """``pending`` says beforehand what ``migrate`` then applies; a second time there is nothing to do."""
    expected = await pending(empty_database_url)
    assert expected
    assert await migrate(empty_database_url) == expected
    assert await pending(empty_database_url) == []
    assert await migrate(empty_database_url) == []


async def test_simultaneous_migrations_are_safe(empty_database_url: str) -> None:
    """Eight workers that start at once on an empty database: one migrates, the others wait."""
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(8)))
    assert sorted(map(len, applied))[:7] == [0] * 7
    assert max(applied, key=len) == _REVISIONS


async def test_simultaneous_processes_are_safe(empty_database_url: str) -> None:
    """The same for four processes."""
    script = "import asyncio, sys, router.storage.migrate as m; print(asyncio.run(m.migrate(sys.argv[1])))"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, empty_database_url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    assert sorted(outputs) == sorted([str(_REVISIONS), "[]", "[]", "[]"])


async def test_a_failing_migration_changes_nothing(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that breaks off half way leaves no table behind, and the next try succeeds."""

    def fail(config: Any, revision: str) -> None:  # noqa: ANN401 - Alembic's own
        upgrade(config, revision)
        config.attributes["connection"].execute(text("SELECT * FROM nowhere"))

    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(Unavailable) as refused:
        await migrate(empty_database_url)
    assert refused.value.code == "migration_failed"
    assert await _sync(empty_database_url, lambda connection: inspect(connection).get_table_names()) == []
    monkeypatch.undo()
    assert await migrate(empty_database_url) == _REVISIONS


async def test_going_back_leaves_an_empty_database(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each revision can be taken back as well."""
    await migrate(empty_database_url)
    monkeypatch.setattr(migrate_module, "_missing", lambda *_: ["anything"])
    monkeypatch.setattr(command, "upgrade", lambda config, _: command.downgrade(config, "base"))
    await migrate(empty_database_url)
    tables = await _sync(empty_database_url, lambda connection: inspect(connection).get_table_names())
    assert tables == ["alembic_version"]


async def test_a_database_of_a_newer_version_is_refused(empty_database_url: str) -> None:
    """A database that a newer router migrated is not touched by an older one; the sentence says why."""
    await migrate(empty_database_url)
    await _sync(
        empty_database_url,
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")),
    )
    with pytest.raises(Conflict) as refused:
        await migrate(empty_database_url)
    assert refused.value.code == "database_too_new"


async def test_migrating_keeps_a_database_private(tmp_path: Path) -> None:
    """The first start makes the file; it is its owner's alone from then on."""
    await migrate(f"sqlite:///{tmp_path / 'router.db'}")
    assert (tmp_path / "router.db").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(tmp_path / "router.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_wheel_has_the_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs the wheel can migrate: every file of the folder is in it."""
    build = pytest.importorskip("hatchling.build", reason="needs hatchling, the build backend")
    monkeypatch.chdir(_PROJECT)
    wheel = tmp_path / build.build_wheel(str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    folder = _PROJECT / "router" / "storage" / "migrations"
    sources = [*folder.rglob("*.py"), *folder.rglob("*.mako")]
    files = {str(file.relative_to(_PROJECT)) for file in sources}
    assert "router/storage/migrations/versions/r0001_foundations.py" in files
    assert files <= packed


async def test_a_tenant_from_before_the_console_is_found_by_its_name(empty_database_url: str) -> None:
    """In whatever capitals: the name that is searched by is made of the one there is."""
    before = (_tenant("acme", "ACME & Söhne"), _tenant("globex", "Straße"))
    await _fill_as_of("0005", empty_database_url, *before)
    await migrate(empty_database_url)
    question = select(tenants.c.folded_name).order_by(tenants.c.slug)
    found = await _sync(empty_database_url, lambda connection: connection.execute(question).scalars().all())
    assert found == ["acme & söhne", "strasse"]
