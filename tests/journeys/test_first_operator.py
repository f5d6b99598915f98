"""The first operator of a real node: the link that ``serve`` prints, and how it stops being printed."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.free_ports import free_port
from tests.journeys.serving import WITHIN, serving, told_by
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

ADMIN = "admin.portal.example"
PASSWORD = "violet-anvil-93-cantata"
_LINK = re.compile(rf"https://{re.escape(ADMIN)}(:\d+)?(/welcome\?t=[A-Za-z0-9_-]{{43}})")


class _Here(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer with the loopback address."""
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


async def test_the_first_operator_comes_in_by_the_printed_link(tmp_path: Path) -> None:
    """A form, a password, signed in; the link is in no event of the log; then it is over."""
    authority = trustme.CA()
    (tmp_path / "certs").mkdir()
    authority.issue_cert(f"*.{ADMIN.partition('.')[2]}").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "certs" / "platform.pem")
    )
    async with serving(tmp_path, workers="1") as served:
        await until(lambda: _LINK.search(told_by(tmp_path)) is not None, within=WITHIN)
        found = _LINK.search(told_by(tmp_path))
        assert found is not None
        [line] = [line for line in told_by(tmp_path).splitlines() if found[2] in line]
        assert line.strip() == found[0]  # printed for people, and no event of the log
        await _come_in(f"https://{ADMIN}:{served.https_port}", f"https://{ADMIN}", authority, found[2])
        code, listed = await served.command("operator", "list")
        assert (code, [each["email"] for each in listed]) == (0, ["root@example.com"])
    async with serving(tmp_path, workers="1") as again:
        ready = '"event": "worker ready"'
        await until(lambda: ready in told_by(tmp_path), within=WITHIN)
        assert again.process.returncode is None
    assert _LINK.search(told_by(tmp_path)) is None


async def test_the_link_leads_to_the_consoles_own_port(tmp_path: Path) -> None:
    """Where it has one: the printed link works as it is printed, and so does one made by hand."""
    authority = trustme.CA()
    (tmp_path / "certs").mkdir()
    authority.issue_cert(f"*.{ADMIN.partition('.')[2]}").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "certs" / "platform.pem")
    )
    port = free_port()
    site = f"https://{ADMIN}:{port}"
    async with serving(tmp_path, workers="1", admin_port=str(port)) as served:
        await until(lambda: _LINK.search(told_by(tmp_path)) is not None, within=WITHIN)
        found = _LINK.search(told_by(tmp_path))
        assert found is not None
        assert found[0] == f"{site}{found[2]}"
        await _come_in(site, site, authority, found[2])
        code, told = await served.command("operator", "link", "root@example.com")
        assert (code, told["link"].partition("/welcome")[0]) == (0, site)


async def _come_in(site: str, origin: str, authority: trustme.CA, path: str) -> None:
    """Open the link at ``site`` and send its form, from what the browser takes for ``origin``."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    connector = aiohttp.TCPConnector(resolver=_Here(), ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as client:
        async with client.get(site + path) as page:
            assert page.status == 200
            fields = dict(re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', await page.text()))
        typed = fields | {"email": "root@example.com", "password": PASSWORD, "again": PASSWORD}
        async with client.post(f"{site}/welcome", data=typed, headers={"Origin": origin}) as page:
            assert page.status == 200
            assert "root@example.com" in await page.text()
        async with client.get(site + path) as page:
            assert page.status == 409
