from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import select

from router.certificates.bundle import BadBundle, Bundle
from router.certificates.vault import Vault
from router.errors import BadSettings, Conflict, NotFound, RouterError
from router.storage.changes import PollBell
from router.storage.schema import audit, certificate_names, certificates, changes
from router.storage.sealing import Sealer
from tests.certificates.conftest import SEALER
from tests.certificates.maker import INTERMEDIATE, LEAF, NOW
from tests.certificates.rows import add_tenant, bundle_for, bundle_of, move_claim

if TYPE_CHECKING:
    from router.storage.database import Database

HOST = "billing.acme.test"


async def test_what_is_stored_is_found_with_its_key(vault: Vault) -> None:
    """The platform's certificate comes back whole, for a name and for what a wildcard covers."""
    bundle = bundle_for("portal.test", "*.portal.test")
    record = await vault.store(bundle, None)
    assert record.names == ("portal.test", "*.portal.test")
    for hostname in ("portal.test", "a.portal.test"):
        found = await vault.find(hostname)
        assert found is not None
        assert (found.record, found.chain_pem) == (record, bundle.chain_pem)
        key = load_der_private_key(found.key_der, None)
        assert key.public_key() == bundle.leaf.public_key()
    assert await vault.find("a.b.portal.test") is None


async def test_a_tenants_certificate_serves_what_the_tenant_holds(database: Database, vault: Vault) -> None:
    """With an active claim the certificate is found, by name and by wildcard."""
    acme = await add_tenant(database, "acme", HOST, "shop.acme.test")
    record = await vault.store(bundle_for("*.acme.test"), acme)
    for hostname in (HOST, "shop.acme.test"):
        found = await vault.find(hostname)
        assert found is not None
        assert found.record == record


async def test_a_tenants_certificate_never_serves_anybody_elses_names(
    database: Database, vault: Vault
) -> None:
    """Names of another tenant, of the platform, or of nobody, stand in it in vain."""
    acme = await add_tenant(database, "acme", HOST)
    await add_tenant(database, "globex", "billing.globex.test")
    await add_tenant(database, "slow", "billing.slow.test", state="pending")
    names = (HOST, "billing.globex.test", "console.portal.test", "*.globex.test", "billing.slow.test")
    await vault.store(bundle_for(*names), acme)
    for hostname in ("billing.globex.test", "console.portal.test", "x.globex.test", "billing.slow.test"):
        assert await vault.find(hostname) is None
        assert (await vault.candidates(hostname)).certificates == ()
    assert await vault.platform("console.portal.test") == ()


async def test_a_claim_that_ends_ends_the_serving(database: Database, vault: Vault) -> None:
    """Uploaded but not active: held back; active: served; released: no longer."""
    acme = await add_tenant(database, "acme", HOST, state="pending")
    await vault.store(bundle_for(HOST), acme)
    assert await vault.find(HOST) is None
    await move_claim(database, HOST, "active")
    assert await vault.find(HOST) is not None
    await move_claim(database, HOST, "released")
    assert await vault.find(HOST) is None


async def test_a_tenants_own_certificate_goes_before_the_platforms(database: Database, vault: Vault) -> None:
    """Of two for one name the tenant's is served to the tenant's customers, the platform's to all others."""
    acme = await add_tenant(database, "acme", "acme.portal.test")
    platform = await vault.store(bundle_for("acme.portal.test", "x.portal.test"), None)
    own = await vault.store(bundle_for("acme.portal.test", "x.portal.test", slot=1), acme)
    found, other = await vault.find("acme.portal.test"), await vault.find("x.portal.test")
    assert found is not None
    assert other is not None
    assert (found.record, other.record) == (own, platform)


async def test_a_new_certificate_supersedes_the_old_one_and_keeps_it(
    database: Database, vault: Vault
) -> None:
    """Same owner, names and kind of key: the former stays, for a rollback, but serves no more."""
    acme = await add_tenant(database, "acme", HOST)
    first = await vault.store(bundle_for(HOST, "a.test"), acme)
    beside = await vault.store(bundle_for(HOST, "a.test", kind="rsa2048"), acme)
    foreign = await vault.store(bundle_for(HOST, "a.test"), None)
    second = await vault.store(bundle_for("a.test", HOST, slot=1), acme)
    states = {record.id: record.state for record in await vault.list()}
    assert states == {
        first.id: "superseded",
        beside.id: "active",
        foreign.id: "active",
        second.id: "active",
    }


async def test_the_same_upload_again_changes_nothing(database: Database, vault: Vault) -> None:
    """A repeated upload answers with what is there, and tells nobody of a change."""
    first = await vault.store(bundle_of(LEAF), None)
    async with database.read() as connection:
        before = (await connection.execute(select(changes))).all()
    assert await vault.store(bundle_of(LEAF), None) == first
    async with database.read() as connection:
        assert (await connection.execute(select(changes))).all() == before
    assert await vault.list() == [first]


