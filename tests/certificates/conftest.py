from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.certificates.vault import Vault
from router.storage.changes import PollBell
from router.storage.sealing import Sealer
from tests.certificates.maker import NOW

if TYPE_CHECKING:
    from router.storage.database import Database

SEALER = Sealer([bytes(range(32))])


@pytest.fixture
def vault(database: Database) -> Vault:
    """A vault in an empty database, at NOW."""
    return Vault(database, PollBell(), SEALER, clock=lambda: NOW)
