"""What operators see of a tenant's traffic is what its visits were."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from router.storage.database import Database
from router.storage.traffic import TrafficLog
from tests.journeys.node import running_node

if TYPE_CHECKING:
    from pathlib import Path

    from router.storage.traffic import Span
    from tests.journeys.upstream import RecordingUpstream


def test_visits_are_counted_for_their_tenant(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """Two answered visits and one turned away are written down at the latest when the worker ends."""
    began = time.time()
    with running_node(tmp_path, upstream.url) as node:
        tenant = node.operate(node.registry.get("acme")).tenant
        with node.connect() as client:
            assert client.ask(node.get("/")).status == 200
            assert client.ask(node.get("/")).status == 200
            assert client.ask(node.get("/", signed_in=False)).status == 401
        url = node.settings.database_url
    spans = asyncio.run(_read(url, tenant.id, began))
    assert (sum(each.requests for each in spans), sum(each.refused for each in spans)) == (3, 1)
    assert sum(each.failed for each in spans) == 0


async def _read(url: str, tenant_id: str, since: float) -> list[Span]:
    database = Database(url)
    await database.open()
    found = await TrafficLog(database).read(tenant_id, since, time.time())
    await database.close()
    return found
