from __future__ import annotations

import shutil
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
async def stand(
    tmp_path: Path, stand_url: str | None, _sqlite_template: Path, patient_database: None
) -> AsyncIterator[Stand]:
    """A portal of real parts, with Ada a customer of Acme."""
    if stand_url is None:
        shutil.copy(_sqlite_template, tmp_path / "router.db")  # migrating anew would be half of a test's time
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
