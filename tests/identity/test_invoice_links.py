from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from router.errors import BadInput, NotFound
from router.identity.invoice_links import LIFE, RENEWED, InvoiceLink, InvoiceLinks
from router.storage.schema import registration_links

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clock import Clock
    from tests.identity.conftest import Worker


async def test_link_is_the_same_each_time(worker: Worker, clock: Clock) -> None:
    """Every invoice of a customer has the same line, on every worker; the link says whose it is."""
    link = await worker.invoice_links.get("tnt_1", "C-1001")
    clock.now += 86_400
    assert await worker.invoice_links.get("tnt_1", "C-1001") == link
    assert (link.customer, link.email, link.expires_at) == ("C-1001", None, int(clock()) - 86_400 + LIFE)
    assert await worker.invoice_links.look("tnt_1", link.token) == link
    assert link.token not in repr(link)


async def test_customers_addresses_and_tenants_have_links_of_their_own(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """No two of them share a link, and one bound to an address is not the one without."""
    await add_tenant("tnt_2")
    asked = [
        ("tnt_1", "C-1", None),
        ("tnt_1", "C-2", None),
        ("tnt_1", "C-1", "a@x.test"),
        ("tnt_1", "C-1", "b@x.test"),
        ("tnt_2", "C-1", None),
    ]
    found = [await worker.invoice_links.get(*each) for each in asked]
    assert len({link.token for link in found}) == len(asked)
    assert await worker.invoice_links.get("tnt_1", "C-1", " A@X.test") == found[2]


async def test_asking_at_once_makes_one_link(worker: Worker, new_worker: Callable[..., Worker]) -> None:
    """Two invoices at the same moment, on two workers, have the same line."""
    workers = [worker, new_worker()] * 3
    found = await asyncio.gather(*(each.invoice_links.get("tnt_1", "C-1") for each in workers))
    assert len({link.token for link in found}) == 1


async def test_link_that_ends_soon_is_put_on_no_invoice(worker: Worker, clock: Clock) -> None:
    """With less than a month left there is a new link, and the old one is good to its end."""
    old = await worker.invoice_links.get("tnt_1", "C-1")
    clock.now += LIFE - RENEWED + 1
    new = await worker.invoice_links.get("tnt_1", "C-1")
    assert new.id != old.id
    assert await worker.invoice_links.look("tnt_1", old.token) == old
    clock.now += RENEWED - 1
    assert await worker.invoice_links.look("tnt_1", old.token) == "expired"


async def test_ended_link_is_forgotten_after_a_year(worker: Worker, clock: Clock) -> None:
    """For a year an old invoice's link is said to have expired; then its row is gone."""
    link = await worker.invoice_links.get("tnt_1", "C-1")
    clock.now += LIFE + 365 * 86_400
    await worker.links.sweep()
    assert await worker.invoice_links.look("tnt_1", link.token) == "expired"
    clock.now += 1
    await worker.links.sweep()
    assert await worker.invoice_links.look("tnt_1", link.token) == "unknown"


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(lambda token: token[:-1], id="truncated"),
        pytest.param(str.swapcase, id="other case"),
        pytest.param(lambda token: token.partition(".")[0], id="no signature"),
        pytest.param(lambda token: token.partition(".")[0] + ".", id="empty signature"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda token: "reg_" + "0" * 24 + "." + token.partition(".")[2], id="another id"),
        pytest.param(lambda token: token[:-1] + "é", id="not ascii"),
        pytest.param(lambda token: token[:-1] + "\udcff", id="surrogate"),
        pytest.param(lambda token: token.replace("_", "\x00"), id="nul"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "x" * 1_000_000, id="a megabyte"),
    ],
)
async def test_altered_link_is_unknown(worker: Worker, altered: Callable[[str], str]) -> None:
    """A token that was cut, changed or made up opens nothing."""
    link = await worker.invoice_links.get("tnt_1", "C-1")
    assert await worker.invoice_links.look("tnt_1", altered(link.token)) == "unknown"


@pytest.mark.parametrize("column", ["customer", "email"])
async def test_signature_binds_what_the_link_is_for(worker: Worker, column: str) -> None:
    """A row that somebody altered in the database is no longer what was signed."""
    link = await worker.invoice_links.get("tnt_1", "C-1")
    async with worker.database.write() as connection:
        await connection.execute(update(registration_links).values({column: "x@y.test"}))
    assert await worker.invoice_links.look("tnt_1", link.token) == "unknown"


async def test_database_alone_makes_no_link(worker: Worker) -> None:
    """What is stored does not hold the token, nor anything that would do for it."""
    link = await worker.invoice_links.get("tnt_1", "C-1")
    async with worker.database.read() as connection:
        stored = (await connection.execute(select(registration_links))).one()
    assert link.token.partition(".")[2] not in str(stored)


async def test_link_outlives_a_rotation_of_the_encryption_key(worker: Worker) -> None:
    """With a new key in front the old links are good still; without the old key they are not."""
    link = await worker.invoice_links.get("tnt_1", "C-1")
    new = b"n" * 32
    rotated = InvoiceLinks(worker.database, worker.links, [new, bytes(32)], clock=worker.clock)
    found = await rotated.look("tnt_1", link.token)
    assert isinstance(found, InvoiceLink)
    assert replace(found, token=link.token) == link
    forgotten = InvoiceLinks(worker.database, worker.links, [new], clock=worker.clock)
    assert await forgotten.look("tnt_1", link.token) == "unknown"


async def test_revoked_link_opens_nothing(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """A revoked link is void and the next invoice has another; another tenant cannot revoke it."""
    await add_tenant("tnt_2")
    link = await worker.invoice_links.get("tnt_1", "C-1")
    with pytest.raises(NotFound) as caught:
        await worker.invoice_links.revoke("tnt_2", link.id, actor="x")
    assert caught.value.code == "no_such_link"
    assert await worker.invoice_links.look("tnt_2", link.token) == "unknown"
    for _ in range(2):
        await worker.invoice_links.revoke("tnt_1", link.id, actor="x")
    assert await worker.invoice_links.look("tnt_1", link.token) == "voided"
    assert (await worker.invoice_links.get("tnt_1", "C-1")).id != link.id
    assert (await worker.audited())[1:] == ["registration-link.revoke"]


@pytest.mark.parametrize(
    ("tenant", "customer", "email"),
    [("tnt_9", "C-1", None), ("tnt_1", "", None), ("tnt_1", "C\n1", None), ("tnt_1", "C-1", "nobody")],
)
async def test_bad_question_makes_no_link(
    worker: Worker, tenant: str, customer: str, email: str | None
) -> None:
    """An unknown tenant, a bad reference or a bad address is refused and nothing is stored."""
    with pytest.raises((BadInput, NotFound)):
        await worker.invoice_links.get(tenant, customer, email)
    async with worker.database.read() as connection:
        assert (await connection.execute(select(registration_links))).all() == []
