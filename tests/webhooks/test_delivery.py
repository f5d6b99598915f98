"""Deliveries to a real receiver, from both databases: each event arrives, once where that can be."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import new as new_hmac
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from sqlalchemy import select
from structlog.testing import capture_logs

from router.errors import Conflict, Unavailable
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.events import Event, EventKind, emit
from router.storage.schema import audit
from router.storage.sealing import Sealer
from router.webhooks.schedule import GIVEN_UP_AFTER, KEPT, LEASE, PAUSES
from tests.waiting import until
from tests.webhooks.conftest import START, Office, Receiver, never, receiving

if TYPE_CHECKING:
    from collections.abc import Mapping


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Verify a delivery as a receiver would, by the specification alone."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + b64encode(new_hmac(key, content, sha256).digest()).decode()
    return wanted in headers["webhook-signature"].split()


async def _hooked(office: Office, receiver: Receiver, *events: str) -> tuple[str, str]:
    """Set Acme's webhook up; its secret and its id."""
    secret, made = await office.webhooks.add("tnt_1", receiver.url, events or ["*"], actor="test")
    return secret, made.id


async def test_an_event_arrives_signed(office: Office) -> None:
    """One POST of JSON with kind, time and facts, whose signature holds; and that is written down."""
    async with receiving() as receiver, office.delivering():
        secret, _ = await _hooked(office, receiver)
        await office.happen()
        row = await office.settled("sent")
    [(headers, body)] = receiver.got
    assert json.loads(body) == {
        "type": "domain.active",
        "timestamp": "2026-11-21T22:26:40Z",
        "data": {"tenant": "acme", "hostname": "billing.acme.test"},
    }
    assert headers["content-type"] == "application/json"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (row.id, str(int(START)))
    assert verified(secret, headers, body)
    assert not verified(secret, headers, body + b" ")
    assert (row.status, row.error, row.sent_at) == (204, None, START)


async def test_whose_events_and_which(office: Office) -> None:
    """A tenant's webhook hears of its own and of what it asked for; the platform's of every tenant's."""
    async with receiving() as receiver:
        url = receiver.url
        _, acmes = await office.webhooks.add("tnt_1", url, ["domain.active"], actor="test")
        _, globexs = await office.webhooks.add("tnt_2", url, ["*"], actor="test")
        _, platforms = await office.webhooks.add(None, url, ["*"], actor="test")
        _, off = await office.webhooks.add("tnt_1", url, ["*"], actor="test")
        await office.webhooks.disable(off.id, actor="test")
        await office.happen(EventKind.DOMAIN_ACTIVE, "tnt_1")
        await office.happen(EventKind.DOMAIN_MOVED, "tnt_1")
        await office.happen(EventKind.CERTIFICATE_EXPIRED, None)
    told = sorted((row.webhook_id, row.event) for row in await office.rows())
    assert told == sorted(
        [
            (acmes.id, "domain.active"),
            (platforms.id, "domain.active"),
            (platforms.id, "domain.moved"),
            (platforms.id, "certificate.expired"),
        ]
    )
    assert globexs.id not in {webhook_id for webhook_id, _ in told}


async def test_what_is_rolled_back_is_not_told(office: Office) -> None:
    """An event belongs to the transaction of what happened."""
    async with receiving() as receiver:
        await _hooked(office, receiver)
        with pytest.raises(ZeroDivisionError):
            await _half_done(office)
    assert await office.rows() == []


async def _half_done(office: Office) -> None:
    async with office.database.write() as connection:
        await emit(connection, [Event(EventKind.DOMAIN_ACTIVE, "tnt_1", {})], START)
        raise ZeroDivisionError


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_no_other_answer_is_success(office: Office, status: int) -> None:
    """It is tried again under the same id after a pause; a redirect is not followed."""
    async with receiving(status, 200) as receiver, office.delivering():
        _, webhook_id = await _hooked(office, receiver)
        await office.happen()
        row = await office.settled("waiting")
        assert (row.status, row.error, row.due_at) == (status, f"It answered {status}.", START + PAUSES[0])
        assert await office.failing_since(webhook_id) == START
        office.clock.now += PAUSES[0]
        row = await office.settled("sent", attempts=2)
        assert await office.failing_since(webhook_id) is None
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [row.id, row.id]
    assert receiver.got[0][1] == receiver.got[1][1]
    assert receiver.got[1][0]["webhook-timestamp"] == str(int(START) + PAUSES[0])


async def test_a_silent_receiver_is_left_and_keeps_nobody_waiting(office: Office) -> None:
    """After its time it is tried later; meanwhile others get theirs."""
    async with receiving() as silent, receiving() as other, office.delivering(timeout=2):
        silent.answering = never()
        await _hooked(office, silent)
        _, globexs = await office.webhooks.add("tnt_2", other.url, ["*"], actor="test")
        await office.happen()
        await until(lambda: bool(silent.got))
        await office.happen(tenant_id="tnt_2")
        await until(lambda: bool(other.got))
        await until(lambda: _one(office, "waiting", "No answer: TimeoutError."))
        assert await office.failing_since(globexs.id) is None


