"""The evidence for a claim, from a real name server: every way in which the DNS answers, and does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.hostname import Hostname
from router.tenants.proof import Verdict, Wanted, judge
from router.tenants.verify import Verifier
from tests.edge.name_server import NameServer, name_server
from tests.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router.tenants.proof import Facts

HOST = Hostname.parse("billing.acme.example")
TARGET = Hostname.parse("k3x9q0v7m2p5.customers.portal.test")
CHALLENGE = f"_portal-challenge.{HOST}"
TOKEN = "v8-Qn_Zk3x"
WANTED = Wanted(HOST, TARGET, CHALLENGE, TOKEN, behind_cdn=False, platform_domain=Hostname("portal.test"))
BEHIND = Wanted(HOST, TARGET, CHALLENGE, TOKEN, behind_cdn=True, platform_domain=Hostname("portal.test"))

PLATFORM = {f"{TARGET}.": ["A 192.0.2.1 60", "AAAA 2001:db8::1 60"]}


@pytest.fixture
async def dns() -> AsyncIterator[NameServer]:
    """A name server that knows the platform's addresses and nothing of the tenant's."""
    async with name_server() as server:
        server.records.update(PLATFORM)
        yield server


async def look(*servers: NameServer, patience: float = 5.0) -> Facts:
    """Ask these servers about the hostname."""
    verifier = Verifier([server.address for server in servers], patience=patience)
    return await verifier.look(HOST, CHALLENGE, TARGET)


async def verdict(dns: NameServer, wanted: Wanted = WANTED, *, patience: float = 5.0) -> Verdict:
    """Ask, and judge."""
    return judge(wanted, await look(dns, patience=patience))


CASES: dict[str, tuple[dict[str, list[str]], str | None, str]] = {
    "nothing": ({}, None, "no_such_name"),
    "only a mail server": ({f"{HOST}.": []}, None, "no_records"),
    "cname": ({f"{HOST}.": [f"CNAME {TARGET}. 60"]}, "cname", "proved_by_cname"),
    "cname in capitals": ({f"{HOST}.": [f"CNAME {TARGET.upper()}. 60"]}, "cname", "proved_by_cname"),
    "chain": (
        {f"{HOST}.": ["CNAME a.cdn.example. 60"], "a.cdn.example.": [f"CNAME {TARGET}. 60"]},
        "cname",
        "proved_by_cname",
    ),
    "cname elsewhere": (
        {f"{HOST}.": ["CNAME a.cdn.example. 60"], "a.cdn.example.": ["A 192.0.2.9 60"]},
        None,
        "cname_elsewhere",
    ),
    "cname to nowhere": ({f"{HOST}.": ["CNAME gone.cdn.example. 60"]}, None, "cname_elsewhere"),
    "cname to another tenant's target": (
        {f"{HOST}.": ["CNAME zzzzzzzzzzzz.customers.portal.test. 60"]},
        None,
        "cname_other_target",
    ),
    "cname to the platform's address of a tenant": (
        {f"{HOST}.": ["CNAME acme.portal.test. 60"]},
        None,
        "cname_elsewhere",
    ),
    "a target that only begins so": (
        {f"{HOST}.": [f"CNAME {TARGET}.evil.example. 60"]},
        None,
        "cname_elsewhere",
    ),
    "circle": (
        {f"{HOST}.": ["CNAME b.example. 60"], "b.example.": [f"CNAME {HOST}. 60"]},
        None,
        "cname_loop",
    ),
    "circle of one": ({f"{HOST}.": [f"CNAME {HOST}. 60"]}, None, "cname_loop"),
    "flattened": ({f"{HOST}.": ["A 192.0.2.1 60", "AAAA 2001:db8::1 60"]}, None, "flattened"),
    "flattened, with the token": (
        {f"{HOST}.": ["A 192.0.2.1 60"], f"{CHALLENGE}.": [f"TXT {TOKEN} 60"]},
        "txt",
        "proved_by_txt",
    ),
    "another address": ({f"{HOST}.": ["A 192.0.2.9 60"]}, None, "address_elsewhere"),
    "token before the move": (
        {f"{HOST}.": ["A 192.0.2.9 60"], f"{CHALLENGE}.": [f"TXT {TOKEN} 60"]},
        "txt",
        "not_here_yet",
    ),
    "half moved": (
        {f"{HOST}.": ["A 192.0.2.1 60", "AAAA 2001:db8::9 60"], f"{CHALLENGE}.": [f"TXT {TOKEN} 60"]},
        "txt",
        "not_here_yet",
    ),
    "token in several strings": (
        {f"{CHALLENGE}.": [f"TXT {TOKEN[:4]}|{TOKEN[4:]} 60"]},
        "txt",
        "not_here_yet",
    ),
    "token in quotes": ({f"{CHALLENGE}.": [f'TXT "{TOKEN}" 60']}, "txt", "not_here_yet"),
    "token beside others": (
        {f"{CHALLENGE}.": ["TXT other-one 60", f"TXT {TOKEN} 60", "TXT third 60"]},
        "txt",
        "not_here_yet",
    ),
    "token in other capitals": ({f"{CHALLENGE}.": [f"TXT {TOKEN.lower()} 60"]}, None, "txt_wrong"),
    "half a token": ({f"{CHALLENGE}.": [f"TXT {TOKEN[:-1]} 60"]}, None, "txt_wrong"),
    "two records are not one": (
        {f"{CHALLENGE}.": [f"TXT {TOKEN[:4]} 60", f"TXT {TOKEN[4:]} 60"]},
        None,
        "txt_wrong",
    ),
    "token by an alias": (
        {f"{CHALLENGE}.": ["CNAME proofs.example. 60"], "proofs.example.": [f"TXT {TOKEN} 60"]},
        "txt",
        "not_here_yet",
    ),
    "token at the hostname itself": ({f"{HOST}.": [f"TXT {TOKEN} 60"]}, None, "no_records"),
}


@pytest.mark.parametrize("terse", [False, True], ids=["resolver", "terse"])
@pytest.mark.parametrize("case", CASES)
async def test_what_the_dns_says_is_judged(case: str, terse: bool, dns: NameServer) -> None:  # noqa: FBT001
    """Each arrangement of records is a proof or has a code of its own, whoever follows the aliases."""
    records, proof, code = CASES[case]
    dns.records.update(records)
    dns.terse = terse
    found = await verdict(dns)
    assert (found.proof, found.code, found.certain) == (proof, code, True)


@pytest.mark.parametrize(
    ("records", "proof", "code"),
    [
        ({f"{HOST}.": ["A 192.0.2.9 60"]}, None, "txt_missing"),
        ({f"{HOST}.": ["A 192.0.2.9 60"], f"{CHALLENGE}.": ["TXT other 60"]}, None, "txt_wrong"),
        ({f"{HOST}.": ["A 192.0.2.9 60"], f"{CHALLENGE}.": [f"TXT {TOKEN} 60"]}, "txt", "proved_by_txt"),
        ({f"{HOST}.": [f"CNAME {TARGET}. 60"]}, "cname", "proved_by_cname"),
    ],
)
async def test_behind_a_cdn_the_token_is_what_is_asked_for(
    records: dict[str, list[str]], proof: str | None, code: str, dns: NameServer
) -> None:
    """A CDN's addresses are no fault there; a CNAME to the target is proof everywhere."""
    dns.records.update(records)
    found = await verdict(dns, BEHIND)
    assert (found.proof, found.code) == (proof, code)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("failing", "dns_servfail"),
        ("refusing", "dns_refused"),
        ("garbling", "dns_timeout"),
        ("silent", "dns_timeout"),
    ],
)
async def test_no_answer_is_no_evidence(way: str, code: str, dns: NameServer) -> None:
    """SERVFAIL, REFUSED, nonsense and silence each have a code, and prove nothing either way."""
    getattr(dns, way).update({f"{HOST}.", f"{CHALLENGE}."})
    found = await verdict(dns, patience=2.0)
    assert (found.proof, found.certain, found.code) == (None, False, code)
    assert {line.verdict for line in found.evidence} == {"unanswered"}


