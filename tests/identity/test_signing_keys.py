from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.errors import BadSettings, Unavailable
from router.identity.signing_keys import NOTICE, ROTATED_EVERY, SigningKeys
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.schema import signing_keys
from router.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.database import Database
    from tests.clock import Clock
    from tests.outages import Outage

SECRET = bytes(range(32))


@pytest.fixture
def new_keys(database: Database, clock: Clock) -> Callable[..., SigningKeys]:
    """Something that makes one worker's view of the platform's signing keys."""

    def make(secret: bytes = SECRET) -> SigningKeys:
        bell = PollBell()
        return SigningKeys(database, Sealer([secret]), bell, ChangeFeed(database, bell), clock=clock)

    return make


def _published(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in keys.jwks()["keys"]]


async def test_first_start_makes_the_current_and_the_next_key(
    new_keys: Callable[..., SigningKeys], clock: Clock
) -> None:
    """After the first start there is a key to sign with, and the one that follows it is published already."""
    keys = new_keys()
    with pytest.raises(Unavailable):
        keys.current(clock())
    assert keys.jwks() == {"keys": []}
    await keys.ensure(clock())
    current, following = _published(keys)
    assert keys.current(clock()).id == current
    assert keys.current(clock() + ROTATED_EVERY).id == following


async def test_document_has_public_parts_only(new_keys: Callable[..., SigningKeys], clock: Clock) -> None:
    """Each published key is a P-256 key for ES256 signatures, and nothing private is in it or in a repr."""
    keys = new_keys()
    await keys.ensure(clock())
    for key in keys.jwks()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
        assert len(key["x"]) == len(key["y"]) == 43
    assert "private" not in repr(keys.current(clock()))
    assert json.loads(json.dumps(keys.jwks())) == keys.jwks()


async def test_private_keys_are_sealed(
    new_keys: Callable[..., SigningKeys], clock: Clock, database: Database
) -> None:
    """A stored key opens with the platform's encryption key, and with no other."""
    await new_keys().ensure(clock())
    async with database.read() as connection:
        sealed = await connection.scalars(select(signing_keys.c.sealed_key))
        assert not any(b"0\x81" in one[17:20] for one in sealed)  # how the DER of a key would begin
    await new_keys().ensure(clock())
    with pytest.raises(BadSettings) as caught:
        await new_keys(bytes(32)).ensure(clock())
    assert caught.value.code == "encryption_key_missing"


async def test_workers_that_start_at_once_make_one_pair(
    new_keys: Callable[..., SigningKeys], clock: Clock, database: Database
) -> None:
    """Ten workers that start on an empty database agree on two keys."""
    workers = [new_keys() for _ in range(10)]
    async with asyncio.TaskGroup() as group:
        for late, worker in enumerate(workers):
            group.create_task(worker.ensure(clock() + late))
    assert len({tuple(_published(worker)) for worker in workers}) == 1
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(signing_keys)) == 2


async def test_clock_that_is_behind_finds_the_first_key(
    new_keys: Callable[..., SigningKeys], clock: Clock
) -> None:
    """A node whose clock is a little behind signs with the first key and makes no further ones."""
    await new_keys().ensure(clock())
    behind = new_keys()
    await behind.ensure(clock() - 60)
    assert behind.current(clock() - 60).id == _published(behind)[0]
    assert len(_published(behind)) == 2


@pytest.mark.parametrize("days_between_looks", [1, 7, 29, 45, 200])
async def test_every_key_has_its_notice(
    new_keys: Callable[..., SigningKeys], clock: Clock, days_between_looks: int
) -> None:
    """Over a year, a key is used only a day or more after it was published, and published for a day after.

    However seldom the router runs: after a long pause the former key serves until the next had its notice.
    """
    keys, published_at = new_keys(), dict[str, float]()
    await keys.ensure(clock())
    first, last_used = keys.current(clock()).id, dict[str, float]()
    for _ in range(400 // days_between_looks):
        for kid in _published(keys):
            published_at.setdefault(kid, clock())
        used = keys.current(clock()).id
        last_used[used] = clock()
        assert used in _published(keys)
        assert used == first or clock() - published_at[used] >= NOTICE
        clock.now += days_between_looks * 86_400
        await keys.ensure(clock())
    assert len(last_used) > 1
    assert len(_published(keys)) <= 3


async def test_retired_key_is_published_for_a_day_and_then_deleted(
    new_keys: Callable[..., SigningKeys], clock: Clock, database: Database
) -> None:
    """After its successor took over, a key stays in the document for a day; then its row goes, too."""
    keys = new_keys()
    await keys.ensure(clock())
    first = _published(keys)[0]
    clock.now += ROTATED_EVERY
    await keys.ensure(clock())
    assert keys.current(clock()).id != first
    assert len(_published(keys)) == 3
    clock.now += NOTICE
    assert first not in _published(keys)
    clock.now += ROTATED_EVERY
    await keys.ensure(clock())
    async with database.read() as connection:
        assert first not in list(await connection.scalars(select(signing_keys.c.id)))


async def test_rotation_elsewhere_is_noticed(database: Database, clock: Clock) -> None:
    """A worker learns of keys that another one made by the change feed, without looking by itself."""
    bell = PollBell()
    feed = ChangeFeed(database, bell, period=0.05)
    idle = SigningKeys(database, Sealer([SECRET]), bell, feed, clock=clock)
    await idle.ensure(clock())
    async with Tasks() as tasks:
        tasks.start(feed.run(), name="feed")
        tasks.start(idle.run(), name="keys")
        other = SigningKeys(
            database, Sealer([SECRET]), PollBell(), ChangeFeed(database, PollBell()), clock=clock
        )
        await other.ensure(clock() + ROTATED_EVERY)
        async with asyncio.timeout(20):
            while _published(idle) != _published(other):  # noqa: ASYNC110 - as the edge would see it
                await asyncio.sleep(0)
    assert len(_published(idle)) == 3


async def test_outage_of_the_database_stops_no_signing(
    new_keys: Callable[..., SigningKeys], clock: Clock, outage: Outage
) -> None:
    """With the database away the keys in memory serve on, and the next one takes over in its time."""
    keys = new_keys()
    await keys.ensure(clock())
    current, following = _published(keys)
    async with outage():
        with pytest.raises(Unavailable):
            await keys.ensure(clock())
        assert keys.current(clock()).id == current
        assert keys.current(clock() + ROTATED_EVERY).id == following
