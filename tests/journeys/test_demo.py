from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import signal
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from router.demo.seed import OPERATOR, PASSWORD, PLATFORM_DOMAIN, TENANTS, DemoTenant
from tests.free_ports import free_ports
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT = Path(__file__).resolve().parents[2]
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">')
_WITHIN = 60.0
"""Seconds that a start may take on a busy machine."""


class _Here(AbstractResolver):
    """Resolves every name to this machine, as ``curl --resolve`` does."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert family in {socket.AF_INET, socket.AF_UNSPEC}
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Demo:
    """A running demo, seen from outside."""

    folder: Path
    ports: tuple[int, int, int]
    process: asyncio.subprocess.Process

    @property
    def told(self) -> str:
        """What it printed."""
        return _read(self.folder / "out.txt")

    @property
    def ca_file(self) -> Path:
        """The authority it tells people to trust."""
        return self.folder / "data" / "authority" / "ca.pem"

    async def readiness(self) -> tuple[int, str]:
        """Ask as a load balancer does; (0, "") when nobody listens."""
        url = f"http://127.0.0.1:{self.ports[2]}/readyz"
        try:
            async with aiohttp.ClientSession() as client, client.get(url) as answer:
                return answer.status, (await answer.json())["status"]
        except aiohttp.ClientConnectionError:
            return 0, ""

    async def stop(self) -> int:
        """End it as a service manager does; answer its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), timeout=_WITHIN)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _exists(path: Path) -> bool:
    return path.exists()


def _environment(**more: str) -> dict[str, str]:
    """Give the command what a shell would, and a ROUTER_ variable that must not matter to the demo."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    return kept | {"PYTHONPATH": str(_ROOT), "ROUTER_DRAIN_GRACE": "0", "COLUMNS": "60"} | more


async def _launch(folder: Path, ports: tuple[int, int, int], out: str) -> asyncio.subprocess.Process:
    https, http, health = map(str, ports)
    with (folder / out).open("wb") as told:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router", "demo", "--data-dir", str(folder / "data")),
            *("--https-port", https, "--http-port", http, "--health-port", health),
            env=_environment(),
            cwd=folder,
            stdout=told,
            stderr=asyncio.subprocess.STDOUT,
        )


@asynccontextmanager
async def _demo(folder: Path) -> AsyncIterator[Demo]:
    ports = free_ports()
    demo = Demo(folder, ports, await _launch(folder, ports, "out.txt"))
    try:
        await until(lambda: "Ctrl-C" in demo.told or demo.process.returncode is not None, within=_WITHIN)
        assert demo.process.returncode is None, demo.told
        yield demo
    finally:
        await demo.stop()


@asynccontextmanager
async def _browser(demo: Demo) -> AsyncIterator[aiohttp.ClientSession]:
    trust = ssl.create_default_context(cafile=demo.ca_file)
    connector = aiohttp.TCPConnector(resolver=_Here(), ssl=trust)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        yield client


def _portal(demo: Demo, tenant: DemoTenant) -> str:
    return f"https://{tenant.hostname}:{demo.ports[0]}"


async def _sign_in(client: aiohttp.ClientSession, portal: str, email: str, password: str = PASSWORD) -> str:
    """Go where a page is, be led to the sign-in form, fill it in; answer the page one ends up on."""
    async with client.get(f"{portal}/", headers={"Accept": "text/html"}) as form:
        assert form.url.path == "/-/sign-in"
        fields = dict(_HIDDEN.findall(await form.text()))
    filled = fields | {"email": email, "password": password}
    async with client.post(f"{portal}/-/sign-in", data=filled, headers={"Origin": portal}) as page:
        return await page.text()


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.slug)
async def test_a_portal_from_the_first_visit_to_the_last(tmp_path: Path, tenant: DemoTenant) -> None:
    """Whoever does what the demo prints sees invoices, uploads, listens and talks, as the right person."""
    async with _demo(tmp_path) as demo, _browser(demo) as client:
        portal = _portal(demo, tenant)
        for fact in (portal, tenant.email, PASSWORD, str(demo.ca_file)):
            assert fact in demo.told
        page = await _sign_in(client, portal, tenant.email)
        assert f"Invoices of {tenant.customer}" in page
        assert tenant.email in page
        await _upload(client, portal)
        await _listen(client, portal)
        await _talk(client, portal)
        await _visit_the_other_portal(client, demo, tenant)
        await _visit_the_console(client, demo)
        await _operate(demo, tenant)


async def _upload(client: aiohttp.ClientSession, portal: str) -> None:
    content = os.urandom(3_000_000)
    async with client.post(f"{portal}/upload", data=io.BytesIO(content)) as answer:
        assert await answer.json() == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


async def _listen(client: aiohttp.ClientSession, portal: str) -> None:
    async with client.get(f"{portal}/events") as stream:
        assert stream.content_type == "text/event-stream"
        lines = [await stream.content.readline() for _ in range(4)]
    assert lines[0] == b"id: 1\n"
    assert lines[3] == b"id: 2\n"


async def _talk(client: aiohttp.ClientSession, portal: str) -> None:
    async with client.ws_connect(f"{portal}/echo", origin=portal) as socket:
        await socket.send_str("grüß Gott")
        assert await socket.receive_str() == "grüß Gott"


async def _visit_the_other_portal(client: aiohttp.ClientSession, demo: Demo, tenant: DemoTenant) -> None:
    """With the cookie of one portal, another one is as closed as before."""
    token = {cookie.key: cookie.value for cookie in client.cookie_jar}["__Host-portal-session"]
    (other,) = (each for each in TENANTS if each is not tenant)
    headers = {"Cookie": f"__Host-portal-session={token}", "Accept": "application/json"}
    async with client.get(f"{_portal(demo, other)}/whoami", headers=headers) as answer:
        assert answer.status == 401


async def _visit_the_console(client: aiohttp.ClientSession, demo: Demo) -> None:
    """The operator signs in with what is printed; a page names them, and no portal's cookie is asked for."""
    console = f"https://admin.{PLATFORM_DOMAIN}:{demo.ports[0]}"
    assert f"{console}/   {OPERATOR}   {PASSWORD}" in demo.told
    async with client.get(f"{console}/account", headers={"Accept": "text/html"}) as form:
        assert form.url.path == "/sign-in"
        fields = dict(_HIDDEN.findall(await form.text()))
    filled = fields | {"email": OPERATOR, "password": PASSWORD}
    async with client.post(f"{console}/sign-in", data=filled, headers={"Origin": console}) as page:
        assert page.url.path == "/account"
        assert OPERATOR in await page.text()


