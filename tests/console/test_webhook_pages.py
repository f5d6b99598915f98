"""The pages of webhooks: added, tried, switched off and on, removed; and what was sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.console.page_browser import signed_in

if TYPE_CHECKING:
    from router.webhooks.webhook import Webhook
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE = "/tenants/acme/webhooks"
URL = "https://203.0.113.80/hooks"


async def added(stand: Stand, tenant_id: str | None) -> Webhook:
    """A webhook that was set up before."""
    _, made = await stand.use_cases.webhooks.add(tenant_id, URL, ["*"], actor="test")
    return made


async def test_a_webhook_is_added_and_its_secret_shown_once(stand: Stand) -> None:
    """The secret is on the page that answers, and on no other; the kinds that were ticked are kept."""
    browser = await signed_in(stand, stand.acme)
    shown = await browser.post(PAGE, {"url": URL, "domain.active": "yes"}, page=PAGE)
    assert shown.status == 200
    secret = re.search(r"data-copy>(whsec_[^<]+)<", shown.body)
    assert secret is not None
    (made,) = await stand.use_cases.webhooks.list(within=stand.acme.id)
    assert made.events == ("domain.active",)
    listed = await browser.get(PAGE)
    assert made.origin in listed.body
    assert secret[1] not in listed.body


@pytest.mark.parametrize(
    ("url", "code"),
    [("", "url_missing"), ("ftp://x.example", "bad_webhook_url"), ("no address", "bad_webhook_url")],
)
async def test_a_bad_address_is_told_at_its_field(stand: Stand, url: str, code: str) -> None:
    """The form comes again with the code, and nothing was added."""
    browser = await signed_in(stand, stand.acme)
    shown = await browser.post(PAGE, {"url": url}, page=PAGE)
    assert (shown.status, shown.codes) == (422, [code])
    assert await stand.use_cases.webhooks.list(within=stand.acme.id) == []


@pytest.mark.parametrize("base", ["/webhooks", PAGE])
async def test_buttons_do_what_they_say(stand: Stand, base: str) -> None:
    """Trying sends a test event, which is listed; switched off nothing is sent; removed it is gone."""
    of_platform = base == "/webhooks"
    made = await added(stand, None if of_platform else stand.acme.id)
    browser = await signed_in(stand, None if of_platform else stand.acme)

    async def press(what: str, **fields: str) -> str:
        answer = await browser.post(f"{base}/{made.id}/do", {"what": what} | fields, page=base)
        assert answer.status == 303, answer.body
        return (await browser.get(answer.location)).notice

    assert "on its way" in await press("test")
    assert "webhook.test" in (await browser.get(f"{base}/{made.id}")).body
    assert "switched off" in await press("disable")
    refused = await browser.post(f"{base}/{made.id}/do", {"what": "test"}, page=base)
    assert refused.status == 409
    assert "switched on" in await press("enable")
    assert "removed" in await press("remove")
    assert (await browser.get(f"{base}/{made.id}")).status == 404


async def test_a_delivery_that_is_none_is_not_sent_again(stand: Stand) -> None:
    """What was never sent is not there."""
    made = await added(stand, stand.acme.id)
    browser = await signed_in(stand, stand.acme)
    fields = {"what": "redeliver", "delivery": "dlv_none"}
    assert (await browser.post(f"{PAGE}/{made.id}/do", fields, page=PAGE)).status == 404


async def test_another_tenants_webhooks_are_not_there(stand: Stand) -> None:
    """Neither listed, nor looked at, nor touched; nor are the platform's."""
    theirs, platforms = await added(stand, stand.globex.id), await added(stand, None)
    browser = await signed_in(stand, stand.acme)
    assert theirs.origin not in (await browser.get(PAGE)).body
    for other in (theirs, platforms):
        assert (await browser.get(f"{PAGE}/{other.id}")).status == 404
        assert (await browser.post(f"{PAGE}/{other.id}/do", {"what": "remove"}, page=PAGE)).status == 404
    assert (await browser.get("/webhooks")).status == 403
    assert len(await stand.use_cases.webhooks.list()) == 2


async def test_a_reader_changes_nothing(stand: Stand) -> None:
    """There is no form, and sending it all the same is refused."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    assert "New webhook" not in (await browser.get(PAGE)).body
    assert (await browser.post(PAGE, {"url": URL}, page=PAGE)).status == 403
