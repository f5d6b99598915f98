"""Domains by the API: claimed, looked for, vouched for, given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.console.scopes import Role, Scope

if TYPE_CHECKING:
    from tests.console.stand import Stand

HOST = "billing.acme.example"
DOMAINS = "tenants/acme/domains"
ONE = f"{DOMAINS}/{HOST}"


@pytest.fixture
async def stand(stand: Stand) -> Stand:
    """Acme's own operator calls."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    return stand


async def test_a_claim_says_which_record_proves_it(stand: Stand) -> None:
    """201 with the records to create and the story that the command line tells."""
    answer = await stand.billing.call("POST", DOMAINS, {"hostname": HOST.upper()})
    assert answer.status == 201
    told = answer.data
    assert (told["hostname"], told["state"]) == (HOST, "pending")
    target = (await stand.registry.get("acme")).cname_target
    cname, txt = told["records"]
    assert cname == {"type": "CNAME", "name": HOST, "value": target}
    assert (txt["type"], txt["name"]) == ("TXT", f"_portal-challenge.{HOST}")
    standing = await stand.use_cases.domains.status(HOST, slug="acme")
    story = standing.story
    assert [told[name] for name in ("code", "sentence", "next_step")] == [
        story.code,
        story.sentence,
        story.next_step,
    ]
    assert (await stand.billing.call("GET", ONE)).data == told


async def test_behind_a_cdn_a_txt_record_is_the_proof(stand: Stand) -> None:
    """There the CNAME leads to the CDN."""
    told = (await stand.billing.call("POST", DOMAINS, {"hostname": HOST, "behind_cdn": True})).data
    assert [record["type"] for record in told["records"]] == ["TXT"]
    assert told["behind_cdn"] is True


@pytest.mark.parametrize(
    ("hostname", "code"),
    [
        ("203.0.113.7", "ip_address"),
        ("*.acme.example", "wildcard"),
        ("acme_.example", "bad_hostname"),
        ("x.portal.example", "under_platform"),
        ("billing.localhost", "reserved_name"),
        ("co.uk", "public_suffix"),
        (" ", "bad_hostname"),
    ],
)
async def test_not_every_name_can_be_claimed(stand: Stand, hostname: str, code: str) -> None:
    """Each refusal has its code, by the field; and nothing is claimed."""
    answer = await stand.billing.call("POST", DOMAINS, {"hostname": hostname})
    [error] = answer.data["errors"]
    assert (answer.status, error["pointer"], error["code"]) == (422, "#/hostname", code)
    assert (await stand.billing.call("GET", DOMAINS)).data == {"items": [], "next": None}


async def test_no_name_is_no_wish_to_give_one_up(stand: Stand) -> None:
    """An empty hostname is a fault here, where the form's empty field gives the hostname up."""
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    answer = await stand.billing.call("POST", DOMAINS, {"hostname": ""})
    assert answer.status == 422
    assert (await stand.billing.call("GET", ONE)).data["state"] == "pending"


async def test_a_look_tells_what_was_heard(stand: Stand) -> None:
    """First nothing is there; then the record is, and the hostname active; each line says who was asked."""
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    looked = await stand.billing.call("POST", f"{ONE}/check")
    assert (looked.status, looked.data["code"], looked.data["checks"]) == (200, "no_such_name", 1)
    target = (await stand.registry.get("acme")).cname_target
    stand.dns.records[f"{HOST}."] = [f"CNAME {target}. 60"]
    looked = await stand.billing.call("POST", f"{ONE}/check")
    assert (looked.data["state"], looked.data["proof"]) == ("active", "cname")
    line = next(each for each in looked.data["evidence"] if each["verdict"] == "good")
    assert line["resolver"] == stand.dns.address
    assert (HOST in line["asked"], target in line["answer"], target in line["expected"]) == (True, True, True)
    assert (await stand.billing.call("GET", "tenants/acme")).data["hostname"] == HOST


