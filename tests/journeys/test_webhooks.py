"""An event's way through a running worker: queued by whoever changes something, posted, signed and heard."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from router.storage.bell import SqliteBell
from router.storage.database import Database
from router.storage.key_file import read_keys
from router.storage.sealing import Sealer
from router.tenants.form import TenantForm
from router.tenants.webhook_address import check_webhook_url
from router.webhooks.webhooks import Webhooks
from tests.journeys.node import running_node
from tests.waiting import until
from tests.webhooks.test_delivery import verified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

HOST = "billing.acme-corp.example"
Got = list[tuple[dict[str, str], bytes]]


@contextmanager
def receiving() -> Iterator[tuple[str, Got]]:
    """Receive deliveries on loopback, in a thread."""
    got: Got = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep what came."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receive) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", got
        server.shutdown()
        thread.join()


async def set_up(node: Node, url: str) -> str:
    """Set Acme's webhook up as the command line does, beside the running router; answer its secret."""
    settings = node.settings
    database, bell = Database(settings.database_url), SqliteBell(settings.database_url)
    check_url = partial(check_webhook_url, allow_private=True)
    webhooks = Webhooks(database, bell, Sealer(read_keys(settings.key_file)), check_url)
    tenant = (await node.registry.get("acme")).tenant
    secret, webhook = await webhooks.add(tenant.id, url, ["domain.active"], actor="test")
    await webhooks.test(webhook.id, actor="test")
    await bell.close()
    await database.close()
    return secret


def test_an_event_is_posted_within_moments(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """What is asked for beside the router, and what happens to a domain: both are heard, signed."""
    with receiving() as (url, got), running_node(tmp_path, upstream.url) as node:
        secret = node.operate(set_up(node, url))
        asyncio.run(until(lambda: len(got) == 1))
        node.operate(node.registry.change("acme", TenantForm(external_domain=HOST), actor="test"))
        node.operate(node.registry.activate_domain(HOST, reason="by phone", actor="test"))
        asyncio.run(until(lambda: len(got) == 2))
    assert [json.loads(body)["type"] for _, body in got] == ["webhook.test", "domain.active"]
    assert json.loads(got[1][1])["data"]["hostname"] == HOST
    assert all(verified(secret, headers, body) for headers, body in got)
