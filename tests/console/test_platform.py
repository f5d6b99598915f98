"""Explaining and attention by the API, for those who run the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert, update

from router.console.attention import MOST
from router.console.scopes import Role
from router.observe.traffic import Traffic
from router.storage.schema import claims, outbox, webhooks
from router.storage.traffic import TrafficLog
from router.storage.workers import Worker, Workers
from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm
from tests.certificates.maker import INTERMEDIATE, make
from tests.console.page_browser import signed_in
from tests.console.test_certificates import pem

if TYPE_CHECKING:
    from tests.console.stand import Stand

ACME = "acme.portal.example"
WILDCARD = make("*.portal.example", issuer=INTERMEDIATE, slot=41)
HOST = "billing.acme.example"


@pytest.fixture
async def stand(stand: Stand) -> Stand:
    """A platform operator calls."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    return stand


async def explained(stand: Stand, query: str) -> Any:  # noqa: ANN401 - JSON is anything
    """What is told."""
    answer = await stand.billing.call("GET", f"explain?{query}")
    assert answer.status == 200
    return answer.data


async def attention(stand: Stand) -> list[dict[str, Any]]:
    """What there is to look at."""
    answer = await stand.billing.call("GET", "attention")
    assert (answer.status, answer.data["next"]) == (200, None)
    found: list[dict[str, Any]] = answer.data["items"]
    return found


async def test_the_whole_decision(stand: Stand) -> None:
    """Tenant, claim, certificate and why it, upstreams, what each visitor gets; and what is wrong first."""
    made = (await stand.billing.call("POST", "certificates", pem(WILDCARD))).data
    await stand.settled()
    told = await explained(stand, f"host=https://{ACME}:8443/x&path=/orders")
    assert (told["hostname"], told["path"], told["console"]) == (ACME, "/orders", False)
    assert told["tenant"] == {
        "portal_address": "acme",
        "status": "active",
        "maintenance": False,
        "portal_url": f"https://{ACME}:8443/",
    }
    assert (told["claim"]["state"], told["claim"]["kind"], told["claimed_by"]) == (
        "active",
        "platform",
        ["acme"],
    )
    certificate = told["certificate"]
    assert (certificate["id"], certificate["covers"]) == (made["id"], True)
    assert certificate["why"] == (
        "the newest upload of the platform that covers it, by the wildcard *.portal.example"
    )
    deeds = [(each["does"], each["status"]) for each in told["decisions"]]
    assert deeds == [("to_https", 308), ("to_sign_in", 303), ("refused", 401), ("forwarded", None)]
    [upstream] = told["upstreams"]
    assert (upstream["url"], upstream["fault"]) == ("http://127.0.0.1:9", "Connection refused")
    assert told["wrong"]["code"] == "upstream_unreachable"


async def test_nobodys_hostname(stand: Stand) -> None:
    """Is nobody's: who comes by plain HTTP gets a 404, and over TLS there is no certificate for them."""
    told = await explained(stand, "host=nobody.example")
    assert (told["tenant"], told["claim"], told["certificate"]) == (None, None, None)
    [plain] = told["decisions"]
    assert (plain["does"], plain["status"]) == ("refused", 404)
    assert told["wrong"]["code"] == "no_tenant"


