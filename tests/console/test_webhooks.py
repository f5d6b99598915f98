"""Webhooks by the API: set up, changed, tried out and removed, each by whoever may, and nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.storage.schema import audit, webhook_deliveries, webhooks
from router.webhooks.webhooks import MOST

if TYPE_CHECKING:
    from tests.console.stand import Answer, Stand

WISH = {"url": "http://127.0.0.1:9/hook/s3cret", "events": ["domain.active", "certificate.expired"]}
ROOT = "webhooks"


@pytest.fixture
async def caller(stand: Stand) -> Stand:
    """A stand whose caller may manage Acme's webhooks."""
    stand.billing.token = await stand.new_token(stand.acme, "webhooks:read", "webhooks:write")
    return stand


async def _made(stand: Stand, **more: object) -> Answer:
    return await stand.billing.call("POST", ROOT, WISH | more)


async def test_a_webhook_is_set_up_and_told_without_its_secret(caller: Stand) -> None:
    """201 with the secret, which is in no later answer, in no column and in no line of the audit."""
    made = await _made(caller)
    assert made.status == 201
    told, secret = made.data, made.data["secret"]
    assert secret.startswith("whsec_")
    assert (told["tenant"], told["url"], told["events"]) == ("acme", WISH["url"], WISH["events"])
    listed = await caller.billing.call("GET", ROOT)
    shown = await caller.billing.call("GET", f"{ROOT}/{told['id']}")
    assert listed.data == {"items": [shown.data], "next": None}
    assert shown.data == {name: value for name, value in told.items() if name != "secret"}
    async with caller.database.read() as connection:
        stored = str((await connection.execute(select(webhooks))).all())
        [line] = (await connection.execute(select(audit).where(audit.c.action == "webhook.add"))).all()
    assert secret.removeprefix("whsec_") not in stored
    assert (line.tenant_id, line.address) == (caller.acme.id, "203.0.113.7")
    assert "s3cret" not in str(line.detail)


async def test_a_webhook_is_changed_switched_and_removed(caller: Stand) -> None:
    """Each change is told and audited; what is so already is no change."""
    one = f"{ROOT}/{(await _made(caller)).data['id']}"
    changed = await caller.billing.call("PATCH", one, {"events": ["*"]})
    assert (changed.status, changed.data["events"], changed.data["url"]) == (200, ["*"], WISH["url"])
    for _ in range(2):
        assert (await caller.billing.call("POST", f"{one}/disable")).data["disabled"] is True
    refused = await caller.billing.call("POST", f"{one}/test")
    assert (refused.status, refused.code) == (409, "webhook_disabled")
    assert (await caller.billing.call("POST", f"{one}/enable")).data["disabled"] is False
    rotated = await caller.billing.call("POST", f"{one}/secret")
    assert rotated.data["secret"].startswith("whsec_")
    assert (await caller.billing.call("DELETE", one)).status == 204
    gone = await caller.billing.call("GET", one)
    assert (gone.status, gone.code) == (404, "no_such_webhook")
    async with caller.database.read() as connection:
        actions = await connection.scalars(
            select(audit.c.action).where(audit.c.action.startswith("webhook.")).order_by(audit.c.sequence)
        )
        assert [action.removeprefix("webhook.") for action in actions] == [
            "add",
            "change",
            "disable",
            "enable",
            "rotate",
            "remove",
        ]


