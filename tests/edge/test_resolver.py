"""For how long an answer holds, who waits for a new one, and what serves while there is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.edge.name_servers import NameServers
from router.edge.resolver import Resolver
from router.errors import Unavailable
from router.observe.tasks import Tasks
from tests.edge.name_server import NameServer, name_server
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ERP = "erp.example"


class Bench:
    """A resolver whose clock only the test moves, and the name server that it asks."""

    def __init__(self, server: NameServer, tasks: Tasks, folder: Path, *, patience: float) -> None:
        self.server = server
        self.now = 1000.0
        names = NameServers(
            [server.address], patience=patience, hosts=folder / "none", resolv_conf=folder / "none"
        )
        self.resolver = Resolver(names, tasks, clock=lambda: self.now)

    def say(self, *records: str, name: str = ERP) -> None:
        """Have the name server say this of a name from now on."""
        self.server.records[f"{name}."] = list(records)

    async def settle(self) -> None:
        """Wait for what is looked up in the background."""
        await until(lambda: ", 0 look-ups" in repr(self.resolver))

    async def refusal(self, name: str = ERP) -> str:
        """Ask for what cannot be found; the code of the fault."""
        with pytest.raises(Unavailable) as fault:
            await self.resolver.find(name)
        return fault.value.code


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Run a name server."""
    async with name_server() as running:
        yield running


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Own what goes on in the background."""
    async with Tasks() as owner:
        yield owner


@pytest.fixture
async def bench(server: NameServer, tasks: Tasks, tmp_path: Path) -> Bench:
    """Make a resolver that has the time to hear its server."""
    return Bench(server, tasks, tmp_path, patience=10)


@pytest.fixture
async def hasty(server: NameServer, tasks: Tasks, tmp_path: Path) -> Bench:
    """Make a resolver for servers that do not answer."""
    return Bench(server, tasks, tmp_path, patience=0.2)


@pytest.mark.parametrize("literal", ["192.0.2.1", "2001:db8::1", "::1"])
async def test_an_address_is_its_own_answer(bench: Bench, literal: str) -> None:
    """Nobody is asked where an address is."""
    assert await bench.resolver.find(literal) == [literal]
    assert bench.resolver.peek(literal) is None
    assert bench.server.asked == []


async def test_an_answer_holds_for_its_time_to_live(bench: Bench) -> None:
    """Until then nobody is asked; then the new one is fetched while the former serves once more."""
    bench.say("A 192.0.2.1 60")
    assert await bench.resolver.find(ERP) == ["192.0.2.1"]
    bench.say("A 192.0.2.2 60")
    bench.now += 59
    assert await bench.resolver.find(ERP) == ["192.0.2.1"]
    assert bench.server.times_asked("erp.example.") == 1
    bench.now += 2
    assert await bench.resolver.find(ERP) == ["192.0.2.1"]
    await bench.settle()
    assert await bench.resolver.find(ERP) == ["192.0.2.2"]
    assert bench.server.times_asked("erp.example.") == 2


async def test_an_answer_that_ran_out_long_ago_is_waited_for(bench: Bench) -> None:
    """A name that nobody used for a while leads where it leads now."""
    bench.say("A 192.0.2.1 60")
    await bench.resolver.find(ERP)
    bench.say("A 192.0.2.2 60")
    bench.now += 71
    assert await bench.resolver.find(ERP) == ["192.0.2.2"]


@pytest.mark.parametrize(("ttl", "held"), [(0, 1), (1, 1), (300, 300), (86_400, 300)])
async def test_times_to_live_are_taken_within_bounds(bench: Bench, ttl: int, held: int) -> None:
    """A name of 0 seconds is no flood of questions, one of a day is followed within five minutes."""
    bench.say(f"A 192.0.2.1 {ttl}")
    await bench.resolver.find(ERP)
    bench.now += held - 0.1
    bench.resolver.peek(ERP)
    assert ", 0 look-ups" in repr(bench.resolver)
    bench.now += 0.2
    bench.resolver.peek(ERP)
    assert ", 1 look-ups" in repr(bench.resolver)


async def test_many_ask_one_question(bench: Bench) -> None:
    """A herd on a cold name is one look-up, and each of it gets the answer."""
    bench.say("A 192.0.2.1 60")
    found = await asyncio.gather(*(bench.resolver.find(ERP) for _ in range(100)))
    assert found == [["192.0.2.1"]] * 100
    assert bench.server.times_asked("erp.example.") == 1


async def test_who_gives_up_takes_the_answer_from_nobody(bench: Bench) -> None:
    """A visitor that leaves does not end the look-up that others wait for."""
    bench.say("A 192.0.2.1 60")
    async with asyncio.TaskGroup() as visits:
        first = visits.create_task(bench.resolver.find(ERP))
        second = visits.create_task(bench.resolver.find(ERP))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ["192.0.2.1"]


async def test_addresses_take_turns(bench: Bench) -> None:
    """Each dial begins with another address, IPv4 before IPv6, so that all machines get connections."""
    bench.say("A 192.0.2.1 60", "A 192.0.2.2 60", "AAAA 2001:db8::1 60")
    first, second = await bench.resolver.find(ERP), await bench.resolver.find(ERP)
    assert {first[0], second[0]} == {"192.0.2.1", "192.0.2.2"}
    assert first[1] == second[1] == "2001:db8::1"
    assert sorted(first) == sorted(second)


async def test_an_unknown_name_is_not_asked_for_again_at_once(bench: Bench) -> None:
    """A wrong name costs a question now and then; once it exists it is found within seconds."""
    assert [await bench.refusal() for _ in range(3)] == ["name_unknown"] * 3
    assert bench.server.times_asked("erp.example.") == 1
    assert bench.resolver.peek(ERP) == ()
    bench.say("A 192.0.2.1 60")
    bench.now += 5.1
    assert await bench.resolver.find(ERP) == ["192.0.2.1"]


async def test_a_name_that_was_taken_away_leads_nowhere(bench: Bench) -> None:
    """NXDOMAIN is an answer: the last good addresses are somebody else's by then."""
    bench.say("A 192.0.2.1 60")
    await bench.resolver.find(ERP)
    del bench.server.records["erp.example."]
    bench.now += 71
    assert await bench.refusal() == "name_unknown"


