"""A router's database filled with tenants, and some of them with a certificate and a signed-in user each."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import trustme
from sqlalchemy import create_engine, insert, select
from stage import PLATFORM_DOMAIN, SLUG

from router.certificates.bundle import Bundle
from router.certificates.vault import Vault
from router.identity.sessions import key_of
from router.storage.bell import PollBell
from router.storage.database import Database
from router.storage.key_file import read_or_create_keys
from router.storage.schema import claims, memberships, new_id, sessions, tenants, users
from router.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection, Table

_DAY = 86_400
_PLATFORM = f".{PLATFORM_DOMAIN}"


def fill(data: Path, tenants: int, *, in_use: int) -> tuple[tuple[str, str], ...]:
    """Add ``tenants`` more of the kind that is there; return hostname and session token of ``in_use`` ones.

    Rows go straight into the tables, as copies of those of the first tenant: through the registry they would
    take minutes. Certificates go through the vault, which seals their keys.
    """
    address = f"sqlite:///{data / 'router.db'}"
    slugs = [f"tenant-{number:06}" for number in range(tenants)]
    engine = create_engine(address)
    with engine.begin() as connection:
        ids = _add_tenants(connection, slugs)
        tokens = [_add_visitor(connection, tenant) for tenant in ids[:in_use]]
    engine.dispose()
    hostnames = [slug + _PLATFORM for slug in slugs[:in_use]]
    asyncio.run(_add_certificates(address, data, dict(zip(hostnames, ids, strict=False))))
    return tuple(zip(hostnames, tokens, strict=True))


def _add_tenants(connection: Connection, slugs: Sequence[str]) -> list[str]:
    tenant = _template(connection, tenants, tenants.c.slug == SLUG)
    claim = _template(connection, claims, claims.c.hostname == SLUG + _PLATFORM)
    ids = [new_id("tnt") for _ in slugs]
    new_tenants = [
        tenant | {"id": each, "slug": slug, "cname_label": secrets.token_hex(12)}
        for each, slug in zip(ids, slugs, strict=True)
    ]
    new_claims = [
        claim
        | {
            "id": new_id("clm"),
            "tenant_id": each,
            "hostname": slug + _PLATFORM,
            "txt_token": secrets.token_hex(16),
        }
        for each, slug in zip(ids, slugs, strict=True)
    ]
    connection.execute(insert(tenants), new_tenants)
    connection.execute(insert(claims), new_claims)
    return ids


def _add_visitor(connection: Connection, tenant: str) -> str:
    """Sign the tenant's user in, for the one customer there is; return the token."""
    user = _template(connection, users) | {"id": new_id("usr"), "tenant_id": tenant}
    member = _template(connection, memberships) | {"user_id": user["id"]}
    connection.execute(insert(users).values(user))
    connection.execute(insert(memberships).values(member))
    token, now = secrets.token_urlsafe(32), int(time.time())
    session = {
        "key": key_of(token),
        "id": new_id("ses"),
        "tenant_id": tenant,
        "user_id": user["id"],
        "customer": member["customer"],
        "signed_in_at": now,
        "seen_at": now,
        "expires_at": now + _DAY,
        "idle_life": _DAY,
        "address": "127.0.0.1",
        "user_agent": "benchmark",
    }
    connection.execute(insert(sessions).values(session))
    return token


def _template(connection: Connection, table: Table, *where: ColumnElement[bool]) -> dict[str, Any]:
    return dict(connection.execute(select(table).where(*where)).mappings().first() or {})


async def _add_certificates(address: str, data: Path, owners: dict[str, str]) -> None:
    authority = trustme.CA()
    database = Database(address)
    await database.open()
    vault = Vault(database, PollBell(), Sealer(read_or_create_keys(data / "encryption.key")))
    for hostname, tenant in owners.items():
        leaf = authority.issue_cert(hostname)
        chain = b"".join(block.bytes() for block in leaf.cert_chain_pems)
        bundle = Bundle.parse(chain, leaf.private_key_pem.bytes(), now=time.time())
        await vault.store(bundle, tenant)
    await database.close()
