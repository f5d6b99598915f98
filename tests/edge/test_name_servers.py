"""Where a name leads: by files, search domains and name servers, as the C library would find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.name_servers import MOST_ADDRESSES, Found, NameServers, full_names, read_hosts
from router.errors import Unavailable
from tests.edge.name_server import NameServer, name_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Run a name server."""
    async with name_server() as running:
        yield running


class Machine:
    """A machine with files of its own, whose clock only the test moves."""

    def __init__(self, folder: Path, server: NameServer, *, patience: float) -> None:
        self.hosts = folder / "hosts"
        self.resolv_conf = folder / "resolv.conf"
        self.now = 0.0
        self.names = NameServers(
            [server.address],
            patience=patience,
            hosts=self.hosts,
            resolv_conf=self.resolv_conf,
            clock=lambda: self.now,
        )

    async def find(self, name: str) -> Found:
        """Look a name up, a second after the last time."""
        self.now += 1
        return await self.names.look_up(name)

    async def refusal(self, name: str) -> str:
        """Look up what cannot be found; the code of the fault."""
        with pytest.raises(Unavailable) as fault:
            await self.find(name)
        return fault.value.code


@pytest.fixture
async def machine(tmp_path: Path, server: NameServer) -> Machine:
    """Make a machine that asks the server."""
    return Machine(tmp_path, server, patience=10)


async def test_addresses_of_both_kinds_are_asked_together(machine: Machine, server: NameServer) -> None:
    """The answer is good for as long as the shorter of its times to live."""
    server.records["erp.example."] = ["A 192.0.2.1 60", "A 192.0.2.2 60", "AAAA 2001:db8::1 30"]
    assert await machine.find("erp.example") == Found(("192.0.2.1", "192.0.2.2"), ("2001:db8::1",), 30)
    assert sorted(server.asked) == ["A erp.example.", "AAAA erp.example."]


async def test_a_name_of_one_kind_is_found(machine: Machine, server: NameServer) -> None:
    """No address of the other kind is no fault."""
    server.records |= {"four.example.": ["A 192.0.2.1 60"], "six.example.": ["AAAA 2001:db8::1 60"]}
    assert await machine.find("four.example") == Found(("192.0.2.1",), (), 60)
    assert await machine.find("six.example") == Found((), ("2001:db8::1",), 60)


async def test_an_alias_is_as_short_lived_as_its_shortest_part(machine: Machine, server: NameServer) -> None:
    """A CNAME that is switched over is followed as quickly as it asks for."""
    server.records |= {"www.example.": ["CNAME erp.example. 5"], "erp.example.": ["A 192.0.2.1 600"]}
    assert await machine.find("www.example") == Found(("192.0.2.1",), (), 5)


@pytest.mark.parametrize("name", ["nobody.example", "empty.example"])
async def test_a_name_without_an_address_is_unknown(machine: Machine, server: NameServer, name: str) -> None:
    """Whether it does not exist, or has records of other kinds."""
    server.records["empty.example."] = []
    assert await machine.refusal(name) == "name_unknown"


@pytest.mark.parametrize("how", ["failing", "silent"])
async def test_servers_that_do_not_answer_are_told_from_those_that_know_nothing(
    tmp_path: Path, server: NameServer, how: str
) -> None:
    """After SERVFAIL, or nothing, nobody can tell whether the name exists; a lost question is sent again."""
    impatient = Machine(tmp_path, server, patience=1.0)
    server.records["erp.example."] = ["A 192.0.2.1 60"]
    getattr(server, how).add("erp.example.")
    assert await impatient.refusal("erp.example") == "name_unanswered"
    assert server.times_asked("erp.example.") >= 1 + (how == "silent")


@pytest.mark.parametrize("how", ["failing", "silent"])
async def test_half_an_answer_is_used_for_a_short_time(tmp_path: Path, server: NameServer, how: str) -> None:
    """Servers that do not know what AAAA is hold nobody up for long."""
    patient = Machine(tmp_path, server, patience=60)
    server.records["erp.example."] = ["A 192.0.2.1 300"]
    getattr(server, how).add("AAAA erp.example.")
    assert await patient.find("erp.example") == Found(("192.0.2.1",), (), 30)


