from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.certificates.bundle import Bundle
from router.certificates.intermediates import Intermediates
from router.certificates.uploads import Uploads
from router.errors import BadInput
from router.storage.schema import audit, certificates, changes, intermediates
from tests.certificates.maker import INTERMEDIATE, LEAF, NOW, ROOT, make
from tests.certificates.rows import add_tenant, bundle_of, move_claim
from tests.corpora.uploads import HOSTNAME, UPLOADS

if TYPE_CHECKING:
    from router.certificates.vault import Vault
    from router.storage.database import Database

CHAIN = LEAF.pem + INTERMEDIATE.pem


@pytest.fixture
def uploads(database: Database, vault: Vault) -> Uploads:
    """What takes uploads, at NOW."""
    return Uploads(database, vault, clock=lambda: NOW)


def _bundle(data: bytes, key: bytes) -> Bundle:
    return Bundle.parse(data, key, now=NOW)


async def _rows(database: Database) -> list[int]:
    async with database.read() as connection:
        tables = (certificates, changes, audit, intermediates)
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def test_nothing_that_is_refused_is_stored(database: Database, uploads: Uploads) -> None:
    """The refusals of the corpus, uploaded in earnest: each with its code, and not a row anywhere."""
    acme = await add_tenant(database, "acme", HOSTNAME)
    refused = [row for row in UPLOADS if row.refused]
    for row in refused:
        with pytest.raises(BadInput) as caught:
            await uploads.upload(row.data, row.key, passphrase=row.passphrase, tenant_id=acme, actor="olga")
        assert caught.value.code == row.refused, row.name
    assert len(refused) >= 50
    assert await _rows(database) == [0, 0, 0, 0]


async def test_a_dry_run_says_what_an_upload_would_do(database: Database, uploads: Uploads) -> None:
    """What it serves, what it waits for, what it misses and whose place it takes; and stores nothing."""
    acme = await add_tenant(database, "acme", "www.example.com", "shop.acme.test")
    await add_tenant(database, "globex", "www.globex.test")
    await move_claim(database, "www.example.com", "pending")
    before = await _rows(database)
    verdict = await uploads.judge(CHAIN, LEAF.key_pem, passphrase=None, tenant_id=acme)
    assert (verdict.serves, verdict.waits_for) == ((), ("www.example.com",))
    assert (verdict.not_covered, verdict.replaces) == (("shop.acme.test",), ())
    assert await _rows(database) == before
    record, _ = await uploads.upload(CHAIN, LEAF.key_pem, passphrase=None, tenant_id=acme, actor="olga")
    await move_claim(database, "www.example.com", "active")
    again = await uploads.judge(CHAIN, LEAF.key_pem, passphrase=None, tenant_id=acme)
    assert (again.serves, again.replaces) == (("www.example.com",), ())
    renewed = make("www.example.com", "example.com", issuer=INTERMEDIATE, slot=30)
    verdict = await uploads.judge(
        renewed.pem + INTERMEDIATE.pem, renewed.key_pem, passphrase=None, tenant_id=acme
    )
    assert verdict.replaces == (record,)


async def test_a_missing_intermediate_is_added_from_an_earlier_upload(uploads: Uploads) -> None:
    """Anybody's; the first one without it was told that it is missing, the later one that it was added."""
    other = make("other.example.com", issuer=INTERMEDIATE, slot=31)
    _, verdict = await uploads.upload(LEAF.pem, LEAF.key_pem, passphrase=None, tenant_id=None, actor="olga")
    assert [each.code for each in verdict.bundle.warnings] == ["missing_intermediate"]
    await uploads.upload(
        other.pem + INTERMEDIATE.pem + ROOT.pem, other.key_pem, passphrase=None, tenant_id=None, actor="olga"
    )
    record, verdict = await uploads.upload(
        LEAF.pem, LEAF.key_pem, passphrase=None, tenant_id=None, actor="olga"
    )
    assert [each.code for each in verdict.bundle.warnings] == ["chain_completed"]
    assert verdict.bundle.chain_pem.encode() == CHAIN
    assert record.names == ("www.example.com", "example.com")


async def test_intermediates_above_one_another_are_found_and_namesakes_are_not_taken(
    database: Database,
) -> None:
    """Up to the root's door; one with the same name and another key fits nothing; what ended is forgotten."""
    known = Intermediates(database)
    upper = make(subject="Upper", issuer=ROOT, authority=True, slot=110, days=(-10, 100))
    lower = make(subject="Lower", issuer=upper, authority=True, slot=111, days=(-10, 50))
    namesake = make(subject="Lower", issuer=upper, authority=True, slot=112)
    leaf = make("deep.example.com", issuer=lower, slot=2)
    for issuer, more in ((namesake, upper), (lower, upper)):
        other = make("other.example.com", issuer=issuer, slot=3)
        bundle = _bundle(other.pem + issuer.pem + more.pem, other.key_pem)
        await known.remember(bundle, NOW)
        await known.remember(bundle, NOW + 1)
    bare = _bundle(leaf.pem, leaf.key_pem)
    completed = await known.complete(bare, NOW)
    assert completed.chain == (leaf.certificate, lower.certificate, upper.certificate)
    await known.remember(bundle_of(LEAF), NOW + 60 * 86_400)
    async with database.read() as connection:
        left = (await connection.execute(select(intermediates.c.not_after))).scalars().all()
    assert min(left) > NOW + 60 * 86_400
    assert len(left) == 3


async def test_a_tenant_without_hostnames_is_told_so(database: Database, uploads: Uploads) -> None:
    """What covers none of its hostnames is the wrong file, or the wrong tenant."""
    acme = await add_tenant(database, "acme", "billing.acme.test")
    with pytest.raises(BadInput) as caught:
        await uploads.judge(CHAIN, LEAF.key_pem, passphrase=None, tenant_id=acme)
    assert caught.value.code == "hostname_not_covered"
    assert "www.example.com" in caught.value.sentence
    assert "billing.acme.test" in caught.value.sentence