async def _operate(demo: Demo, tenant: DemoTenant) -> None:
    """The commands work beside the demo, with the settings file it names."""
    config = next(line for line in demo.told.splitlines() if "ROUTER_CONFIG=" in line).split()[0]
    variable, _, path = config.partition("=")
    told = await _tenant_router(demo.folder, {variable: path}, "tenant", "show", tenant.slug, "--json")
    assert told["slug"] == tenant.slug
    mail = ("mail", "test", tenant.email, "--tenant", tenant.slug, "--json")
    sent = await _tenant_router(demo.folder, {variable: path}, *mail)
    mailbox = re.search(r"http://127\.0\.0\.1:\d+/", demo.told)
    assert mailbox is not None
    async with aiohttp.ClientSession() as client, client.get(mailbox[0] + sent["id"]) as page:
        assert f"https://{tenant.hostname}" in await page.text()


async def _tenant_router(folder: Path, more: dict[str, str], *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router", *arguments),
        env={name: value for name, value in _environment(**more).items() if name != "ROUTER_DRAIN_GRACE"},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), timeout=_WITHIN)
    assert process.returncode == 0
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


async def test_it_stops_in_good_order_and_starts_again_where_it_was(tmp_path: Path) -> None:
    """SIGTERM makes readiness fail first, uploads under way end well; the next start keeps all there was."""
    tenant = TENANTS[0]
    async with _demo(tmp_path) as demo, _browser(demo) as client:
        assert await demo.readiness() == (200, "ready")
        await _sign_in(client, _portal(demo, tenant), tenant.email)
        trusted, cookies = _read(demo.ca_file), {cookie.key: cookie.value for cookie in client.cookie_jar}
        await _stop_amid_an_upload(client, demo, _portal(demo, tenant))
        assert await demo.stop() == 0
    async with _demo(tmp_path) as demo, _browser(demo) as client:
        assert _read(demo.ca_file) == trusted
        session = {"Cookie": f"__Host-portal-session={cookies['__Host-portal-session']}"}
        async with client.get(f"{_portal(demo, tenant)}/whoami", headers=session) as answer:
            assert answer.status == 200
            assert (await answer.json())["email"] == tenant.email


async def _stop_amid_an_upload(client: aiohttp.ClientSession, demo: Demo, portal: str) -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"before"
        begun.set()
        await closed.wait()
        yield b" and after"

    async def upload() -> int:
        async with client.post(f"{portal}/upload", data=content()) as answer:
            return int((await answer.json())["size"])

    async with asyncio.TaskGroup() as group:
        uploading = group.create_task(upload())
        await begun.wait()
        demo.process.send_signal(signal.SIGTERM)
        await until(lambda: _is_draining(demo))
        await until(lambda: _is_closed(demo))
        closed.set()
        assert await uploading == len(b"before and after")


async def _is_closed(demo: Demo) -> bool:
    return await demo.readiness() == (0, "")


async def _is_draining(demo: Demo) -> bool:
    status, state = await demo.readiness()
    assert status != 0, "the ports closed before readiness failed"
    return (status, state) == (503, "draining")


async def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    """When a port is taken, the demo names it and says what to do, and makes nothing."""
    https, http, health = free_ports()
    with socket.create_server(("127.0.0.1", https)):
        process = await _launch(tmp_path, (https, http, health), "out.txt")
        assert await asyncio.wait_for(process.wait(), timeout=_WITHIN) == 3
    told = _read(tmp_path / "out.txt")
    assert f"Port {https} is in use" in told
    assert "Traceback" not in told
    assert not _exists(tmp_path / "data")


async def test_a_second_demo_does_not_disturb_the_first(tmp_path: Path) -> None:
    """A folder in which a demo runs is refused to another one, and the first goes on."""
    async with _demo(tmp_path) as demo:
        second = await _launch(tmp_path, free_ports(), "second.txt")
        assert await asyncio.wait_for(second.wait(), timeout=_WITHIN) == 6
        assert "runs in" in _read(tmp_path / "second.txt")
        assert await demo.readiness() == (200, "ready")