@pytest.mark.parametrize(
    ("server", "code"), [("255.255.255.255:53", "dns_unreachable"), ("127.0.0.1:{port}", "dns_timeout")]
)
async def test_a_server_that_is_not_there_proves_nothing(server: str, code: str) -> None:
    """The system may not even send a question there, which is the platform's fault; or nobody listens."""
    verifier = Verifier([server.format(port=free_port())], patience=0.5)
    found = judge(WANTED, await verifier.look(HOST, CHALLENGE, TARGET))
    assert (found.certain, found.code) == (False, code)


async def test_one_kind_of_address_is_enough_to_know_the_chain(dns: NameServer) -> None:
    """Servers that do not answer for AAAA take no proof away, and none is missed for them."""
    dns.records[f"{HOST}."] = [f"CNAME {TARGET}. 60"]
    dns.silent.add(f"AAAA {HOST}.")
    assert (await verdict(dns, patience=2.0)).proof == "cname"
    dns.records[f"{HOST}."] = ["A 192.0.2.9 60"]
    found = await verdict(dns, patience=2.0)
    assert (found.proof, found.certain, found.code) == (None, True, "address_elsewhere")


async def test_while_the_challenge_cannot_be_read_nothing_is_certain(dns: NameServer) -> None:
    """A hostname that leads elsewhere may still be proved by a record that could not be asked for."""
    dns.records[f"{HOST}."] = ["A 192.0.2.9 60"]
    dns.failing.add(f"{CHALLENGE}.")
    found = await verdict(dns)
    assert (found.certain, found.code) == (False, "address_elsewhere")