@pytest.mark.parametrize("how", ["failing", "silent"])
async def test_the_last_good_answer_serves_while_servers_fail(hasty: Bench, how: str) -> None:
    """For an hour, at once, however long they are away; they are asked again every few seconds."""
    hasty.say("A 192.0.2.1 60")
    await hasty.resolver.find(ERP)
    getattr(hasty.server, how).add("erp.example.")
    hasty.now += 100
    assert await hasty.resolver.find(ERP) == ["192.0.2.1"]
    asked = len(hasty.server.asked)
    hasty.now += 3000
    assert await hasty.resolver.find(ERP) == ["192.0.2.1"]
    await hasty.settle()
    assert len(hasty.server.asked) > asked
    assert hasty.resolver.peek(ERP) == ("192.0.2.1",)
    hasty.now += 600
    assert await hasty.refusal() == "name_unanswered"
    assert hasty.resolver.peek(ERP) is None


async def test_servers_that_answer_again_are_believed_again(hasty: Bench) -> None:
    """After an outage the new addresses come by themselves."""
    hasty.say("A 192.0.2.1 60")
    await hasty.resolver.find(ERP)
    hasty.server.failing.add("erp.example.")
    hasty.now += 100
    await hasty.resolver.find(ERP)
    hasty.server.failing.clear()
    hasty.say("A 192.0.2.2 60")
    hasty.now += 6
    await hasty.resolver.find(ERP)
    await hasty.settle()
    assert await hasty.resolver.find(ERP) == ["192.0.2.2"]


async def test_servers_that_never_answered_are_not_asked_by_every_visit(hasty: Bench) -> None:
    """For two seconds the fault itself is the answer, at once."""
    hasty.server.failing.add("erp.example.")
    assert [await hasty.refusal() for _ in range(3)] == ["name_unanswered"] * 3
    asked = len(hasty.server.asked)
    hasty.now += 2.1
    await hasty.refusal()
    assert len(hasty.server.asked) > asked


async def test_one_tenants_hanging_servers_delay_nobody_else(
    server: NameServer, tasks: Tasks, tmp_path: Path
) -> None:
    """However many names hang again and again, another name is looked up meanwhile."""
    hasty = Bench(server, tasks, tmp_path, patience=1)
    names = [f"n{number}.slow.example" for number in range(30)]
    hasty.server.silent |= {f"{name}." for name in names}
    await asyncio.gather(*(hasty.refusal(name) for name in names))
    hasty.now += 10
    for name in names:
        hasty.resolver.peek(name)
    assert ", 30 look-ups" in repr(hasty.resolver)
    hasty.say("A 192.0.2.1 60")
    assert await hasty.resolver.find(ERP) == ["192.0.2.1"]
    assert ", 0 look-ups" not in repr(hasty.resolver)
    await hasty.settle()


async def test_what_is_remembered_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tenants whose upstreams change with every hour do not fill the memory."""
    monkeypatch.setattr("router.edge.resolver._MOST_NAMES", 3)
    for number in range(10):
        await bench.refusal(f"n{number}.example")
    assert "3 names" in repr(bench.resolver)


async def test_no_more_are_looked_up_than_can_be(hasty: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound whoever asks is told so at once, and what is watched waits for its next turn."""
    monkeypatch.setattr("router.edge.resolver._MOST_FLIGHTS", 1)
    hasty.say("A 192.0.2.1 1")
    await hasty.resolver.find(ERP)
    hasty.server.silent.add("slow.example.")
    async with asyncio.TaskGroup() as visits:
        waiting = visits.create_task(hasty.refusal("slow.example"))
        await until(lambda: ", 1 look-ups" in repr(hasty.resolver))
        hasty.now += 2
        assert await hasty.refusal("other.example") == "name_unanswered"
        assert hasty.resolver.peek(ERP) == ("192.0.2.1",)
        assert await waiting == "name_unanswered"


async def test_a_doubted_answer_is_asked_for_anew(bench: Bench) -> None:
    """Where nobody was met the name may lead elsewhere by now; but that is asked once a second at most."""
    bench.say("A 192.0.2.1 600")
    await bench.resolver.find(ERP)
    assert not bench.resolver.doubt("192.0.2.1")
    assert not bench.resolver.doubt(ERP)
    bench.now += 1
    bench.say("A 192.0.2.2 600")
    assert bench.resolver.doubt(ERP)
    assert await bench.resolver.find(ERP) == ["192.0.2.2"]
    assert not bench.resolver.doubt(ERP)
