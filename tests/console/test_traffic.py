"""Traffic and upstreams, as operators see them: through the API, and on their pages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from router.observe.traffic import Traffic
from router.storage.traffic import SPAN, TrafficLog
from tests.console.page_browser import signed_in

if TYPE_CHECKING:
    from tests.console.stand import Stand
    from tests.outages import Outage


async def visits(stand: Stand, tenant_id: str, *statuses: int) -> None:
    """Write down visits that came a moment ago."""
    counted = Traffic()
    for status in statuses:
        counted.visited(tenant_id, status, 0.004)
    await TrafficLog(stand.database).add(counted.take(), time.time())


async def test_a_tenants_traffic_is_told_by_the_api(stand: Stand) -> None:
    """The spans of the hours asked for, the latest one last, and nothing of another tenant's."""
    await visits(stand, stand.acme.id, 200, 404, 503)
    await visits(stand, stand.globex.id, 200)
    stand.billing.token = await stand.new_token(stand.acme, "tenants:read")
    answer = await stand.billing.send("GET", "acme/traffic?hours=1")
    assert answer.status == 200
    assert answer.data["span_seconds"] == SPAN
    items = answer.data["items"]
    assert len(items) in (12, 13)
    last = [item for item in items if item["requests"]][-1]
    assert (last["requests"], last["refused"], last["failed"], last["p99_ms"]) == (3, 1, 1, 5)
    assert (await stand.billing.send("GET", "globex/traffic")).status == 404


@pytest.mark.parametrize("hours", ["0", "49", "1.5", "-1", "many"])
async def test_hours_have_bounds(stand: Stand, hours: str) -> None:
    """What is no whole number from 1 to 48 is told at its field."""
    stand.billing.token = await stand.new_token(stand.acme, "tenants:read")
    answer = await stand.billing.send("GET", f"acme/traffic?hours={hours}")
    assert (answer.status, answer.code) == (422, "invalid_query")
    assert [error["pointer"] for error in answer.data["errors"]] == ["#/hours"]


async def test_upstreams_are_asked_for_the_api(stand: Stand) -> None:
    """An upstream that nobody listens at is told not to be well, and why."""
    stand.billing.token = await stand.new_token(stand.acme, "tenants:read")
    answer = await stand.billing.send("GET", "acme/upstreams")
    assert answer.status == 200
    (found,) = answer.data["items"]
    assert (found["well"], found["status"], found["fault"]) == (False, None, "It cannot be reached.")


async def test_the_traffic_page_draws_what_came(stand: Stand) -> None:
    """The sums in words, a bar for each kind of answer, and the numbers in a table."""
    await visits(stand, stand.acme.id, *[200] * 7, 404, 503)
    browser = await signed_in(stand, stand.acme)
    page = await browser.get("/tenants/acme/traffic?hours=24")
    assert (page.status, page.title) == (200, "Traffic")
    assert "<dt>Visits</dt><dd>9</dd>" in page.body
    for kind in ("served", "refused", "failed"):
        assert page.body.count(f'<rect class="{kind}"') == 1
    assert '<td data-label="Visits">9</td>' in page.body


async def test_a_page_without_visits_says_so(stand: Stand) -> None:
    """Nobody came: no empty drawing, a sentence; and hours that are none are the usual ones."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    page = await browser.get("/tenants/acme/traffic?hours=nonsense")
    assert page.status == 200
    assert "Nobody came in these hours." in page.body
    assert "<svg" not in page.body
    assert '<a href="/tenants/acme/traffic?hours=6" aria-current="page">' in page.body


async def test_the_upstreams_page_tells_who_does_not_answer(stand: Stand) -> None:
    """The upstream by its address, its state in a word, and why."""
    browser = await signed_in(stand, stand.acme)
    page = await browser.get("/tenants/acme/upstreams")
    assert (page.status, page.title) == (200, "Upstreams")
    assert "http://127.0.0.1:9" in page.body
    assert "not well" in page.body
    assert "It cannot be reached." in page.body


async def test_another_tenants_pages_are_not_there(stand: Stand) -> None:
    """An operator of one tenant finds nothing of another's."""
    browser = await signed_in(stand, stand.acme)
    for page in ("traffic", "upstreams"):
        assert (await browser.get(f"/tenants/globex/{page}")).status == 404


async def test_traffic_that_cannot_be_read_is_told(stand: Stand, outage: Outage) -> None:
    """While the database is away the API says 503, when to come again, and nothing of why."""
    stand.billing.token = await stand.new_token(stand.acme, "tenants:read")
    assert (await stand.billing.send("GET", "acme/traffic")).status == 200
    async with outage():
        answer = await stand.billing.send("GET", "acme/traffic")
    assert answer.status == 503
    assert "Retry-After" in answer.headers