async def test_deliveries_are_listed_and_sent_again(caller: Stand) -> None:
    """The newest first, in pieces; a test event is one; again begins all attempts anew."""
    one = f"{ROOT}/{(await _made(caller)).data['id']}"
    for _ in range(3):
        answer = await caller.billing.call("POST", f"{one}/test")
        assert (answer.status, answer.data["event"], answer.data["state"]) == (202, "webhook.test", "waiting")
        caller.now += 60
    first = await caller.billing.call("GET", f"{one}/deliveries?limit=2")
    rest = await caller.billing.call("GET", f"{one}/deliveries?limit=2&after={first.data['next']}")
    assert [len(first.data["items"]), len(rest.data["items"]), rest.data["next"]] == [2, 1, None]
    times = [item["created_at"] for item in (*first.data["items"], *rest.data["items"])]
    assert times == sorted(times, reverse=True)
    oldest = rest.data["items"][0]
    async with caller.database.write() as connection:
        failed = webhook_deliveries.update().values(state="failed", attempts=8, error="It answered 500.")
        await connection.execute(failed.where(webhook_deliveries.c.id == oldest["id"]))
    found = await caller.billing.call("GET", f"{one}/deliveries?state=failed")
    assert [item["id"] for item in found.data["items"]] == [oldest["id"]]
    again = await caller.billing.call("POST", f"{one}/deliveries/{oldest['id']}/redeliver")
    assert (again.status, again.data["state"], again.data["attempts"]) == (202, "waiting", 0)
    for other in ("whd_none", "%C3%BC"):
        nobody = await caller.billing.call("POST", f"{one}/deliveries/{other}/redeliver")
        assert (nobody.status, nobody.code) == (404, "no_such_delivery")


async def test_a_tenants_caller_has_its_own_tenants_alone(caller: Stand) -> None:
    """Another tenant's, the platform's and nobody's do not exist, and can be made for nobody else."""
    caller.billing.token = await caller.new_token(None, "webhooks:read", "webhooks:write")
    platforms = (await _made(caller)).data
    theirs = (await _made(caller, tenant="globex")).data
    assert (platforms["tenant"], theirs["tenant"]) == (None, "globex")
    assert len((await caller.billing.call("GET", ROOT)).data["items"]) == 2
    caller.billing.token = await caller.new_token(caller.acme, "webhooks:read", "webhooks:write")
    assert (await caller.billing.call("GET", ROOT)).data == {"items": [], "next": None}
    for webhook_id in (platforms["id"], theirs["id"], "whk_none", "%C3%BC"):
        one = f"{ROOT}/{webhook_id}"
        answers = [
            await caller.billing.call(method, f"{one}{rest}")
            for method, rest in (
                ("GET", ""),
                ("DELETE", ""),
                ("POST", "/disable"),
                ("POST", "/enable"),
                ("POST", "/secret"),
                ("POST", "/test"),
                ("GET", "/deliveries"),
                ("POST", "/deliveries/whd_1/redeliver"),
            )
        ]
        assert {(answer.status, answer.code) for answer in answers} == {(404, "no_such_webhook")}
    for tenant in ("globex", "nobody"):
        refused = await _made(caller, tenant=tenant)
        assert (refused.status, refused.code) == (404, "tenant_not_found")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"url": "ftp://hook.example/"}, "bad_webhook_url"),
        ({"url": "http://169.254.169.254/latest"}, "bad_webhook_url"),
        ({"url": "https://user:password@hook.example/"}, "bad_webhook_url"),
        ({"url": "https://hook.example/\n"}, "not_printable"),
        ({"events": []}, "bad_value"),
        ({"events": ["domain.lost"]}, "bad_value"),
    ],
    ids=str,
)
async def test_bad_wishes_are_refused(caller: Stand, wish: dict[str, object], code: str) -> None:
    """With the field's code, and nothing is set up."""
    answer = await _made(caller, **wish)
    assert answer.status == 422
    codes = {answer.code, *(error["code"] for error in answer.data.get("errors", ()))}
    assert code in codes
    assert (await caller.billing.call("GET", ROOT)).data["items"] == []


async def test_of_many_at_once_no_more_are_made(caller: Stand) -> None:
    """Each counts those that are being added at the same moment."""
    made = await asyncio.gather(*(_made(caller) for _ in range(MOST + 10)))
    assert sorted(each.status for each in made) == [201] * MOST + [409] * 10


async def test_there_is_an_end_to_webhooks(caller: Stand) -> None:
    """One tenant's do not grow without bounds; another tenant has its own."""
    for _ in range(MOST):
        assert (await _made(caller)).status == 201
    refused = await _made(caller)
    assert (refused.status, refused.code) == (409, "enough_webhooks")
    caller.billing.token = await caller.new_token(caller.globex, "webhooks:write")
    assert (await _made(caller)).status == 201
