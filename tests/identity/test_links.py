from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.errors import Conflict, NotFound, RouterError
from router.identity.links import LIVES, Link
from router.storage.schema import links

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.identity.links import LinkKind
    from tests.clock import Clock
    from tests.identity.conftest import Worker

EMAIL = "new@acme.test"


async def _made(worker: Worker, kind: LinkKind = "reset", **bound: str) -> str:
    async with worker.database.write() as connection:
        token, _ = await worker.links.make(connection, kind, **{"tenant_id": "tnt_1", "email": EMAIL} | bound)
    return token


async def _spent(worker: Worker, token: str, tenant: str = "tnt_1", kind: LinkKind = "reset") -> Link:
    async with worker.database.write() as connection:
        return await worker.links.spend(connection, tenant, token, kind)


async def _refused(worker: Worker, token: str, tenant: str = "tnt_1", kind: LinkKind = "reset") -> str:
    with pytest.raises(RouterError) as caught:
        await _spent(worker, token, tenant, kind)
    seen = await worker.links.look(tenant, token, kind)
    assert caught.value.code == f"link_{seen}", "looking and spending say the same"
    return caught.value.code


async def test_link_is_spent_once(worker: Worker) -> None:
    """A link is good once; the second time it is said that it was used."""
    token = await _made(worker, customer="C-1")
    link = await _spent(worker, token)
    assert (link.kind, link.email, link.customer) == ("reset", EMAIL, "C-1")
    assert await _refused(worker, token) == "link_used"


async def test_looking_changes_nothing(worker: Worker) -> None:
    """However often a mail scanner follows a link, it is good for its recipient afterwards."""
    token = await _made(worker)
    for _ in range(20):
        assert isinstance(await worker.links.look("tnt_1", token, "reset"), Link)
    await _spent(worker, token)


async def test_of_parallel_uses_one_wins(worker: Worker, new_worker: Callable[..., Worker]) -> None:
    """Of ten uses at the same moment, on two workers, one gets the link and nine are told it was used."""
    token, other = await _made(worker), new_worker()
    outcomes = await asyncio.gather(
        *(_spent([worker, other][turn % 2], token) for turn in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Link) for outcome in outcomes) == 1
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [fault.code for fault in refused] == ["link_used"] * 9


async def test_link_expires(worker: Worker, clock: Clock) -> None:
    """At the end of its life a link opens nothing, and a moment before it does."""
    token = await _made(worker)
    clock.now += LIVES["reset"] - 1
    assert isinstance(await worker.links.look("tnt_1", token, "reset"), Link)
    clock.now += 1
    assert await _refused(worker, token) == "link_expired"


async def test_newer_link_voids_the_older(worker: Worker) -> None:
    """Of two links for the same purpose only the latest is good; other people's and purposes' stay good."""
    first, second = await _made(worker), await _made(worker)
    others = [await _made(worker, email="joe@acme.test"), await _made(worker, "registration", customer="C-1")]
    await _made(worker, "registration", customer="C-2")
    assert await _refused(worker, first) == "link_voided"
    await _spent(worker, second)
    await _spent(worker, others[0])
    await _spent(worker, others[1], kind="registration")


async def test_used_link_is_not_said_to_be_voided(worker: Worker) -> None:
    """Who used a link and asked for another is told that the first was used, which is what they did."""
    first = await _made(worker)
    await _spent(worker, first)
    await _made(worker)
    assert await _refused(worker, first) == "link_used"


async def test_link_is_bound_to_tenant_and_kind(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """At another tenant, or on another kind's page, a link was never there; and is not used up by it."""
    await add_tenant("tnt_2")
    token = await _made(worker)
    assert await _refused(worker, token, "tnt_2") == "link_unknown"
    assert await _refused(worker, token, kind="invitation") == "link_unknown"
    await _spent(worker, token)


async def test_newer_link_at_another_tenant_voids_nothing(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """The same address may have a link at each of two tenants."""
    await add_tenant("tnt_2")
    token = await _made(worker)
    await _made(worker, tenant_id="tnt_2")
    await _spent(worker, token)


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(lambda token: token[:-1], id="truncated"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(str.swapcase, id="other case"),
        pytest.param(lambda token: token + "=", id="padded"),
        pytest.param(lambda token: f" {token}", id="space"),
        pytest.param(lambda token: token[:-1] + "\udcff", id="surrogate"),
        pytest.param(lambda token: token[:-1] + "\x00", id="nul"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "x" * 1_000_000, id="a megabyte"),
    ],
)
async def test_altered_token_is_unknown(worker: Worker, altered: Callable[[str], str]) -> None:
    """A token that was cut, changed or made up opens nothing, and the real one stays good."""
    token = await _made(worker)
    assert await _refused(worker, altered(token)) == "link_unknown"
    await _spent(worker, token)


async def test_only_a_digest_is_stored(worker: Worker) -> None:
    """Who reads the database, or a value's repr, cannot use a link."""
    token = await _made(worker)
    async with worker.database.read() as connection:
        stored = (await connection.execute(select(links))).one()
    assert token not in str(stored)
    assert len(stored.key) == 64
    assert token not in repr(await worker.links.look("tnt_1", token, "reset"))


async def test_ended_links_are_swept_out_after_a_week(worker: Worker, clock: Clock) -> None:
    """For a week a late click is told that the link expired; then the row is gone, and others stay."""
    token = await _made(worker)
    clock.now += LIVES["reset"] + 7 * 86_400
    await worker.links.sweep()
    assert await _refused(worker, token) == "link_expired"
    recent = await _made(worker, email="joe@acme.test")
    clock.now += 1
    await worker.links.sweep()
    assert await _refused(worker, token) == "link_unknown"
    async with worker.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(links)) == 1
    await _spent(worker, recent)


async def test_spending_is_undone_with_its_transaction(worker: Worker) -> None:
    """A link whose transaction failed is good still."""
    token = await _made(worker)

    async def fail() -> None:
        async with worker.database.write() as connection:
            await worker.links.spend(connection, "tnt_1", token, "reset")
            raise NotFound("no_such_user", "There is no such user.")

    with pytest.raises(NotFound):
        await fail()
    await _spent(worker, token)
