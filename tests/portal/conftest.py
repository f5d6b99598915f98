from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.portal.stand import Browser, Stand, open_stand, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A portal of real parts, with Ada a customer of Acme."""
    async with open_stand(tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser(stand: Stand) -> AsyncIterator[Browser]:
    """Somebody's browser at Acme's portal."""
    async with serving(stand) as client:
        yield Browser(client, stand.acme)
