"""Uploads: judged, tried, and kept; or only judged, which is the dry run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from router.certificates.context import build_context
from router.certificates.intermediates import Intermediates
from router.certificates.unlock import parse_apart
from router.errors import BadInput
from router.storage.schema import CLAIMS_IN_ORDER, SERVED_CLAIMS, claims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.certificates.bundle import Bundle
    from router.certificates.record import CertificateRecord
    from router.certificates.vault import Vault
    from router.storage.database import Database


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about an upload that may be stored.

    Of the tenant's hostnames it covers those in ``serves`` (they are active) and ``waits_for`` (not active
    yet), and not those in ``not_covered``; all are empty for the platform's. ``replaces`` are those whose
    place it takes.
    """

    bundle: Bundle
    serves: tuple[str, ...]
    waits_for: tuple[str, ...]
    not_covered: tuple[str, ...]
    replaces: tuple[CertificateRecord, ...]


class Uploads:
    """Takes uploads for a tenant (its id), or for the platform (none). ``clock`` tells unix seconds."""

    def __init__(self, database: Database, vault: Vault, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._vault = vault
        self._intermediates = Intermediates(database)
        self._clock = clock

    async def judge(
        self, data: bytes, key: bytes | None, *, passphrase: bytes | None, tenant_id: str | None
    ) -> Verdict:
        """Judge an upload as ``upload`` does, and store nothing.

        Raises ``BadBundle`` with its code and sentence, ``BadInput("hostname_not_covered")`` where it covers
        no hostname of the tenant, ``Unavailable`` (the database).
        """
        now = self._clock()
        bundle = await asyncio.to_thread(parse_apart, data, key, passphrase=passphrase, now=now)
        bundle = await self._intermediates.complete(bundle, now)
        await asyncio.to_thread(build_context, bundle.chain_pem, bundle.key_der)
        claimed = await self._claimed(tenant_id) if tenant_id is not None else []
        covered = [(name, serves) for name, serves in claimed if bundle.covers(name)]
        missed = tuple(name for name, _ in claimed if not bundle.covers(name))
        if claimed and not covered:
            raise _covers_none(bundle, missed)
        return Verdict(
            bundle=bundle,
            serves=tuple(name for name, serves in covered if serves),
            waits_for=tuple(name for name, serves in covered if not serves),
            not_covered=missed,
            replaces=await self._vault.replaced_by(bundle, tenant_id),
        )

    async def upload(
        self,
        data: bytes,
        key: bytes | None,
        *,
        passphrase: bytes | None,
        tenant_id: str | None,
        actor: str,
    ) -> tuple[CertificateRecord, Verdict]:
        """Judge an upload, and keep it when it is good; what is refused changes nothing.

        Raises as ``judge`` does, and ``NotFound("tenant_not_found")``.
        """
        verdict = await self.judge(data, key, passphrase=passphrase, tenant_id=tenant_id)
        record = await self._vault.store(verdict.bundle, tenant_id, actor=actor)
        await self._intermediates.remember(verdict.bundle, self._clock())
        return record, verdict

    async def _claimed(self, tenant_id: str) -> list[tuple[str, bool]]:
        """List the hostnames that a tenant has or wants, and whether each is active."""
        statement = select(claims.c.hostname, claims.c.state).where(
            claims.c.tenant_id == tenant_id, claims.c.state != "released"
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(*CLAIMS_IN_ORDER))
            return [(hostname, state in SERVED_CLAIMS) for hostname, state in rows]


def _covers_none(bundle: Bundle, claimed: Sequence[str]) -> BadInput:
    """The wrong file, or the wrong tenant."""
    return BadInput(
        "hostname_not_covered",
        f"The certificate is for {_some(bundle.names)}, but the tenant has {_some(claimed)}: upload the one "
        "for that, or add the hostname to the tenant first.",
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