async def test_a_hostname_that_waits(stand: Stand) -> None:
    """Its claim, and the certificate that waits for it, though the decision is nobody's yet."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    leaf = make(HOST, issuer=INTERMEDIATE, slot=42)
    held = (await stand.billing.call("POST", "tenants/acme/certificates", pem(leaf))).data
    assert held["state"] == "held"
    told = await explained(stand, f"host={HOST}")
    assert (told["claim"]["state"], told["certificate_waiting"]) == ("pending", held["id"])
    assert told["wrong"]["code"] == "claim_not_active"
    assert told["decisions"][0]["status"] == 404


async def test_the_consoles_own_hostname(stand: Stand) -> None:
    """Is the console's, whoever claims it."""
    await stand.billing.call("POST", "certificates", pem(WILDCARD))
    await stand.settled()
    told = await explained(stand, "host=admin.portal.example&path=/api/v1/tenants")
    assert (told["console"], told["tenant"], told["wrong"]) == (True, None, None)
    assert {each["does"] for each in told["decisions"][1:]} == {"console"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("host=-x-", {"#/host": "bad_hostname"}),
        ("host=a.example&path=x", {"#/path": "bad_path"}),
        ("host=a.example&path=/a%0d%0aX:%201", {"#/path": "bad_path"}),
        ("host=a.example&path=/%C3%A4", {"#/path": "bad_path"}),
        ("host=-x-&path=", {"#/host": "bad_hostname", "#/path": "bad_path"}),
        ("", {"#/host": "missing"}),
    ],
)
async def test_a_question_is_judged(stand: Stand, query: str, expected: dict[str, str]) -> None:
    """Each field of it; a line end in the path makes no second header field."""
    answer = await stand.billing.call("GET", f"explain?{query}")
    assert answer.status == 422
    assert {each["pointer"]: each["code"] for each in answer.data["errors"]} == expected


@pytest.mark.parametrize("path", ["explain?host=acme.portal.example", "attention"])
async def test_nobody_who_is_bound_to_a_tenant(stand: Stand, path: str) -> None:
    """Asks for the platform."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    answer = await stand.billing.call("GET", path)
    assert (answer.status, answer.code) == (403, "insufficient_scope")


async def test_nothing_needs_attention(stand: Stand) -> None:
    """Where all is well."""
    await stand.billing.call("POST", "certificates", pem(WILDCARD))
    stand.now -= 40 * 86_400
    assert await attention(stand) == []


async def test_certificates_that_end(stand: Stand) -> None:
    """Those for which no other goes on; soon, and when they have."""
    leaf, later = (
        make(ACME, issuer=INTERMEDIATE, slot=slot, days=days)
        for slot, days in ((43, (-50, 80)), (44, (-1, 300)))
    )
    first = (await stand.billing.call("POST", "tenants/acme/certificates", pem(leaf))).data
    [matter] = await attention(stand)
    assert (matter["kind"], matter["tenant"], matter["subject"]) == (
        "certificate_expiring",
        "acme",
        first["id"],
    )
    assert (matter["at"], "25 days" in matter["sentence"]) == (first["not_after"], True)
    stand.now += 27 * 86_400
    assert [each["kind"] for each in await attention(stand)] == ["certificate_expired"]
    await stand.billing.call("POST", "tenants/acme/certificates", pem(later))
    assert await attention(stand) == []


async def test_domains_that_moved_or_were_lost(stand: Stand) -> None:
    """With the story that is told of them elsewhere; what was lost long ago is no news."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    now = int(stand.now)
    for state, code, at, kinds in (
        ("moved", "no_such_name", now, ["domain_moved"]),
        ("conflict", "held_by_another", now, ["domain_conflict"]),
        ("released", "proof_lost", now, ["domain_lost"]),
        ("released", None, now, []),
        ("released", "proof_lost", now - 30 * 86_400, []),
    ):
        values = {"state": state, "code": code, "updated_at": at, "lost_at": now - 60}
        async with stand.database.write() as connection:
            await connection.execute(update(claims).where(claims.c.hostname == HOST).values(values))
        found = await attention(stand)
        assert [each["kind"] for each in found] == kinds
        assert all((each["tenant"], each["subject"]) == ("acme", HOST) for each in found)
        assert all(HOST in each["sentence"] or "proof" in each["sentence"] for each in found)


async def test_mails_and_workers(stand: Stand) -> None:
    """Those that were given up, and those that cannot serve something; the gravest comes first."""
    now = int(stand.now)
    mail = {
        "id": "mail_1",
        "tenant_id": stand.acme.id,
        "kind": "invitation",
        "recipient": "ada@customer.example",
        "language": "en",
        "state": "failed",
        "attempts": 9,
        "due_at": now,
        "error": "550 No such user",
        "created_at": now,
    }
    async with stand.database.write() as connection:
        await connection.execute(insert(outbox).values(mail))
    worker = Worker("wrk_1", "node-1", 7, now, now, 0, "crt_1 cannot be opened.")
    await Workers(stand.database).report(worker)
    of_worker, of_mail = await attention(stand)
    assert (of_worker["kind"], of_worker["subject"]) == ("worker_fault", "node-1, process 7")
    assert (of_mail["kind"], of_mail["tenant"]) == ("mail_failed", "acme")
    assert "550 No such user" in of_mail["sentence"]


