from __future__ import annotations

import os
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from router.demo.mailbox import build_mailbox, mailbox
from router.mail.message import Composed, Sender, build
from router.mail.transport import FolderTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

LINK = "https://acme.portal.localhost:8443/-/reset?t=AbC-d_1&x=2"


async def deliver(folder: Path, mail_id: str, subject: str, text: str = "", html: str = "") -> None:
    """Have the router's own transport write a mail."""
    composed = Composed(subject, text, html, "Acme <Tools>")
    sender = Sender("portal@portal.localhost")
    message = build(composed, mail_id=mail_id, sender=sender, recipient="ada@acme.test", at=1_795_300_000)
    await FolderTransport(folder).send(message)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A browser on this machine."""
    async with TestClient(TestServer(build_mailbox(tmp_path / "mails"))) as opened:
        yield opened


async def test_mails_are_listed_and_their_links_lead_somewhere(
    client: TestClient[web.Request, web.Application], tmp_path: Path
) -> None:
    """From an empty page to a mail, its link to click on, and its HTML as a mail program shows it."""
    async with client.get("/") as page:
        assert "There are none yet" in await page.text()
    html = f"<html><head><title>x</title></head><body><a href='{LINK}'>Here</a></body></html>"
    await deliver(tmp_path / "mails", "mail_1", "Your <new> password", f"Follow {LINK}.\n<b>", html)
    async with client.get("/") as page:
        text = await page.text()
    assert '<a href="/mail_1">Your &lt;new&gt; password</a>' in text
    assert "ada@acme.test" in text
    async with client.get("/mail_1") as page:
        text = await page.text()
    escaped = LINK.replace("&", "&amp;")
    assert f'Follow <a href="{escaped}">{escaped}</a>.\n&lt;b&gt;' in text
    async with client.get("/mail_1/html") as page:
        assert "sandbox" in page.headers["Content-Security-Policy"]
        assert "script-src" not in page.headers["Content-Security-Policy"]
        text = await page.text()
    assert '<head><base target="_blank">' in text
    assert LINK in text


async def test_the_newest_mail_is_first(
    client: TestClient[web.Request, web.Application], tmp_path: Path
) -> None:
    """Whoever reloads sees what just came."""
    for number in (1, 2, 3):
        await deliver(tmp_path / "mails", f"mail_{number}", f"Subject {number}")
        os.utime(tmp_path / "mails" / f"mail_{number}.eml", (number, number))
    async with client.get("/") as page:
        text = await page.text()
    assert text.index("Subject 3") < text.index("Subject 2") < text.index("Subject 1")


@pytest.mark.parametrize("path", ["/mail_2", "/mail_2/html", "/..%2Fsecret", "/mail_1%00"])
async def test_nothing_but_mails_is_served(
    path: str, client: TestClient[web.Request, web.Application], tmp_path: Path
) -> None:
    """Neither what is not there nor what lies beside the folder."""
    await deliver(tmp_path / "mails", "mail_1", "Hello")
    (tmp_path / "secret.eml").write_text("From: x\r\n\r\nsecret")
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_another_name_for_this_machine_reads_nothing(
    client: TestClient[web.Request, web.Application], tmp_path: Path
) -> None:
    """A website whose name resolves to 127.0.0.1 (DNS rebinding) is not let in."""
    await deliver(tmp_path / "mails", "mail_1", "Hello")
    async with client.get("/", headers={"Host": "evil.test:80"}) as answer:
        assert answer.status == 421
        assert "Hello" not in await answer.text()


async def test_it_is_on_this_machine_alone(tmp_path: Path) -> None:
    """It listens on a loopback port of its own, and no longer when the demo ends."""
    async with aiohttp.ClientSession() as session:
        async with mailbox(tmp_path) as url, session.get(url) as page:
            assert url.startswith("http://127.0.0.1:")
            assert page.status == 200
            assert page.headers["Referrer-Policy"] == "no-referrer"
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)