async def test_a_truncated_answer_is_asked_for_over_tcp(machine: Machine, server: NameServer) -> None:
    """An answer that does not fit into a datagram; of a great many addresses, some are enough."""
    server.records["erp.example."] = [f"A 192.0.2.{number} 60" for number in range(100)]
    found = await machine.find("erp.example")
    assert len(found.v4) == MOST_ADDRESSES
    assert server.over_tcp == ["erp.example."]
    server.cut = True
    server.records["small.example."] = ["A 192.0.2.1 60"]
    assert (await machine.find("small.example")).v4 == ("192.0.2.1",)


async def test_search_domains_are_tried_in_their_order(machine: Machine, server: NameServer) -> None:
    """As containers find each other: ``backend`` is ``backend.shop.svc.cluster.local``."""
    machine.resolv_conf.write_text(
        "nameserver 192.0.2.53\nsearch shop.svc.cluster.local svc.cluster.local\noptions ndots:5\n"
    )
    server.records |= {
        "backend.shop.svc.cluster.local.": ["A 10.0.0.1 5"],
        "backend.billing.svc.cluster.local.": ["A 10.0.0.2 5"],
        "erp.example.": ["A 192.0.2.1 5"],
    }
    assert (await machine.find("backend")).v4 == ("10.0.0.1",)
    assert server.times_asked("backend.") == 0
    assert (await machine.find("backend.billing")).v4 == ("10.0.0.2",)
    assert (await machine.find("erp.example")).v4 == ("192.0.2.1",)


async def test_a_search_ends_where_a_server_fails(machine: Machine, server: NameServer) -> None:
    """What a later search domain says may be another's machine."""
    machine.resolv_conf.write_text("search shop.test test\n")
    server.failing.add("backend.shop.test.")
    server.records["backend.test."] = ["A 10.0.0.2 5"]
    assert await machine.refusal("backend") == "name_unanswered"


async def test_a_search_domain_never_lends_addresses_to_another(machine: Machine, server: NameServer) -> None:
    """Both kinds of address come from one and the same full name."""
    machine.resolv_conf.write_text("search shop.test test\n")
    server.records |= {"backend.shop.test.": ["A 10.0.0.1 5"], "backend.test.": ["AAAA fd00::2 5"]}
    assert await machine.find("backend") == Found(("10.0.0.1",), (), 5)


async def test_resolv_conf_is_read_again_when_it_has_changed(machine: Machine, server: NameServer) -> None:
    """A machine that moves to another network is not started anew for that; nonsense changes nothing."""
    server.records |= {"backend.one.test.": ["A 10.0.0.1 5"], "backend.two.test.": ["A 10.0.0.2 5"]}
    machine.resolv_conf.write_text("search one.test\n")
    assert (await machine.find("backend")).v4 == ("10.0.0.1",)
    machine.resolv_conf.write_text("# moved\nsearch two.test\nnameserver nonsense\noptions ndots:x\n")
    assert (await machine.find("backend")).v4 == ("10.0.0.2",)


async def test_hosts_goes_first_and_is_read_again_when_it_has_changed(
    machine: Machine, server: NameServer
) -> None:
    """What stands in /etc/hosts is not asked of anybody, for as long as it stands there."""
    server.records["erp.example."] = ["A 192.0.2.1 60"]
    machine.hosts.write_text("10.0.0.7 erp.example erp # ours\nfd00::7\tERP.example.\n")
    assert await machine.find("erp.example") == Found(("10.0.0.7",), ("fd00::7",), 5)
    assert (await machine.find("erp")).v4 == ("10.0.0.7",)
    assert server.asked == []
    machine.hosts.write_text("10.0.0.80 erp.example\n")
    assert (await machine.find("erp.example")).v4 == ("10.0.0.80",)
    machine.hosts.write_text("")
    assert (await machine.find("erp.example")).v4 == ("192.0.2.1",)