async def test_a_completed_chain_is_stored(vault: Vault) -> None:
    """The same certificate with its intermediate added is a new upload."""
    bare = Bundle.parse(LEAF.pem, LEAF.key_pem, now=NOW)
    await vault.store(bare, None)
    await vault.store(bundle_of(LEAF), None)
    found = await vault.find("example.com")
    assert found is not None
    assert found.chain_pem == bundle_of(LEAF).chain_pem


async def test_every_name_is_told_and_the_audit_says_who(database: Database, vault: Vault) -> None:
    """One row of changes for each name, in the transaction, and one line of audit without a secret."""
    record = await vault.store(bundle_for("a.test", "*.a.test"), None, actor="olga")
    async with database.read() as connection:
        rows = (await connection.execute(select(changes.c.kind, changes.c.key))).all()
        line = (await connection.execute(select(audit))).one()
    assert {(kind, key) for kind, key in rows} == {("certificate", "a.test"), ("certificate", "*.a.test")}
    assert (line.actor, line.action, line.subject) == ("olga", "certificate.store", record.id)
    assert set(line.detail) == {"names", "replaces"}


async def test_the_bell_rings_after_the_commit(database: Database) -> None:
    """Other workers are woken at once."""
    bell = PollBell()
    await Vault(database, bell, SEALER).store(bundle_for("a.test"), None)
    async with asyncio.timeout(20):
        await bell.wait(60)
    async with database.read() as connection:
        assert (await connection.execute(select(changes))).all()


async def test_a_tenant_that_does_not_exist_is_told(vault: Vault) -> None:
    """Nothing is stored for nobody."""
    with pytest.raises(NotFound) as caught:
        await vault.store(bundle_for("a.test"), "tnt_gone")
    assert caught.value.code == "tenant_not_found"
    assert await vault.list() == []


async def test_a_bundle_that_no_context_can_be_built_from_is_not_stored(vault: Vault) -> None:
    """The build is the proof: a key that does not fit fails before anything is written."""
    with pytest.raises(BadBundle) as caught:
        await vault.store(replace(bundle_for("a.test"), private_key=INTERMEDIATE.key), None)
    assert caught.value.code == "unusable"
    assert await vault.list() == []


async def test_keys_are_sealed_for_their_own_row(database: Database, vault: Vault) -> None:
    """The database holds no readable key, and a sealed key moved to another row does not open."""
    bundle = bundle_for("a.test")
    record = await vault.store(bundle, None)
    async with database.read() as connection:
        sealed = (await connection.execute(select(certificates.c.sealed_key))).scalar_one()
    assert bundle.key_der not in sealed
    assert SEALER.open(sealed, identity=f"certificate:{record.id}:key") == bundle.key_der
    assert "key_der" not in repr(await vault.find("a.test"))
    assert "sealed_key" not in repr(await vault.candidates("a.test"))


async def test_another_encryption_key_opens_nothing(database: Database, vault: Vault) -> None:
    """With the wrong key the fault is told by its code, not by a broken handshake."""
    await vault.store(bundle_for("a.test"), None)
    other = Vault(database, PollBell(), Sealer([b"o" * 32]))
    with pytest.raises(BadSettings) as caught:
        await other.find("a.test")
    assert caught.value.code == "encryption_key_missing"


async def test_what_is_replaced_has_no_names_of_its_own(database: Database, vault: Vault) -> None:
    """A successor may carry more names; one that carries fewer stands beside the former."""
    acme = await add_tenant(database, "acme", HOST)
    first = await vault.store(bundle_for(HOST), acme)
    second = await vault.store(bundle_for(HOST, "a.test", slot=1), acme)
    third = await vault.store(bundle_for(HOST, slot=2), acme)
    found = {record.id: record for record in await vault.list()}
    assert {id_: record.state for id_, record in found.items()} == {
        first.id: "superseded",
        second.id: "active",
        third.id: "active",
    }
    assert (found[first.id].superseded_by, found[first.id].superseded_at) == (second.id, int(NOW))


