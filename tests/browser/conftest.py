"""A real Chromium, where there is one; tests that need it are skipped by name where there is none."""

from __future__ import annotations

import os
import shutil
import ssl
from typing import TYPE_CHECKING, Unpack

import pytest
import pytest_asyncio
import trustme
from aiohttp.test_utils import TestServer
from playwright.async_api import async_playwright

from router.storage.database import Database
from router.storage.migrate import migrate
from tests.browser.console_window import over_tls
from tests.browser.page import Look, opened
from tests.console.stand import open_stand as open_console
from tests.portal.stand import Stand, open_stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Browser, Page

    from router.tenants.tenant import Tenant
    from tests.console.stand import Stand as ConsoleStand

    Visit = Callable[..., AbstractAsyncContextManager[Page]]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Say where a Chromium is: TEST_CHROMIUM, or the first one on PATH."""
    named = os.environ.get("TEST_CHROMIUM")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(
            "there is no Chromium: install Debian's chromium, or set TEST_CHROMIUM to the path of one"
        )
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(chromium_path: str) -> AsyncIterator[Browser]:
    """Start a browser without a window, once for a file of tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path,
            args=["--no-sandbox"],  # as root, in a container
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Build a portal of real parts."""
    async with open_stand(tmp_path_factory.mktemp("portal")) as stand:
        yield stand


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(portal: Stand) -> AsyncIterator[int]:
    """Serve the portal over TLS, as the browser's Secure cookies demand; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("*.portal.localhost").configure_cert(context)
    server = TestServer(portal.application, scheme="https")
    await server.start_server(ssl=context)
    yield server.port or 0
    await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visit(chromium: Browser, port: int) -> Visit:
    """Give a way to open a page at a tenant's portal, in a window of its own with no cookies."""

    def at(
        tenant: Tenant, path: str = "/-/sign-in", **look: Unpack[Look]
    ) -> AbstractAsyncContextManager[Page]:
        host = f"{tenant.slug}.portal.localhost:{port}"
        edges = {"X-Router-Tenant": tenant.id, "X-Router-Host": host}
        return opened(chromium, f"https://{host}{path}", edges, **look)

    return at


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(
    chromium_path: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ConsoleStand]:
    """Build a console of real parts."""
    url = f"sqlite:///{tmp_path_factory.mktemp('console')}/router.db"
    await migrate(url)
    database = Database(url)
    await database.open()
    async with open_console(database) as stand:
        yield stand
    await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console_port(console: ConsoleStand) -> AsyncIterator[int]:
    """Serve the console over TLS; the port."""
    async with over_tls(console.url) as served:
        yield served
