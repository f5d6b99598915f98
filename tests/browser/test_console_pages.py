"""Every page of the console that lists or shows something, in a real browser, with something on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from router.observe.traffic import Traffic
from router.storage.traffic import SPAN, TrafficLog
from tests.browser.console_window import window
from tests.browser.page import accessible
from tests.console.page_browser import PASSWORD, signed_in

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.console.stand import Stand

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_PAGES = (
    "/overview",
    "/tenants",
    "/tenants?search=nobody",
    "/new-tenant",
    "/operators",
    "/tokens",
    "/webhooks",
    "/audit",
    "/explain?host=acme.portal.example",
    "/tenants/acme/branding",
    "/tenants/acme/users",
    "/tenants/acme/users/{user}",
    "/tenants/acme/invite",
    "/tenants/acme/upstreams",
    "/tenants/acme/traffic",
    "/tenants/globex/traffic",
    "/tenants/acme/operators",
    "/tenants/acme/tokens",
    "/tenants/acme/webhooks",
    "/tenants/acme/webhooks/{webhook}",
    "/tenants/acme/audit",
    "/tenants/acme/state",
    "/tenants/acme/delete",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(console: Stand) -> str:
    """Sign a platform operator in; the session's token."""
    return (await signed_in(console)).cookies["__Host-console-session"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(console: Stand) -> dict[str, str]:
    """Put something on each page of Acme's; the ids of it."""
    cases, acme = console.use_cases, console.acme.id
    user = await cases.users.add(acme, "mary@customer.test", "C-1001", PASSWORD, actor="test")
    await cases.sessions.start(acme, user, address="2001:db8::7", user_agent="Firefox", now=console.now)
    await cases.invitations.invite(acme, "joe@customer.test", "C-1002", actor="test")
    await console.new_token(console.acme, "invoice-line", "invitations", name="Billing system")
    _, webhook = await cases.webhooks.add(acme, "https://203.0.113.80/hooks", ["*"], actor="test")
    await cases.webhooks.test(webhook.id, actor="test")
    for span in range(30):
        counted = Traffic()
        for number in range(span % 7 * 20 + 3):
            counted.visited(acme, (200, 200, 200, 404, 503)[number % 5], 0.002 * (number % 9 + 1))
        await TrafficLog(console.database).add(counted.take(), time.time() - span * SPAN)
    return {"user": user.id, "webhook": webhook.id}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)], ids=["desk", "phone"])
@pytest.mark.parametrize("path", _PAGES)
async def test_a_page_is_accessible(
    console_port: int,
    chromium: Browser,
    session: str,
    places: dict[str, str],
    path: str,
    scheme: str,
    width: int,
) -> None:
    """By day on a desk, by night on a phone: axe finds nothing, and nothing is wider than the window."""
    at = path.format(**places)
    async with window(chromium, console_port, at, session=session, scheme=scheme, width=width) as page:
        await accessible(page)
