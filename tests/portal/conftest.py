from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.portal.stand import Browser, Stand, open_stand, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def stand_url() -> str | None:
    """Where the portal's database is: an SQLite file of its own; a module may say ``database_url``."""
    return None


@pytest.fixture
async def stand(tmp_path: Path, stand_url: str | None) -> AsyncIterator[Stand]:
    """A portal of real parts, with Ada a customer of Acme."""
    async with open_stand(tmp_path, url=stand_url) as opened:
        yield opened


@pytest.fixture
async def browser(stand: Stand) -> AsyncIterator[Browser]:
    """Somebody's browser at Acme's portal."""
    async with serving(stand) as client:
        yield Browser(client, stand.acme)


@pytest.fixture
def other_browser(browser: Browser) -> Browser:
    """Another browser at Acme's portal, with cookies of its own."""
    return browser.another()
