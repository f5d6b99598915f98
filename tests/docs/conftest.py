from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.stand import Stand, open_stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.storage.database import Database


@pytest.fixture
async def stand(database: Database) -> AsyncIterator[Stand]:
    """An API of real parts, for the programs that a page shows."""
    async with open_stand(database) as opened:
        yield opened
