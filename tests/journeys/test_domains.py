"""From "I want my own address" to visitors at it, by the command line alone, beside the real processes."""

from __future__ import annotations

import asyncio
import email
import ssl
from contextlib import asynccontextmanager
from email import policy
from typing import TYPE_CHECKING, Any

import trustme

from tests.edge.name_server import NameServer, name_server
from tests.journeys.serving import Served, serving, told_by
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOST = "billing.acme.example"
CHALLENGE = f"_portal-challenge.{HOST}."
OPERATORS = "operators@portal.example"


class Running:
    """A serving node, its name server and its mails."""

    def __init__(self, served: Served, dns: NameServer, folder: Path, authority: trustme.CA) -> None:
        self.served = served
        self.dns = dns
        self.folder = folder
        self._authority = authority

    async def add(self, slug: str) -> str:
        """Add a tenant; its own CNAME target."""
        _, added = await self.done(
            *("tenant", "add", slug, "--name", slug.title(), "--theme-colour", "#0B6E4F"),
            *("--upstream", "http://127.0.0.1:9", "--support-email", f"help@{slug}.example"),
        )
        return str(added["cname_target"])

    async def done(self, *arguments: str, code: int = 0) -> tuple[int, Any]:
        """Run a command, which is to end with ``code``."""
        ended, answer = await self.served.command(*arguments)
        assert ended == code, answer
        return ended, answer

    async def visit(self) -> tuple[int, str]:
        """Visit the sign-in page at the tenant's own hostname: status and body."""
        trust = ssl.create_default_context()
        self._authority.configure_trust(trust)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.served.https_port, ssl=trust, server_hostname=HOST
        )
        request = f"GET /-/sign-in HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body.decode()

    def mails(self) -> list[tuple[str, str]]:
        """Recipient and subject of every mail that was sent."""
        read = [
            email.message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in (self.folder / "mails").glob("*.eml")
        ]
        return sorted((str(mail["To"]), str(mail["Subject"])) for mail in read)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """Serve with a certificate for the hostname in the folder, and a name server that knows nobody."""
    authority = trustme.CA()
    for name in ("certs", "mails"):
        (folder / name).mkdir()
    issued = authority.issue_cert(HOST)
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "certs" / "acme.pem"))
    settings = {
        "domain_resolvers": "",
        "smtp_url": f"file:{folder / 'mails'}",
        "operators_email": OPERATORS,
        "allow_private_upstreams": "true",
    }
    async with name_server() as dns:
        settings["domain_resolvers"] = dns.address
        async with serving(folder, **settings) as served:
            yield Running(served, dns, folder, authority)


async def test_a_tenant_gets_its_own_address_alone(tmp_path: Path) -> None:
    """Claimed, told which record, published, found by the router itself, served, and told by mail."""
    async with running(tmp_path) as node:
        target = await node.add("acme")
        assert (await node.visit())[0] == 404
        _, told = await node.done("domain", "add", "acme", HOST)
        assert f"{HOST} CNAME {target}" in told["next_step"]
        _, stuck = await node.done("domain", "verify", HOST, code=1)
        assert stuck["code"] == "no_such_name"
        assert {line["resolver"] for line in stuck["evidence"]} == {node.dns.address}
        _, waited = await node.done("domain", "wait", HOST, "--timeout", "0.2", code=7)
        assert waited["state"] == "verifying"
        _, explained = await node.done("explain", HOST, code=1)
        assert explained["wrong"]["code"] == "claim_not_active"
        assert f"{HOST} CNAME {target}" in explained["wrong"]["sentence"]

        node.dns.records[f"{HOST}."] = [f"CNAME {target}. 60"]
        # Claimed anew, it is looked for at once, by one of the two workers.
        await node.done("domain", "release", HOST)
        await node.done("domain", "add", "acme", HOST)
        _, waited = await node.done("domain", "wait", HOST, "--timeout", "30")
        assert (waited["state"], waited["proof"]) == ("active", "cname")
        await until(lambda: _shows(node, "Acme"))
        await until(lambda: len(node.mails()) == 1)
        assert node.mails() == [("help@acme.example", f"Acme now answers at {HOST}")]
        assert told_by(tmp_path).count('"event": "domain"') >= 2


async def test_a_newcomer_with_proof_displaces_a_holder_without(tmp_path: Path) -> None:
    """The hostname changes hands when its DNS does; both tenants and the operators are told."""
    async with running(tmp_path) as node:
        first, second = await node.add("acme"), await node.add("globex")
        node.dns.records[f"{HOST}."] = [f"CNAME {first}. 60"]
        await node.done("domain", "add", "acme", HOST)
        await node.done("domain", "wait", HOST, "--timeout", "30")
        await node.done("domain", "add", "globex", HOST)
        _, stuck = await node.done("domain", "verify", HOST, "--tenant", "globex", code=1)
        assert stuck["code"] == "cname_other_target"
        await until(lambda: _shows(node, "Acme"))
        node.dns.records[f"{HOST}."] = [f"CNAME {second}. 60"]
        _, proved = await node.done("domain", "verify", HOST, "--tenant", "globex")
        assert proved["state"] == "active"
        await until(lambda: _shows(node, "Globex"))
        _, former = await node.done("domain", "status", HOST, "--tenant", "acme")
        assert (former["state"], former["code"]) == ("released", "displaced")
        gone = f"Acme no longer answers at {HOST}"
        await until(lambda: len(node.mails()) == 4)
        assert set(node.mails()) == {
            ("help@acme.example", f"Acme now answers at {HOST}"),
            ("help@acme.example", gone),
            ("help@globex.example", f"Globex now answers at {HOST}"),
            (OPERATORS, gone),
        }


async def _shows(node: Running, name: str) -> bool:
    """Whether visitors see that tenant's portal."""
    status, body = await node.visit()
    return status == 200 and name in body