async def test_a_rollback_brings_back_all_that_was_replaced(database: Database, vault: Vault) -> None:
    """Two for one, and the same again goes forth; workers are told each name, the audit who did it."""
    acme = await add_tenant(database, "acme", HOST, "a.test")
    first = await vault.store(bundle_for(HOST), acme)
    beside = await vault.store(bundle_for("a.test"), acme)
    rsa = await vault.store(bundle_for(HOST, kind="rsa2048"), acme)
    new = await vault.store(bundle_for(HOST, "a.test", slot=1), acme)
    assert {each.id for each in await vault.roll_back(new.id, actor="olga")} == {first.id, beside.id}
    states = {record.id: record.state for record in await vault.list()}
    assert states == {first.id: "active", beside.id: "active", rsa.id: "active", new.id: "superseded"}
    async with database.read() as connection:
        told = (await connection.execute(select(changes.c.key).order_by(changes.c.sequence.desc()))).scalars()
        line = (await connection.execute(select(audit).order_by(audit.c.sequence.desc()))).first()
    assert set(list(told)[:2]) == {HOST, "a.test"}
    assert line is not None
    assert (line.actor, line.action, line.subject) == ("olga", "certificate.rollback", new.id)
    assert [each.id for each in await vault.roll_back(new.id, actor="olga")] == [new.id]
    states = {record.id: record.state for record in await vault.list()}
    assert states == {first.id: "superseded", beside.id: "superseded", rsa.id: "active", new.id: "active"}


async def test_a_rollback_to_what_has_expired_is_refused(database: Database, vault: Vault) -> None:
    """It would be a step from bad to worse; and without a former one there is nothing to do."""
    await vault.store(bundle_for(HOST), None)
    new = await vault.store(bundle_for(HOST, slot=1), None)
    later = Vault(database, PollBell(), SEALER, clock=lambda: NOW + 100 * 86_400)
    for asked, code in ((new.id, "former_expired"), ("crt_gone", "no_such_certificate")):
        with pytest.raises(RouterError) as caught:
            await later.roll_back(asked, actor="olga")
        assert caught.value.code == code
    alone = await vault.store(bundle_for("b.test"), None)
    with pytest.raises(Conflict) as caught_alone:
        await vault.roll_back(alone.id, actor="olga")
    assert caught_alone.value.code == "nothing_to_roll_back"


async def test_a_deleted_certificate_leaves_nothing_behind(database: Database, vault: Vault) -> None:
    """Neither its key nor its names; the workers hear of it, and the audit keeps who did it."""
    acme = await add_tenant(database, "acme", HOST)
    first = await vault.store(bundle_for(HOST), acme)
    with pytest.raises(Conflict) as caught:
        await vault.delete(first.id, actor="olga", even_the_last=False)
    assert caught.value.code == "last_certificate"
    platform = await vault.store(bundle_for("*.acme.test", slot=1), None)
    assert (await vault.delete(first.id, actor="olga", even_the_last=False)).id == first.id
    with pytest.raises(Conflict):
        await vault.delete(platform.id, actor="olga", even_the_last=False)
    await vault.delete(platform.id, actor="olga", even_the_last=True)
    async with database.read() as connection:
        assert not (await connection.execute(select(certificates))).all()
        assert not (await connection.execute(select(certificate_names))).all()
        lines = (await connection.execute(select(audit.c.action, audit.c.detail))).all()
    assert [line.detail["bare"] for line in lines if line.action == "certificate.delete"] == [[], [HOST]]


async def test_a_superseded_one_may_go_without_a_word(database: Database, vault: Vault) -> None:
    """It serves nobody."""
    acme = await add_tenant(database, "acme", HOST)
    first = await vault.store(bundle_for(HOST), acme)
    second = await vault.store(bundle_for(HOST, slot=1), acme)
    await vault.delete(first.id, actor="olga", even_the_last=False)
    assert [record.id for record in await vault.list()] == [second.id]


async def test_two_that_delete_at_once_do_not_leave_a_hostname_bare(database: Database, vault: Vault) -> None:
    """Each sees what the other does: the second is told that what it deletes is the last."""
    acme = await add_tenant(database, "acme", HOST)
    one = await vault.store(bundle_for(HOST), acme)
    other = await vault.store(bundle_for(HOST, kind="rsa2048"), acme)
    done = await asyncio.gather(
        *(vault.delete(each.id, actor="olga", even_the_last=False) for each in (one, other)),
        return_exceptions=True,
    )
    assert [type(each) for each in done].count(Conflict) == 1
    assert len(await vault.list()) == 1


async def test_what_is_rolled_back_to_is_not_deleted_at_the_same_moment(
    database: Database, vault: Vault
) -> None:
    """Whichever comes first, a certificate serves afterwards."""
    acme = await add_tenant(database, "acme", HOST)
    former = await vault.store(bundle_for(HOST), acme)
    latter = await vault.store(bundle_for(HOST, slot=1), acme)
    await asyncio.gather(
        vault.roll_back(latter.id, actor="olga"),
        vault.delete(former.id, actor="otto", even_the_last=False),
        return_exceptions=True,
    )
    assert "active" in {each.state for each in await vault.list()}
