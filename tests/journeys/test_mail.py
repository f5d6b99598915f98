"""A mail's way through a running worker: posted in the database, rendered, and handed to a mail server."""

from __future__ import annotations

import asyncio
import email
import json
import re
import time
from email import policy
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.edge.visit import Door
from router.errors import BadSettings
from router.serve import assembled
from router.settings import load_settings
from router.storage.bell import SqliteBell
from router.storage.database import Database
from router.storage.key_file import read_keys
from router.storage.outbox import Mail, Outbox
from router.storage.sealing import Sealer
from tests.journeys.node import DOMAIN, running_node
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

TOKEN = "AbCdEf-the-token-of-a-link"


async def post(node: Node, recipient: str) -> None:
    """Post a mail as a page of the portal does: in a transaction, with the bell after it."""
    settings = node.settings
    tenant = (await node.registry.get("acme")).tenant
    database, bell = Database(settings.database_url), SqliteBell(settings.database_url)
    facts: dict[str, str | int] = {"token": TOKEN, "expires_at": int(time.time()) + 3600}
    async with database.write() as connection:
        outbox = Outbox(Sealer(read_keys(settings.key_file)))
        assert await outbox.post(connection, Mail(tenant.id, "reset", recipient, "de", facts), time.time())
    await bell.ring()
    await bell.close()
    await database.close()


def readiness(node: Node) -> dict[str, str]:
    """Ask the health port what the worker knows of its parts."""
    with node.connect(door=Door.HEALTH) as client:
        answer = client.ask(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    checks: dict[str, str] = json.loads(answer.body)["checks"]
    return checks


def test_a_posted_mail_arrives_in_the_tenants_name(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """Within moments: from the tenant, in its theme, and with the link on the tenant's own hostname."""
    mails = tmp_path / "mails"
    with running_node(tmp_path / "node", upstream.url, smtp_url=f"file:{mails}") as node:
        node.operate(post(node, "ada@acme.test"))
        asyncio.run(until(lambda: any(mails.glob("mail_*.eml"))))
        assert readiness(node)["mail"] == "ok"
    (file,) = mails.glob("mail_*.eml")
    message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    assert str(message["To"]) == "ada@acme.test"
    assert message["From"].addresses[0].addr_spec == f"portal@{DOMAIN}"
    assert message["From"].addresses[0].display_name
    link = f"https://acme.{DOMAIN}/-/reset?t={TOKEN}"
    for part in message.iter_parts():
        assert link in re.sub(r"&#?\w+;", "&", part.get_content())


async def test_without_a_mail_server_the_log_says_that_mails_wait(tmp_path: Path) -> None:
    """Once, at the start; the worker is ready all the same."""
    settings = load_settings({}, folder=tmp_path, platform_domain=DOMAIN, data_dir=tmp_path)
    with capture_logs() as lines:
        async with assembled(settings) as (_edge, health):
            health.ready()
            assert health.readiness().status == 200
            assert "mail" not in json.loads(health.readiness().body)["checks"]
    assert [line["event"] for line in lines if "SMTP_URL" in line["event"]] == [
        "mails wait, for ROUTER_SMTP_URL is not set"
    ]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("smtp_url", "smtp://user@mail.example.com", "bad_smtp_url"),
        ("mail_from", "ädä@example.com", "bad_mail_from"),
    ],
)
async def test_a_mail_setting_that_cannot_be_is_told_at_start(
    setting: str, value: str, code: str, tmp_path: Path
) -> None:
    """Rather than with the first mail, to nobody."""
    chosen = {"platform_domain": DOMAIN, "data_dir": tmp_path, "smtp_url": "file:mails", setting: value}
    with pytest.raises(BadSettings) as fault:
        async with assembled(load_settings({}, folder=tmp_path, **chosen)):
            pass
    assert fault.value.code == code