async def _one(office: Office, state: str, error: str) -> bool:
    return (state, error) in [(row.state, row.error) for row in await office.rows()]


async def test_a_slow_and_endless_body_changes_nothing(office: Office) -> None:
    """Who answered 200 has it: nobody reads what comes behind the head."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        await response.write(b"x" * 100_000)
        await asyncio.Event().wait()
        return response

    async with receiving() as receiver, office.delivering():
        receiver.answering = endless
        await _hooked(office, receiver)
        await office.happen()
        assert (await office.settled("sent")).status == 200


async def test_a_receiver_that_hangs_up_or_is_not_there(office: Office) -> None:
    """Both are no answer, and the reason is told without a word of the URL."""

    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with capture_logs() as logs:
        async with receiving() as receiver, office.delivering():
            receiver.answering = hang_up
            await _hooked(office, receiver)
            await office.happen()
            row = await office.settled("waiting")
            assert row.status is None
            assert row.error.startswith("No answer: ")
            await receiver_gone(receiver)
            office.clock.now += PAUSES[0]
            await until(lambda: _attempted(office, 2))
    assert "/hook" not in str(logs)


async def receiver_gone(receiver: Receiver) -> None:
    """Answer nobody any more."""
    receiver.answering = never()


async def _attempted(office: Office, attempts: int) -> bool:
    [row] = await office.rows()
    return bool(row.attempts == attempts)


async def test_eight_tries_over_a_day_then_failed(office: Office) -> None:
    """Each pause as the schedule says; the webhook goes on, and the delivery is sent if asked for."""
    async with receiving(*[500] * 8, 200) as receiver, office.delivering():
        _, webhook_id = await _hooked(office, receiver)
        await office.happen()
        for attempt, seconds in enumerate(PAUSES, 1):
            row = await office.settled("waiting", attempts=attempt)
            assert row.due_at == office.clock() + seconds
            office.clock.now += seconds
        row = await office.settled("failed", attempts=8)
        assert not (await office.webhooks.get(webhook_id)).disabled
        again = await office.webhooks.redeliver(webhook_id, row.id, actor="test")
        assert (again.state, again.attempts) == ("waiting", 0)
        await office.settled("sent")
    assert len(receiver.got) == 9


async def test_a_webhook_that_fails_for_days_is_disabled(office: Office) -> None:
    """Once another delivery has failed: what waits for it has failed too; log and audit say so."""
    with capture_logs() as logs:
        async with receiving(500) as receiver:
            _, webhook_id = await _hooked(office, receiver)
            await office.happen()
            async with office.delivering():
                await _fail(office)
                office.clock.now += GIVEN_UP_AFTER
                await office.happen()
                await _fail(office)
            assert (await office.webhooks.get(webhook_id)).disabled
            with pytest.raises(Conflict) as caught:
                await office.webhooks.test(webhook_id, actor="test")
            assert caught.value.code == "webhook_disabled"
            async with office.database.read() as connection:
                found = select(audit).where(audit.c.action == "webhook.disable")
                [line] = (await connection.execute(found)).all()
            assert (line.actor, line.subject, line.tenant_id) == ("router", webhook_id, "tnt_1")
            assert line.detail["failing_since"] == int(START)
            enabled = await office.webhooks.enable(webhook_id, actor="test")
            assert (enabled.disabled, enabled.failing_since) == (False, None)
    assert [entry["webhook"] for entry in logs if entry["event"] == "webhook disabled"] == [webhook_id]


async def _fail(office: Office) -> None:
    """Let time pass until no delivery waits any more."""

    async def over() -> bool:
        rows = await office.rows()
        due = [row.due_at for row in rows if row.state == "waiting"]
        office.clock.now = max([office.clock.now, *due])
        return {row.state for row in rows} == {"failed"}

    await until(over)


async def test_gone_is_believed_at_once(office: Office) -> None:
    """410 disables a webhook after one try (RFC 9110 section 15.5.11)."""
    async with receiving(410) as receiver, office.delivering():
        _, webhook_id = await _hooked(office, receiver)
        await office.happen()
        row = await office.settled("failed")
    assert (row.status, len(receiver.got)) == (410, 1)
    assert (await office.webhooks.get(webhook_id)).disabled


async def test_a_name_that_leads_inside_is_not_posted_to(office: Office) -> None:
    """Where a name leads is judged when it is connected to, whatever it was when it was saved."""
    async with receiving() as receiver, office.delivering(allow_private=False):
        by_name = receiver.url.replace("127.0.0.1", "localhost")
        await office.webhooks.add("tnt_1", by_name, ["*"], actor="test")
        await office.happen()
        row = await office.settled("failed")
        assert row.error == "No answer: its addresses are not allowed."
        await office.webhooks.add("tnt_2", receiver.url, ["*"], actor="test")
        await office.happen(tenant_id="tnt_2")
        await until(lambda: _one(office, "failed", "No answer: its address is not allowed."))
    assert receiver.got == []


async def test_one_delivery_at_a_time_to_each(office: Office) -> None:
    """Over all workers, and in the order in which things happened."""
    under_way, most = 0, 0

    async def slowly(_: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)  # long enough for another one to begin, were it allowed to
        under_way -= 1
        return web.Response()

    async with receiving() as receiver:
        receiver.answering = slowly
        await _hooked(office, receiver)
        kinds = list(EventKind)[:6]
        for kind in kinds:
            await office.happen(kind)
            office.clock.now += 1
        async with office.delivering(), office.delivering(), office.delivering():
            await until(lambda: len(receiver.got) == 6)
            await until(lambda: _all_sent(office))
    assert most == 1
    assert [json.loads(body)["type"] for _, body in receiver.got] == [kind.value for kind in kinds]


async def _all_sent(office: Office) -> bool:
    return {row.state for row in await office.rows()} == {"sent"}


async def test_a_worker_that_dies_leaves_its_delivery_to_another(office: Office) -> None:
    """When the lease has run out, and no sooner."""
    async with receiving() as receiver:
        await _hooked(office, receiver)
        await office.happen()
        assert len(await office.queue.take(8, office.clock())) == 1  # and dies
        office.clock.now += LEASE - 1
        assert await office.queue.take(8, office.clock()) == []
        office.clock.now += 1
        async with office.delivering():
            row = await office.settled("sent", attempts=2)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [row.id]


async def test_a_former_secret_signs_for_another_day(office: Office) -> None:
    """So that a receiver can change over: both hold at first, the new one alone afterwards."""
    async with receiving() as receiver, office.delivering():
        former, webhook_id = await _hooked(office, receiver)
        secret, _ = await office.webhooks.rotate(webhook_id, actor="test")
        await office.webhooks.test(webhook_id, actor="test")
        await until(lambda: len(receiver.got) == 1)
        assert verified(former, *receiver.got[0])
        assert verified(secret, *receiver.got[0])
        office.clock.now += 86_400
        await office.webhooks.test(webhook_id, actor="test")
        await until(lambda: len(receiver.got) == 2)
    assert not verified(former, *receiver.got[1])
    assert verified(secret, *receiver.got[1])


async def test_a_secret_that_does_not_open_here_waits(office: Office) -> None:
    """A worker without the encryption key sends nothing unsigned; another one may have it."""
    async with receiving() as receiver:
        await _hooked(office, receiver)
        await office.happen()
        async with office.delivering(sealer=Sealer([bytes(32)])):
            row = await office.settled("waiting")
        assert "encrypted with" in row.error
        assert receiver.got == []
        office.clock.now += PAUSES[0]
        async with office.delivering():
            await office.settled("sent", attempts=2)


async def test_old_deliveries_are_forgotten(office: Office) -> None:
    """After 30 days, whatever became of them."""
    async with receiving() as receiver:
        await _hooked(office, receiver)
        await office.happen()
        office.clock.now += KEPT
        await office.happen()
        assert await office.queue.prune(office.clock()) == 0
        assert await office.queue.prune(office.clock() + 1) == 1
        assert len(await office.rows()) == 1


async def test_a_removed_webhook_gets_no_more(office: Office) -> None:
    """Neither what waited nor what is under way is written down for nobody."""
    async with receiving() as receiver:
        _, webhook_id = await _hooked(office, receiver)
        await office.happen()
        [taken] = await office.queue.take(8, office.clock())
        await office.webhooks.remove(webhook_id, actor="test")
        assert not await office.queue.sent(taken, 200, office.clock())
        assert await office.rows() == []


async def test_an_outage_of_the_database_loses_no_delivery(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither before it is taken nor between the receiver's word and ours; and it arrives once."""
    read, write, refusals = office.database.read, office.database.write, {"read": 2, "write": 0}

    def away(what: str) -> object:
        if refusals[what]:
            refusals[what] -= 1
            raise Unavailable("database_unavailable", "The database does not answer.")
        return read() if what == "read" else write()

    async def answer(_: web.Request) -> web.StreamResponse:
        refusals["write"] = 2  # from now on, for a while
        return web.Response()

    async with receiving() as receiver:
        receiver.answering = answer
        await _hooked(office, receiver)
        await office.happen()
        monkeypatch.setattr(office.database, "read", lambda: away("read"))
        monkeypatch.setattr(office.database, "write", lambda: away("write"))
        async with office.delivering():
            await until(lambda: bool(receiver.got))
            await office.settled("sent")
    assert len(receiver.got) == 1
    assert refusals == {"read": 0, "write": 0}


async def test_a_change_wakes_the_workers(office: Office) -> None:
    """A test event is sent when it is asked for, not when somebody looks by the way."""
    feed = ChangeFeed(office.database, PollBell(), period=0.02)
    async with receiving() as receiver, Tasks() as tasks:
        tasks.start(feed.run(), name="changes")
        _, webhook_id = await _hooked(office, receiver)
        async with office.delivering(feed=feed, period=3600):
            await feed.begun()
            await office.webhooks.test(webhook_id, actor="test")
            await office.settled("sent")
