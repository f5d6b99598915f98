"""What webhooks are told of certificates, in the transaction that changes them; never a word of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.certificates.expiry import Expiry
from router.certificates.folder import CertificateFolder
from router.certificates.life import DAY
from router.storage.changes import PollBell
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from tests.certificates.conftest import SEALER
from tests.certificates.maker import NOW
from tests.certificates.rows import add_tenant, bundle_for
from tests.listener import heard, listen

if TYPE_CHECKING:
    from pathlib import Path

    from router.certificates.vault import Vault
    from router.storage.database import Database

HOST = "billing.acme.test"


async def test_taking_places_is_told(database: Database, vault: Vault) -> None:
    """An upload, the next one in its place, the way back, and the end."""
    tenant_id = await add_tenant(database, "acme", HOST)
    await listen(database, tenant_id)
    await listen(database)
    bundle = bundle_for(HOST)
    first = await vault.store(bundle, tenant_id, actor="test")
    assert await vault.store(bundle, tenant_id, actor="test") == first  # no change
    second = await vault.store(bundle_for(HOST, slot=1), tenant_id, actor="test")
    await vault.roll_back(second.id, actor="test")
    await vault.delete(second.id, actor="test", even_the_last=False)
    told = await heard(database, tenant_id)
    said = {
        (kind, data["certificate"], str(data.get("replaces", data.get("superseded_by"))))
        for kind, data in told
    }
    assert said == {
        ("certificate.active", first.id, "[]"),
        ("certificate.active", second.id, str([first.id])),
        ("certificate.superseded", first.id, second.id),
        ("certificate.active", first.id, str([second.id])),
        ("certificate.superseded", second.id, first.id),
        ("certificate.deleted", second.id, "None"),
    }
    assert len(told) == 6
    assert {data["tenant"] for _, data in told} == {"acme"}
    assert len(await heard(database)) == 6


async def test_the_end_is_told_as_often_as_it_is_noticed(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    """With each notice, of the hostnames that would be without; of the platform's own, to the platform."""
    tenant_id = await add_tenant(database, "acme", HOST)
    await listen(database, tenant_id)
    record = await vault.store(bundle_for(HOST), tenant_id, actor="test")
    now = NOW
    expiry = Expiry(
        database,
        PollBell(),
        Notices(Outbox(SEALER), None),
        CertificateFolder(tmp_path, clock=lambda: NOW),
        clock=lambda: now,
    )
    for days in (-1, 1):
        now = record.not_after + days * DAY
        for _ in range(2):
            await expiry.look()
    told = [(kind, data) for kind, data in await heard(database, tenant_id) if kind != "certificate.active"]
    assert [kind for kind, _ in told] == ["certificate.expiring", "certificate.expired"]
    assert [data["hostnames"] for _, data in told] == [[HOST], [HOST]]
    assert told[-1][1]["days"] == 0
