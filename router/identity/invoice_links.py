"""Invoice links: the personal registration link that stands on a customer's invoices.

The token is ``<id>.<signature>``; the signature is an HMAC-SHA256 (RFC 2104) over what the link is bound to,
under a key derived from the encryption key (RFC 5869). So the same line is made for every invoice, and a
stolen database makes no links. It is good until somebody has registered by it, 90 days at most.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import insert, select, update

from router.errors import NotFound
from router.identity.links import refusal
from router.identity.tenant_facts import tenant_facts
from router.identity.users import normalise_email, parse_customer
from router.storage.auditing import note
from router.storage.schema import links, new_id, registration_links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.links import LinkFault, Links
    from router.storage.database import Database

LIFE: Final = 90 * 86_400
"""Seconds for which a link on an invoice is good."""

RENEWED: Final = 30 * 86_400
"""Seconds that are left at least to a link that is put on an invoice; else there is a new one."""

_TOKEN: Final = re.compile(r"(reg_[0-9a-f]{24})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class InvoiceLink:
    """A link on a customer's invoices, for whoever has them; or, with ``email``, for that address alone.

    ``expires_at`` is in unix seconds.
    """

    id: str
    tenant_id: str
    customer: str
    email: str | None
    expires_at: int
    token: str = field(repr=False)


class InvoiceLinks:
    """The invoice links of every tenant. ``keys`` are the encryption keys, the current one first."""

    def __init__(
        self,
        database: Database,
        links: Links,
        keys: Sequence[bytes],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._links = links
        self._keys = [_derived(key) for key in keys]
        self._clock = clock

    async def get(self, tenant_id: str, customer: str, email: str | None = None) -> InvoiceLink:
        """Answer the link of a customer (and an address): the same one as long as it is good for a month.

        Raises ``BadInput`` (``bad_customer``, ``bad_email``) and ``NotFound("no_such_tenant")``.
        """
        reference = parse_customer(customer)
        address = None if email is None else normalise_email(email)
        async with self._database.read() as connection:
            row = await self._open(connection, tenant_id, reference, address)
        if row is None:
            row = await self._made(tenant_id, reference, address)
        return self._signed(row)

    async def look(self, tenant_id: str, token: str) -> InvoiceLink | LinkFault:
        """Say what a link is for, or why it opens nothing. Changes nothing."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return "unknown"
        link_id, signature = match.groups()
        this = (registration_links.c.id == link_id) & (registration_links.c.tenant_id == tenant_id)
        async with self._database.read() as connection:
            row = (await connection.execute(select(registration_links).where(this))).mappings().one_or_none()
        if row is None or not self._verifies(row, signature):
            return "unknown"
        if row["used_at"] is not None:
            return "used"
        if row["revoked_at"] is not None:
            return "voided"
        return "expired" if row["expires_at"] <= int(self._clock()) else self._signed(row)

    async def revoke(self, tenant_id: str, link_id: str, *, actor: str) -> None:
        """Have a link open nothing any more, nor the mails that were sent by it; again is no change.

        Raises ``NotFound("no_such_link")``, also for another tenant's.
        """
        now = int(self._clock())
        this = (registration_links.c.id == link_id) & (registration_links.c.tenant_id == tenant_id)
        async with self._database.write() as connection:
            if await connection.scalar(select(registration_links.c.id).where(this)) is None:
                raise NotFound("no_such_link", "There is no such registration link.")
            await self._links.void(connection, links.c.origin == link_id)
            good = this & registration_links.c.revoked_at.is_(None)
            if (
                await connection.execute(update(registration_links).where(good).values(revoked_at=now))
            ).rowcount:
                await note(
                    connection, actor, "registration-link.revoke", link_id, {}, now, tenant_id=tenant_id
                )

    async def _open(
        self, connection: AsyncConnection, tenant_id: str, customer: str, email: str | None
    ) -> RowMapping | None:
        table = registration_links.c
        bound = table.email.is_(None) if email is None else table.email == email
        good = table.used_at.is_(None) & table.revoked_at.is_(None)
        found = select(registration_links).where(
            table.tenant_id == tenant_id,
            table.customer == customer,
            bound,
            good,
            table.expires_at >= int(self._clock()) + RENEWED,
        )
        latest = found.order_by(table.expires_at.desc(), table.id).limit(1)
        return (await connection.execute(latest)).mappings().one_or_none()

    async def _made(self, tenant_id: str, customer: str, email: str | None) -> RowMapping:
        now = int(self._clock())
        async with self._database.write() as connection:
            await tenant_facts(connection, tenant_id, lock=True)  # two invoices at once get one link
            row = await self._open(connection, tenant_id, customer, email)
            if row is not None:
                return row
            values = {"id": new_id("reg"), "tenant_id": tenant_id, "customer": customer, "email": email}
            times = {"created_at": now, "expires_at": now + LIFE}
            inserted = insert(registration_links).values(values | times).returning(registration_links)
            made: RowMapping = (await connection.execute(inserted)).mappings().one()
            return made

    def _signed(self, row: RowMapping) -> InvoiceLink:
        bound = {name: row[name] for name in ("id", "tenant_id", "customer", "email", "expires_at")}
        return InvoiceLink(**bound, token=f"{row['id']}.{_signature(self._keys[0], row)}")

    def _verifies(self, row: RowMapping, signature: str) -> bool:
        return any(hmac.compare_digest(_signature(key, row), signature) for key in self._keys)


async def mark_used(connection: AsyncConnection, link_id: str, now: int) -> None:
    """Use a link up. Raises what is raised for a link that was used or withdrawn meanwhile."""
    table = registration_links.c
    good = (table.id == link_id) & table.used_at.is_(None) & table.revoked_at.is_(None)
    if not (await connection.execute(update(registration_links).where(good).values(used_at=now))).rowcount:
        raise refusal("used")


def _signature(key: bytes, row: RowMapping) -> str:
    bound = [row["id"], row["tenant_id"], row["customer"], row["email"], row["expires_at"]]
    digest = hmac.digest(key, json.dumps(bound).encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _derived(key: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"tenant-router invoice links").derive(key)
