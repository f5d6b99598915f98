"""What several tests of tenants share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.edge.name_server import name_server
from tests.tenants.claiming import Platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.storage.database import Database


@pytest.fixture
async def platform(database: Database) -> AsyncIterator[Platform]:
    """A platform on both databases, with a name server that knows nobody yet."""
    async with name_server() as dns:
        yield Platform(database, dns)