async def test_hosts_is_looked_at_once_a_second_at_most(machine: Machine) -> None:
    """A herd of look-ups is not a herd of readers."""
    machine.hosts.write_text("10.0.0.7 erp.example\n")
    await machine.find("erp.example")
    machine.hosts.write_text("10.0.0.80 erp.example\n")
    machine.now += 0.5
    assert (await machine.names.look_up("erp.example")).v4 == ("10.0.0.7",)


async def test_hosts_that_cannot_be_read_holds_as_it_was(machine: Machine) -> None:
    """A file that is gone for a moment, while an editor replaces it, takes no backend down."""
    machine.hosts.write_text("10.0.0.7 erp.example\n")
    await machine.find("erp.example")
    machine.hosts.unlink()
    assert (await machine.find("erp.example")).v4 == ("10.0.0.7",)


@pytest.mark.parametrize("name", ["localhost", "erp.localhost"])
async def test_localhost_is_this_machine(machine: Machine, server: NameServer, name: str) -> None:
    """Whatever files and servers say (RFC 6761)."""
    machine.hosts.write_text(f"192.0.2.1 {name}\n")
    assert await machine.find(name) == Found(("127.0.0.1",), ("::1",), 5)
    assert server.asked == []


def test_hosts_is_read_as_people_write_it() -> None:
    """Comments, aliases, several lines for a name; what is no address is passed over."""
    text = "# x\n\n127.0.0.1 localhost\n::1 localhost # y\n10.0.0.1 a b\n10.0.0.2 a\n"
    text += "fe80::1%lo0 a\nnonsense a\n10.0.0.3\n"
    assert read_hosts(text) == {
        "localhost": (("127.0.0.1",), ("::1",)),
        "a": (("10.0.0.1", "10.0.0.2"), ()),
        "b": (("10.0.0.1",), ()),
    }


@given(st.text(st.sampled_from("1.:af%# \t\n\x00é"), max_size=60))
def test_no_text_breaks_hosts(text: str) -> None:
    """Whatever stands there is read or passed over."""
    read_hosts(text)


@pytest.mark.parametrize(
    ("name", "ndots", "expected"),
    [
        ("backend", 1, ["backend.one.", "backend.two.", "backend."]),
        ("backend", 0, ["backend.", "backend.one.", "backend.two."]),
        ("erp.example", 1, ["erp.example.", "erp.example.one.", "erp.example.two."]),
        ("erp.example", 5, ["erp.example.one.", "erp.example.two.", "erp.example."]),
    ],
)
def test_ndots_says_what_is_tried_first(name: str, ndots: int, expected: list[str]) -> None:
    """A name with as many dots is tried by itself before the search domains (resolv.conf(5))."""
    domains = [dns.name.from_text("one"), dns.name.from_text("two")]
    assert [str(each) for each in full_names(name, domains, ndots)] == expected


def test_what_would_be_too_long_is_not_asked_for() -> None:
    """A long name and a long search domain are no name together."""
    name = ".".join(["a" * 63] * 3)
    domains = [dns.name.from_text(".".join(["b" * 63] * 2))]
    assert [str(each) for each in full_names(name, domains, 1)] == [f"{name}."]


async def test_without_a_setting_the_servers_are_those_of_resolv_conf(tmp_path: Path) -> None:
    """Where that names none, it is this machine's own (resolv.conf(5))."""
    resolv_conf = tmp_path / "resolv.conf"
    names = NameServers(patience=0.1, resolv_conf=resolv_conf)
    assert repr(names) == "<NameServers 127.0.0.1>"
    resolv_conf.write_text("nameserver 127.0.0.2\nnameserver ::1\n")
    with pytest.raises(Unavailable):
        await names.look_up("no-such-name.invalid")
    assert repr(names) == "<NameServers 127.0.0.2, ::1>"