async def test_a_long_answer_comes_over_tcp(dns: NameServer) -> None:
    """Forty other tokens do not fit into a packet: the answer is asked for again."""
    dns.records[f"{CHALLENGE}."] = [f"TXT {'x' * 60}{number} 60" for number in range(40)] + [
        f"TXT {TOKEN} 60"
    ]
    assert (await verdict(dns)).proof == "txt"
    assert f"{CHALLENGE}." in dns.over_tcp


async def test_what_was_cut_off_and_cannot_be_had_is_told_so(dns: NameServer) -> None:
    """An answer that is truncated is never judged by its half."""
    dns.records[f"{HOST}."] = ["A 192.0.2.9 60"]
    dns.cut = dns.mute_tcp = True
    found = await verdict(dns, patience=2.0)
    assert (found.proof, found.certain, found.code) == (None, False, "dns_truncated")


async def test_the_next_server_is_asked_when_one_does_not_know(dns: NameServer) -> None:
    """One that fails or is silent costs a moment; one that knows for certain is believed."""
    async with name_server() as other:
        other.records.update(PLATFORM | {f"{HOST}.": [f"CNAME {TARGET}. 60"]})
        dns.failing.update({f"{HOST}.", f"{CHALLENGE}."})
        dns.silent.add(f"{TARGET}.")
        found = judge(WANTED, await look(dns, other, patience=1.0))
        assert found.proof == "cname"
        assert found.evidence[0].resolver == other.address
        dns.failing.clear()
        assert judge(WANTED, await look(dns, other, patience=1.0)).code == "no_such_name"


async def test_nothing_is_remembered(dns: NameServer) -> None:
    """What changes in the DNS is seen by the very next look."""
    codes = []
    for record in (f"CNAME {TARGET}. 3600", "CNAME a.cdn.example. 3600", f"CNAME {TARGET}. 3600"):
        dns.records[f"{HOST}."] = [record]
        codes.append((await verdict(dns)).code)
    del dns.records[f"{HOST}."]
    codes.append((await verdict(dns)).code)
    assert codes == ["proved_by_cname", "cname_elsewhere", "proved_by_cname", "no_such_name"]


async def test_a_target_without_address_is_the_platforms_fault_and_still_proof(dns: NameServer) -> None:
    """The tenant's record is what proves; that the platform's own is missing is told beside."""
    del dns.records[f"{TARGET}."]
    dns.records[f"{HOST}."] = [f"CNAME {TARGET}. 60"]
    assert (await verdict(dns)).proof == "cname"
    dns.records[f"{HOST}."] = ["A 192.0.2.1 60"]
    address = (await verdict(dns)).evidence[-1]
    assert (address.method, address.code) == ("address", "target_without_address")


@pytest.mark.parametrize(("records", "words"), [({}, "no such name"), ({f"{HOST}.": []}, "no such record")])
async def test_a_hostname_without_address_is_told_in_words(
    records: dict[str, list[str]], words: str, dns: NameServer
) -> None:
    """What came back for the addresses is said as for the other records, not by the code."""
    dns.records.update(records)
    address = (await verdict(dns)).evidence[-1]
    assert (address.method, address.answer, address.code) == ("address", words, "no_records")


async def test_evidence_says_who_was_asked_what_came_and_what_was_expected(dns: NameServer) -> None:
    """A line for each method, to be read by a person."""
    dns.records |= {f"{HOST}.": ["CNAME a.cdn.example. 60"], "a.cdn.example.": ["A 192.0.2.9 60"]}
    name, challenge, address = (await verdict(dns)).evidence
    assert (name.asked, name.resolver) == (f"CNAME {HOST}", dns.address)
    assert (name.answer, name.expected) == ("a.cdn.example -> 192.0.2.9", TARGET)
    assert (name.verdict, challenge.verdict, address.verdict) == ("wrong", "missing", "wrong")
    assert (challenge.asked, challenge.answer) == (f"TXT {CHALLENGE}", "no such name")
    assert challenge.expected == TOKEN
    assert (address.answer, address.expected) == ("192.0.2.9", "192.0.2.1, 2001:db8::1")


async def test_the_systems_servers_are_asked_where_none_are_named(tmp_path: Path) -> None:
    """resolv.conf is read at each look; without one this machine is asked."""
    path = tmp_path / "resolv.conf"
    path.write_text("search acme.example\nnameserver 127.0.0.53\n")
    facts = await Verifier(patience=0.2, resolv_conf=path).look(HOST, CHALLENGE, TARGET)
    assert facts.v4.resolver in ("", "127.0.0.53:53")
    path.write_text("nonsense")
    assert (await Verifier(patience=0.2, resolv_conf=path).look(HOST, CHALLENGE, TARGET)).v4.fault


async def test_a_look_that_is_given_up_leaves_nothing_behind(dns: NameServer) -> None:
    """Whoever is shut down in the middle of a look ends at once."""
    dns.silent.add(f"{HOST}.")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await look(dns, patience=30.0)
    assert len(asyncio.all_tasks()) == 1