async def test_the_list_goes_on_where_it_ended(stand: Stand) -> None:
    """By hostname; what was given up is not in it."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    for host in ("b.acme.example", "a.acme.example", "c.acme.example"):
        await stand.billing.call("POST", DOMAINS, {"hostname": host})
        await stand.billing.call("POST", f"{DOMAINS}/{host}/vouch", {"reason": "Contract 4711"})
        await stand.billing.call("POST", f"{DOMAINS}/{host}/suspend", {"reason": "Looks"})
    await stand.billing.call("POST", DOMAINS, {"hostname": "d.acme.example"})
    page = (await stand.billing.call("GET", f"{DOMAINS}?limit=2")).data
    states = {each["hostname"]: each["state"] for each in page["items"]}
    assert sorted(states) == list(states)
    rest = (await stand.billing.call("GET", f"{DOMAINS}?limit=2&after={page['next']}")).data
    found = [each["hostname"] for each in page["items"] + rest["items"]]
    whole = (await stand.billing.call("GET", DOMAINS)).data["items"]
    assert found == [each["hostname"] for each in whole]
    assert "d.acme.example" in found
    assert (await stand.billing.call("GET", f"{DOMAINS}?after=AAAA")).code == "bad_cursor"


async def test_a_hostname_is_given_up(stand: Stand) -> None:
    """It is told of as released, and is in the list no more."""
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    gone = await stand.billing.call("DELETE", ONE)
    assert (gone.status, gone.data["state"]) == (200, "released")
    assert (await stand.billing.call("GET", ONE)).data["state"] == "released"
    assert (await stand.billing.call("GET", DOMAINS)).data["items"] == []


@pytest.mark.parametrize("word", ["vouch", "block", "unblock", "suspend", "resume"])
async def test_a_platforms_word_is_no_tenants(stand: Stand, word: str) -> None:
    """Nobody vouches for themselves, or takes a refusal back."""
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    answer = await stand.billing.call("POST", f"{ONE}/{word}", {"reason": "Me"})
    assert (answer.status, answer.code) == (403, "insufficient_scope")


async def test_a_platform_operator_decides(stand: Stand) -> None:
    """Vouching makes it active, without a record; a reason there must be; and all can be taken back."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    steps = [
        ("vouch", "active", "operator"),
        ("suspend", "suspended", "operator"),
        ("resume", "active", "operator"),
        ("block", "blocked", None),
        ("unblock", "pending", None),
    ]
    for word, state, proof in steps:
        body = None if word in ("resume", "unblock") else {"reason": "Contract 4711"}
        answer = await stand.billing.call("POST", f"{ONE}/{word}", body)
        assert (answer.status, answer.data["state"]) == (200, state)
        assert proof is None or answer.data["proof"] == proof
    assert (await stand.billing.call("POST", f"{ONE}/vouch", {"reason": " "})).code == "bad_reason"
    assert (await stand.billing.call("POST", f"{ONE}/vouch", {})).status == 422
    assert (await stand.billing.call("POST", f"{ONE}/resume")).code == "claim_state"


async def test_another_tenants_claim_is_not_there(stand: Stand) -> None:
    """Two may claim one hostname: each is told of its own claim; and by another tenant's path, of nothing."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    await stand.billing.call("POST", "tenants/globex/domains", {"hostname": HOST})
    await stand.billing.call("POST", f"tenants/globex/domains/{HOST}/vouch", {"reason": "Contract"})
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    for method, path in (("GET", ONE), ("POST", f"{ONE}/check"), ("DELETE", ONE)):
        answer = await stand.billing.call(method, path)
        assert (answer.status, answer.code) == (404, "claim_not_found")
        assert b"globex" not in answer.body
        answer = await stand.billing.call(method, path.replace("acme/", "globex/", 1))
        assert (answer.status, answer.code) == (404, "tenant_not_found")
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    assert (await stand.billing.call("GET", ONE)).data["state"] == "pending"
    assert len((await stand.billing.call("GET", DOMAINS)).data["items"]) == 1


async def test_a_reader_reads(stand: Stand) -> None:
    """And does nothing else."""
    await stand.billing.call("POST", DOMAINS, {"hostname": HOST})
    stand.billing.token = await stand.new_token(stand.acme, Scope.DOMAINS_READ)
    assert (await stand.billing.call("GET", ONE)).status == 200
    for method, path in (("POST", DOMAINS), ("POST", f"{ONE}/check"), ("DELETE", ONE)):
        assert (await stand.billing.call(method, path, {"hostname": HOST})).status == 403
