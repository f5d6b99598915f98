"""Tenants' beginning: one, or hundreds in one transaction, which takes a hundredth of the time for each."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert

from router.hostname import Hostname
from router.storage.schema import claims, new_id, tenants
from router.tenants.claim_rows import new_claim
from router.tenants.listing import folded
from router.tenants.picture_rows import store_pictures
from router.tenants.rows import TenantRecord, find_records
from router.tenants.tenant import Branding, Forwarding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.tenants.form import Judged

_LABEL_ALPHABET: Final = string.ascii_lowercase + string.digits
_LABEL_LENGTH: Final = 16  # 82 random bits: guessed by nobody


async def create_tenants(
    connection: AsyncConnection, wanted: Mapping[str, Judged], platform_domain: Hostname, now: int
) -> list[TenantRecord]:
    """Create tenants by their short names, each with its platform address active, its external one pending.

    Raises ``IntegrityError`` when there is one already.
    """
    rows = {slug: _tenant_row(slug, judged, now) for slug, judged in wanted.items()}
    claimed = [
        row
        for slug, judged in wanted.items()
        for row in _claim_rows(slug, judged, rows[slug]["id"], platform_domain, now)
    ]
    await connection.execute(insert(tenants), list(rows.values()))
    await connection.execute(insert(claims), claimed)
    for slug, judged in wanted.items():
        await store_pictures(connection, rows[slug]["id"], judged.pictures, now)
    return await find_records(connection, platform_domain, tenants.c.slug.in_(list(wanted)))


def _tenant_row(slug: str, judged: Judged, now: int) -> dict[str, Any]:
    columns = judged.columns_after(Forwarding(), Branding("", ""))
    return {
        "id": new_id("tnt"),
        "slug": slug,
        "folded_name": folded(columns["name"]),
        "allow_registration": False,
        "registration_check": None,
        "public_paths": [],
        "upstreams": [],
        "status": "active",
        "cname_label": "".join(secrets.choice(_LABEL_ALPHABET) for _ in range(_LABEL_LENGTH)),
        "version": 1,
        "created_at": now,
        "updated_at": now,
    } | columns


def _claim_rows(
    slug: str, judged: Judged, tenant_id: str, platform_domain: Hostname, now: int
) -> list[dict[str, Any]]:
    address = Hostname.parse(f"{slug}.{platform_domain}")
    rows = [new_claim(tenant_id, address, "platform", now)]
    if judged.external is not None:
        behind = bool(judged.behind_cdn)
        rows.append(new_claim(tenant_id, judged.external, "external", now, behind_cdn=behind))
    return rows
