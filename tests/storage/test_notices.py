"""Notices: who is told what needs somebody to act, once each, in whose language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from router.storage.notices import Notices
from router.storage.outbox import HOURLY, Outbox, identity_of
from router.storage.schema import outbox, tenants
from tests.storage.sealed_rows import BEFORE, NOW, add_tenant

if TYPE_CHECKING:
    from router.storage.database import Database

OPERATORS = "operators@platform.test"


async def name_contact(database: Database, **branding: str) -> None:
    """Have the tenant say whom its customers turn to."""
    async with database.write() as connection:
        await connection.execute(update(tenants).values(branding=branding))


async def tell(
    database: Database,
    operators: str | None = OPERATORS,
    *,
    tenant_id: str | None = "tnt_1",
    kind: str = "domain-lost",
    operators_too: bool = True,
) -> list[str]:
    """Tell something in a transaction of its own; answer whom."""
    facts = {"hostname": "billing.acme.test"}
    async with database.write() as connection:
        return await Notices(Outbox(BEFORE), operators).tell(
            connection, tenant_id, kind, facts, NOW, operators_too=operators_too
        )


async def queued(database: Database) -> list[tuple[str | None, str, str]]:
    """Whose mail, to whom and in which language, for every mail."""
    columns = select(outbox.c.tenant_id, outbox.c.recipient, outbox.c.language)
    async with database.read() as connection:
        rows = await connection.execute(columns.order_by(outbox.c.recipient))
        return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("branding", "told"),
    [
        ({}, [OPERATORS]),
        ({"support_email": "help@acme.test"}, [OPERATORS, "help@acme.test"]),
        ({"reply_to": "box@acme.test"}, [OPERATORS, "box@acme.test"]),
        ({"support_email": "help@acme.test", "reply_to": "box@acme.test"}, [OPERATORS, "help@acme.test"]),
        ({"support_email": OPERATORS}, [OPERATORS]),
    ],
    ids=["nobody", "help", "answers", "both", "the-operators-themselves"],
)
async def test_the_contact_is_told_and_the_operators(
    database: Database, branding: dict[str, str], told: list[str]
) -> None:
    """The address for help before the one for answers; whoever is both is told once."""
    await add_tenant(database)
    await name_contact(database, **branding)
    assert await tell(database) == told
    assert len(await queued(database)) == len(told)


async def test_each_is_told_in_their_own_language(database: Database) -> None:
    """The contact in the portal's, the operators in English; both about the tenant, in its look."""
    await add_tenant(database)
    await name_contact(database, support_email="help@acme.test", language="de")
    await tell(database)
    assert await queued(database) == [("tnt_1", "help@acme.test", "de"), ("tnt_1", OPERATORS, "en")]


async def test_what_only_the_tenant_can_act_on_goes_to_it_alone(database: Database) -> None:
    """Operators are not mailed of every hostname that became active."""
    await add_tenant(database)
    await name_contact(database, support_email="help@acme.test")
    assert await tell(database, operators_too=False) == ["help@acme.test"]


async def test_without_a_tenant_the_operators_are_told_alone(database: Database) -> None:
    """No tenant's contact hears of the platform's own certificates."""
    await add_tenant(database)
    await name_contact(database, support_email="help@acme.test")
    assert await tell(database, tenant_id=None) == [OPERATORS]
    assert await queued(database) == [(None, OPERATORS, "en")]


async def test_where_nobody_is_named_nobody_is_told(database: Database) -> None:
    """And that is no fault: the audit and the log have it."""
    await add_tenant(database)
    assert await tell(database, operators=None) == []
    assert await queued(database) == []


async def test_who_had_enough_is_not_said_to_be_told(database: Database) -> None:
    """A domain that comes and goes floods nobody; the answer names only those who get a mail."""
    await add_tenant(database)
    await name_contact(database, support_email="help@acme.test")
    for _ in range(HOURLY):
        await tell(database, operators_too=False)
    assert await tell(database) == [OPERATORS]


async def test_what_is_told_is_sealed(database: Database) -> None:
    """As every mail's facts are."""
    await add_tenant(database)
    await tell(database)
    async with database.read() as connection:
        row = (await connection.execute(select(outbox))).mappings().one()
    assert b"billing" not in row["sealed_facts"]
    opened = BEFORE.open(row["sealed_facts"], identity=identity_of(row["id"]))
    assert json.loads(opened) == {"hostname": "billing.acme.test"}
