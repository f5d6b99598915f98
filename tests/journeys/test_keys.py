"""Encryption keys and TLS profiles on a real node: lost, rotated beside it, and what clients are offered."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from router.cli.output import Exit
from tests.journeys.serving import WITHIN, launch, serving, settings_of, told_by

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.serving import Served

HOST = "acme.portal.example"
OLD, NEW = (base64.urlsafe_b64encode(bytes([octet]) * 32).decode() for octet in (1, 2))

_REFUSED = (ssl.SSLError, ConnectionError)  # the alert, or what the kernel makes of the end behind it


def issue(authority: trustme.CA, folder: Path) -> tuple[str, str]:
    """Issue the platform's certificate, where files are not picked up."""
    issued = authority.issue_cert("*.portal.example")
    chain, key = folder / "chain.pem", folder / "chain.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return str(chain), str(key)


async def shake(served: Served, authority: trustme.CA, *, curve: str = "", newest: str = "") -> str | None:
    """Shake hands with a client of these abilities; the version of TLS. Raises ``ssl.SSLError``."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if curve:
        context.set_ecdh_curve(curve)
    if newest:
        context.maximum_version = ssl.TLSVersion[newest]
    _, writer = await asyncio.open_connection(
        "127.0.0.1", served.https_port, ssl=context, server_hostname=HOST
    )
    version: str | None = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return version


async def fails(folder: Path, **more: str) -> str:
    """Start a node that cannot; the one error it tells."""
    process = await launch(settings_of(folder, **more), folder)
    assert await asyncio.wait_for(process.wait(), timeout=WITHIN) == Exit.BAD_INPUT
    told = told_by(folder)
    assert "Traceback" not in told
    (error,) = [line for line in told.splitlines() if line.startswith("Error:")]
    return error


async def test_a_lost_key_file_ends_the_start_and_is_not_made_anew(tmp_path: Path) -> None:
    """A second start without the file is one sentence and exit code 3; the file stays missing."""
    file = tmp_path / "data" / "encryption.key"
    async with serving(tmp_path, workers="1"):
        key = await asyncio.to_thread(file.read_bytes)
    await asyncio.to_thread(file.unlink)
    error = await fails(tmp_path)
    assert str(file) in error
    assert "Restore the key from its backup" in error
    assert not await asyncio.to_thread(file.exists)
    await asyncio.to_thread(file.write_bytes, key)
    await asyncio.to_thread(file.chmod, 0o600)
    async with serving(tmp_path, workers="1") as served:
        assert "200" in await served.ready()


async def test_a_key_is_rotated_beside_a_running_node(tmp_path: Path) -> None:
    """The new key beside the old, in front of it, all encrypted anew, the old one gone: always served."""
    authority = trustme.CA()
    files = await asyncio.to_thread(issue, authority, tmp_path)
    async with serving(tmp_path, workers="1", encryption_keys=OLD) as served:
        code, _ = await served.command("certificate", "upload", *files, "--platform")
        assert code == Exit.OK
        assert await shake(served, authority)
    async with serving(tmp_path, workers="1", encryption_keys=f"{NEW},{OLD}") as served:
        assert await shake(served, authority)
        code, answer = await served.command("keys", "rotate")
        assert (code, answer["left"], len(answer["unused"])) == (Exit.OK, {}, 1)
        assert answer["encrypted_anew"] == {
            "certificates": 1,
            "signing keys": 2,
            "mails": 0,
            "webhook secrets": 0,
        }
        assert await shake(served, authority)
    async with serving(tmp_path, workers="1", encryption_keys=NEW) as served:
        assert await shake(served, authority)


@pytest.mark.parametrize("profile", ["intermediate", "modern"])
async def test_clients_are_offered_what_the_profile_says(tmp_path: Path, profile: str) -> None:
    """TLS 1.3 on Mozilla's curves and no others; TLS 1.2 in the intermediate profile alone."""
    authority = trustme.CA()
    files = await asyncio.to_thread(issue, authority, tmp_path)
    async with serving(tmp_path, workers="1", tls_profile=profile) as served:
        await served.command("certificate", "upload", *files, "--platform")
        for curve in ("prime256v1", "secp384r1"):
            assert await shake(served, authority, curve=curve) == "TLSv1.3"
        with pytest.raises(_REFUSED):
            await shake(served, authority, curve="secp521r1")
        if profile == "intermediate":
            assert await shake(served, authority, newest="TLSv1_2") == "TLSv1.2"
        else:
            with pytest.raises(_REFUSED):
                await shake(served, authority, newest="TLSv1_2")