async def of_visits(stand: Stand, tenant_id: str, well: int, failed: int, *, ago: int = 60) -> None:
    """Write visits down that came a while ago."""
    counted = Traffic()
    for status in [200] * well + [502] * failed:
        counted.visited(tenant_id, status, 0.004)
    await TrafficLog(stand.database).add(counted.take(), stand.now - ago)


async def test_upstreams_that_fail(stand: Stand) -> None:
    """Where half of the visits of late failed, the numbers are told; of a few, or an hour ago, nothing is."""
    await of_visits(stand, stand.globex.id, 0, 19)
    await of_visits(stand, stand.globex.id, 0, 90, ago=3600)
    await of_visits(stand, stand.acme.id, 11, 10)
    assert await attention(stand) == []
    await of_visits(stand, stand.acme.id, 0, 1, ago=400)
    [matter] = await attention(stand)
    assert (matter["kind"], matter["tenant"], matter["subject"]) == (
        "upstream_failing",
        "acme",
        "http://127.0.0.1:9",
    )
    assert matter["sentence"].startswith("11 of 22 visits of the last 15 minutes failed (5xx)")


async def test_maintenance_is_no_failing_upstream(stand: Stand) -> None:
    """A portal that is being worked on, or that is suspended, answers 503 as it was told to."""
    await of_visits(stand, stand.acme.id, 0, 40)
    await of_visits(stand, stand.globex.id, 0, 40)
    await stand.registry.change("acme", TenantForm(forwarding=ForwardingForm(maintenance=True)), actor="test")
    assert [each["tenant"] for each in await attention(stand)] == ["globex"]
    await stand.registry.suspend("globex", actor="test")
    assert await attention(stand) == []


async def test_webhooks_that_fail(stand: Stand) -> None:
    """Those of which nothing arrived for a while, and those given up; of the URL only the origin is told."""
    url = "https://hooks.example/secret-path"
    _, hook = await stand.use_cases.webhooks.add(stand.acme.id, url, ["*"], actor="test")
    now = int(stand.now)
    for disabled, since, word in (
        (False, None, None),
        (False, now - 60, None),
        (False, now - 1000, "fails"),
        (True, now - 60, "disabled"),
        (True, None, None),
    ):
        values = {"disabled": disabled, "failing_since": since}
        async with stand.database.write() as connection:
            await connection.execute(update(webhooks).where(webhooks.c.id == hook.id).values(values))
        found = await attention(stand)
        assert len(found) == (word is not None)
        for each in found:
            assert (each["kind"], each["tenant"], each["subject"]) == ("webhook_failing", "acme", hook.id)
            assert word is not None
            assert word in each["sentence"]
            assert "https://hooks.example " in each["sentence"]
            assert "secret-path" not in each["sentence"]


async def test_more_than_is_told(stand: Stand) -> None:
    """Is said to be there: of a kind a hundred are listed, and its name is."""
    now = int(stand.now)
    mails = [
        {
            "id": f"mail_{number}",
            "kind": "invitation",
            "recipient": f"ada{number}@customer.example",
            "language": "en",
            "state": "failed",
            "attempts": 9,
            "due_at": now,
            "created_at": now,
        }
        for number in range(MOST + 1)
    ]
    browser = await signed_in(stand)
    for count, more in ((MOST, []), (MOST + 1, ["mail_failed"])):
        async with stand.database.write() as connection:
            await connection.execute(delete(outbox))
            await connection.execute(insert(outbox), mails[:count])
        told = (await stand.billing.call("GET", "attention")).data
        assert (len(told["items"]), told["more"]) == (MOST, more)
        page = await browser.get("/overview")
        assert ("There are more of: mail failed." in page.body) is bool(more)
