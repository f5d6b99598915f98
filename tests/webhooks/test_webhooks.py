"""What operators do to webhooks: each change whole, audited, and within its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select

from router.errors import BadInput, Conflict, NotFound
from router.storage.events import EventKind
from router.storage.schema import audit, tenants
from router.webhooks.webhooks import REDELIVERIES_HOURLY, TESTS_HOURLY, parse_events
from tests.webhooks.conftest import sealed_secret

if TYPE_CHECKING:
    from tests.webhooks.conftest import Office

URL = "http://127.0.0.1:9/hooks/s3cret?key=hidden"


@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        (["*"], ("*",)),
        (["domain.moved", "domain.active", "domain.moved"], ("domain.active", "domain.moved")),
        (["domain.active", "*"], ("*",)),
    ],
)
def test_events_are_read_once_each(raw: list[str], kinds: tuple[str, ...]) -> None:
    """In one order, whichever they were said in; all is all."""
    assert parse_events(raw) == kinds


@pytest.mark.parametrize("raw", [[], [""], ["domain"], ["domain.active", "domain.lost"]], ids=str)
def test_other_events_are_refused(raw: list[str]) -> None:
    """And those that there are, are named."""
    with pytest.raises(BadInput, match=EventKind.DOMAIN_MOVED) as caught:
        parse_events(raw)
    assert (caught.value.code, caught.value.field) == ("bad_event", "events")


async def test_neither_url_nor_secret_is_in_a_repr_or_the_audit(office: Office) -> None:
    """Both may open something at the receiver's; what is stored of the secret is sealed."""
    secret, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    first = await sealed_secret(office.database, webhook.id)
    await office.webhooks.change(webhook.id, url=URL + "2", actor="test")
    another, _ = await office.webhooks.rotate(webhook.id, actor="test")
    assert another != secret
    assert await sealed_secret(office.database, webhook.id) != first
    async with office.database.read() as connection:
        lines = [str(row) for row in (await connection.execute(select(audit))).all()]
    assert len(lines) == 3
    for text in (repr(webhook), *lines):
        assert "s3cret" not in text
        assert "hidden" not in text
        assert secret.removeprefix("whsec_") not in text
    assert "http://127.0.0.1:9" in lines[0]


async def test_what_is_so_already_is_no_change(office: Office) -> None:
    """It leaves no line in the audit."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["domain.active"], actor="test")
    same = await office.webhooks.change(webhook.id, url=URL, events=["domain.active"], actor="test")
    assert same == webhook
    assert await office.webhooks.enable(webhook.id, actor="test") == webhook
    for _ in range(2):
        await office.webhooks.disable(webhook.id, actor="test")
    async with office.database.read() as connection:
        actions = list(await connection.scalars(select(audit.c.action).order_by(audit.c.sequence)))
    assert actions == ["webhook.add", "webhook.disable"]


async def test_disabling_ends_what_waits(office: Office) -> None:
    """It has failed, and is sent when the webhook is enabled and somebody asks for it."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    await office.happen()
    await office.webhooks.disable(webhook.id, actor="test")
    await office.happen()
    [row] = await office.rows()
    assert (row.state, row.error) == ("failed", "The webhook was disabled.")
    with pytest.raises(Conflict) as caught:
        await office.webhooks.redeliver(webhook.id, row.id, actor="test")
    assert caught.value.code == "webhook_disabled"
    await office.webhooks.enable(webhook.id, actor="test")
    assert await office.queue.take(8, office.clock()) == []
    await office.webhooks.redeliver(webhook.id, row.id, actor="test")
    assert len(await office.queue.take(8, office.clock())) == 1


async def test_what_is_under_way_is_not_sent_beside_itself(office: Office) -> None:
    """Whoever asks for it again is told to wait."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    await office.happen()
    [taken] = await office.queue.take(8, office.clock())
    with pytest.raises(Conflict) as caught:
        await office.webhooks.redeliver(webhook.id, taken.id, actor="test")
    assert caught.value.code == "delivery_under_way"


async def test_a_webhook_is_not_tried_without_end(office: Office) -> None:
    """Nobody is knocked up through the router: so many test events an hour, and no more."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    for _ in range(TESTS_HOURLY):
        await office.webhooks.test(webhook.id, actor="test")
    with pytest.raises(Conflict) as caught:
        await office.webhooks.test(webhook.id, actor="test")
    assert caught.value.code == "enough_tests"
    office.clock.now += 3600
    await office.webhooks.test(webhook.id, actor="test")


async def test_a_tenants_webhooks_go_with_it(office: Office) -> None:
    """And none can be set up for one that is gone."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    await office.happen()
    async with office.database.write() as connection:
        await connection.execute(delete(tenants).where(tenants.c.id == "tnt_1"))
    assert await office.rows() == []
    with pytest.raises(NotFound):
        await office.webhooks.get(webhook.id)
    with pytest.raises(NotFound) as caught:
        await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    assert caught.value.code == "tenant_not_found"


async def test_no_delivery_is_sent_again_without_end(office: Office) -> None:
    """Nor is a receiver knocked up by those that there were: so many an hour and webhook, and no more."""
    _, webhook = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    _, other = await office.webhooks.add("tnt_1", URL, ["*"], actor="test")
    sent = await office.webhooks.test(webhook.id, actor="test")
    for _ in range(REDELIVERIES_HOURLY):
        await office.webhooks.redeliver(webhook.id, sent.id, actor="test")
    with pytest.raises(Conflict, match="wait a while") as caught:
        await office.webhooks.redeliver(webhook.id, sent.id, actor="test")
    assert caught.value.code == "enough_redeliveries"
    its = await office.webhooks.test(other.id, actor="test")
    await office.webhooks.redeliver(other.id, its.id, actor="test")
    office.clock.now += 3600
    await office.webhooks.redeliver(webhook.id, sent.id, actor="test")
