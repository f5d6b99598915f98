"""A certificate's way through a node with two workers, from the command line to the handshake."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from router.cli.output import Exit
from tests.journeys.serving import Served, serving
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOST = "billing.acme.test"
_MANY = 20  # handshakes; the kernel spreads them, and in no lifetime does one worker get none
_SOON = 5.0


@dataclass(frozen=True)
class Shop:
    """A running node with one tenant, whose hostname is active, and an authority."""

    served: Served
    authority: trustme.CA

    def issue(self, name: str, *, expired: bool = False) -> tuple[str, str, str]:
        """Issue a certificate for the hostname: its file, its key's file, its fingerprint."""
        now = dt.datetime.now(dt.UTC)
        ends = now + dt.timedelta(days=-1 if expired else 90)
        issued = self.authority.issue_cert(HOST, not_before=now - dt.timedelta(days=9), not_after=ends)
        chain, key = self.served.folder / f"{name}.pem", self.served.folder / f"{name}.key"
        chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return str(chain), str(key), hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain.read_text())).hexdigest()

    async def shown(self) -> set[str]:
        """Shake hands many times; the fingerprints that were shown."""
        return {await self._shake() for _ in range(_MANY)}

    async def _shake(self) -> str:
        async with self.connection() as (_, writer):
            return _fingerprint(writer)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect as a browser would."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.served.https_port, ssl=context, server_hostname=HOST
        )
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


def _fingerprint(writer: asyncio.StreamWriter) -> str:
    return hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return head.splitlines()[0]


@asynccontextmanager
async def _shop(folder: Path) -> AsyncIterator[Shop]:
    async with serving(folder, allow_private_upstreams="true") as served:
        tenant = ("acme", "--name", "Acme", "--theme-colour", "#0B6E4F", "--upstream", "http://127.0.0.1:1")
        for command in (
            ("tenant", "add", *tenant, "--external-domain", HOST),
            ("domain", "activate", HOST, "--reason", "a test"),
        ):
            code, answer = await served.command(*command)
            assert code == Exit.OK, answer
        yield Shop(served, trustme.CA())


async def test_a_certificate_comes_is_replaced_and_rolled_back(tmp_path: Path) -> None:
    """Served by all within 5 s, open connections keep theirs, failures change nothing, one call undoes it."""
    async with _shop(tmp_path) as shop:
        first, key, old = shop.issue("first")
        code, told = await shop.served.command(
            "certificate", "upload", first, key, "--tenant", "acme", "--wait", str(_SOON)
        )
        assert (code, told["state"], told["workers"]) == (Exit.OK, "active", {"have": 2, "all": 2})
        assert await shop.shown() == {old}

        async with shop.connection() as (reader, writer):
            before = await _ask(reader, writer)
            second, key, new = shop.issue("second")
            code, told = await shop.served.command(
                "certificate", "upload", second, key, "--tenant", "acme", "--wait", str(_SOON)
            )
            assert (code, len(told["replaces"])) == (Exit.OK, 1)
            assert await shop.shown() == {new}
            assert await _ask(reader, writer) == before
            assert _fingerprint(writer) == old

        third, its_key, _ = shop.issue("third", expired=True)
        for files, reason in (((third, its_key), "expired"), ((first, key), "key_mismatch")):
            code, error = await shop.served.command("certificate", "upload", *files, "--tenant", "acme")
            assert (code, error["error"]["code"]) == (Exit.BAD_INPUT, reason)
        assert await shop.shown() == {new}

        code, _ = await shop.served.command("certificate", "rollback", HOST)
        assert code == Exit.OK

        async def is_back() -> bool:
            return await shop.shown() == {old}

        await until(is_back, within=_SOON)


async def test_a_worker_that_ends_is_waited_for_no_more(tmp_path: Path) -> None:
    """Workers that were replaced in good order are not counted: nothing stays “deploying” for their sake."""
    async with _shop(tmp_path) as shop:
        chain, key, _ = shop.issue("first")
        before = await shop.served.workers()
        shop.served.reload()

        async def replaced() -> bool:
            return not before & await shop.served.workers()

        await until(replaced, within=60)
        code, told = await shop.served.command(
            "certificate", "upload", chain, key, "--tenant", "acme", "--wait", "20"
        )
        assert (code, told["workers"]) == (Exit.OK, {"have": 2, "all": 2})
