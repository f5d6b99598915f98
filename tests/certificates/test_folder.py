from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from structlog.testing import capture_logs

from router.certificates.faults import REFUSALS
from router.certificates.folder import CertificateFolder
from router.certificates.intermediates import Intermediates
from router.certificates.uploads import Uploads
from router.observe.tasks import Tasks
from router.storage.database import Database
from tests.certificates.maker import INTERMEDIATE, NOW, Made, make
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from router.certificates.vault import Vault

NOBODY = 65534
SHOP = make("shop.test", "*.shop.test", issuer=INTERMEDIATE, slot=20)
RENEWED = make("shop.test", "new.shop.test", issuer=INTERMEDIATE, slot=21)


class Watched:
    """A folder, what it told, and files to drop into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock(NOW)
        self.told: list[str] = []
        self.folder = CertificateFolder(path, clock=self.clock)
        self.folder.subscribe(self.told.append)

    def drop(self, stem: str, made: Made, chain: bytes = INTERMEDIATE.pem) -> None:
        """Drop a pair of files, as an operator would."""
        (self.path / f"{stem}.pem").write_bytes(made.pem + chain)
        (self.path / f"{stem}.key").write_bytes(made.key_pem)
        (self.path / f"{stem}.key").chmod(0o600)

    async def settle(self) -> list[Mapping[str, object]]:
        """Look twice, which is what a change needs; the log lines of it."""
        with capture_logs() as logs:
            await self.folder.look()
            await self.folder.look()
        return list(logs)

    def leaf(self, name: str) -> str | None:
        """The fingerprint that serves a name."""
        found = self.folder.find(name)
        return found[0].record.fingerprint if found else None


@contextmanager
def bound_by_rights(watched: Watched) -> Iterator[None]:
    """Be somebody whom the rights of files bind, for a while: root they do not."""
    if os.geteuid():
        yield
        return
    for path in (watched.path, *watched.path.rglob("*")):
        os.lchown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def reachable() -> Iterator[Watched]:
    """An empty folder where others than root may go, too: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "certs").mkdir()
        yield Watched(folder / "certs")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """An empty folder."""
    (tmp_path / "certs").mkdir()
    return Watched(tmp_path / "certs")


def fingerprint(made: Made) -> str:
    """The SHA-256 of a certificate."""
    return made.certificate.fingerprint(hashes.SHA256()).hex()


async def test_files_that_are_there_at_the_start_are_served_after_one_look(watched: Watched) -> None:
    """A pair of files is found under each of its names."""
    watched.drop("shop", SHOP)
    await watched.folder.look()
    assert watched.leaf("shop.test") == watched.leaf("*.shop.test") == fingerprint(SHOP)
    assert watched.leaf("a.shop.test") is None
    (record,) = watched.folder.list()
    assert (record.id, record.tenant_id, record.source) == ("folder:shop", None, "folder")
    assert watched.folder.faults() == {}


async def test_new_files_are_taken_in_once_they_have_settled(watched: Watched) -> None:
    """A file that is still being written is not judged; the names are told when it is."""
    await watched.folder.look()
    watched.drop("shop", SHOP)
    (watched.path / "shop.pem").write_bytes(SHOP.pem[:100])
    await watched.folder.look()
    assert watched.folder.faults() == {}
    watched.drop("shop", SHOP)
    await watched.folder.look()
    assert watched.leaf("shop.test") is None
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    assert watched.told == ["*.shop.test", "shop.test"]


async def test_replaced_files_take_the_place_of_the_former(watched: Watched) -> None:
    """Old and new names are told; names that are no longer there are no longer served."""
    watched.drop("shop", SHOP)
    await watched.folder.look()
    watched.told.clear()
    watched.drop("shop", RENEWED)
    await watched.settle()
    assert watched.leaf("shop.test") == watched.leaf("new.shop.test") == fingerprint(RENEWED)
    assert watched.leaf("*.shop.test") is None
    assert watched.told == ["*.shop.test", "new.shop.test", "shop.test"]


async def test_bad_files_are_told_once_and_the_former_keeps_serving(watched: Watched) -> None:
    """A certificate without its key, or with another's, changes nothing but the log."""
    watched.drop("shop", SHOP)
    await watched.folder.look()
    (watched.path / "shop.pem").write_bytes(RENEWED.pem)
    logs = await watched.settle()
    (line,) = [line for line in logs if line["event"] == "certificate files refused"]
    assert line["files"] == ["shop.pem", "shop.key"]
    assert line["serving"] == "the former certificate"
    assert "does not belong" in watched.folder.faults()["shop"]
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    watched.clock.now += 61
    assert await watched.settle() == []
    (watched.path / "shop.key").write_bytes(RENEWED.key_pem)
    await watched.settle()
    assert watched.leaf("shop.test") == fingerprint(RENEWED)
    assert watched.folder.faults() == {}


async def test_a_certificate_that_becomes_valid_is_taken_in(watched: Watched) -> None:
    """Files that did not pass are judged again, because time passes."""
    watched.drop("soon", make("soon.test", issuer=INTERMEDIATE, days=(1, 30)))
    await watched.folder.look()
    assert "not valid before" in watched.folder.faults()["soon"]
    watched.clock.now += 2 * 86_400
    await watched.folder.look()
    assert watched.leaf("soon.test") is not None


async def test_removed_files_are_no_longer_served(watched: Watched) -> None:
    """Two looks without the files end it; one does not, because a replacement may be under way."""
    watched.drop("shop", SHOP)
    await watched.folder.look()
    watched.told.clear()
    for path in watched.path.iterdir():
        path.unlink()
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    await watched.folder.look()
    assert watched.leaf("shop.test") is None
    assert watched.told == ["*.shop.test", "shop.test"]
    assert watched.folder.list() == []


async def test_a_folder_that_is_not_there_is_empty_until_it_is(tmp_path: Path) -> None:
    """The folder may be made later."""
    watched = Watched(tmp_path / "later")
    await watched.folder.look()
    watched.path.mkdir()
    watched.drop("shop", SHOP)
    await watched.settle()
    assert watched.leaf("shop.test") == fingerprint(SHOP)


async def test_a_folder_that_cannot_be_read_changes_nothing(watched: Watched) -> None:
    """When the listing fails what was read before keeps serving, and the log says it once."""
    watched.drop("shop", SHOP)
    await watched.folder.look()
    watched.path.rename(watched.path.with_name("gone"))
    watched.path.write_text("not a folder")
    logs = await watched.settle()
    assert [line["event"] for line in logs] == ["certificate folder cannot be read"]
    assert watched.leaf("shop.test") == fingerprint(SHOP)


async def test_two_kinds_of_keys_in_two_pairs_of_files(watched: Watched) -> None:
    """Both are found for the name; which one goes first is chosen elsewhere."""
    rsa = make("shop.test", issuer=INTERMEDIATE, kind="rsa2048")
    watched.drop("shop", SHOP)
    watched.drop("shop-rsa", rsa)
    await watched.folder.look()
    assert {each.record.key_type for each in watched.folder.find("shop.test")} == {"ecdsa", "rsa"}


async def test_links_are_followed_as_certbot_and_kubernetes_make_them(
    watched: Watched, tmp_path: Path
) -> None:
    """A folder of links is read through, and a link that is switched over is a change."""
    for name, made in (("1", SHOP), ("2", RENEWED)):
        store = tmp_path / "archive" / name
        store.mkdir(parents=True)
        (store / "tls.crt").write_bytes(made.pem + INTERMEDIATE.pem)
        (store / "tls.key").write_bytes(made.key_pem)
    (watched.path / "..data").symlink_to(tmp_path / "archive" / "1")
    (watched.path / "shop").symlink_to(watched.path / "..data")
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    (watched.path / "..new").symlink_to(tmp_path / "archive" / "2")
    (watched.path / "..new").rename(watched.path / "..data")
    await watched.settle()
    assert watched.leaf("shop.test") == fingerprint(RENEWED)


async def test_a_secret_mounted_by_kubernetes_is_read_and_followed(watched: Watched, tmp_path: Path) -> None:
    """Files that are links through ``..data``, which is switched over to a new folder in one stroke."""
    for name, made in (("..2026_01", SHOP), ("..2026_02", RENEWED)):
        (watched.path / name).mkdir()
        (watched.path / name / "tls.crt").write_bytes(made.pem + INTERMEDIATE.pem)
        (watched.path / name / "tls.key").write_bytes(made.key_pem)
    (watched.path / "..data").symlink_to("..2026_01")
    for name in ("tls.crt", "tls.key"):
        (watched.path / name).symlink_to(f"..data/{name}")
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    assert [record.id for record in watched.folder.list()] == ["folder:tls"]
    (watched.path / "..data_tmp").symlink_to("..2026_02")
    (watched.path / "..data_tmp").rename(watched.path / "..data")
    await watched.settle()
    assert watched.leaf("shop.test") == fingerprint(RENEWED)


async def test_pkcs12_without_a_passphrase_is_taken_in(watched: Watched) -> None:
    """One file is enough; one with a pass phrase is refused with the reason: nobody is there to type it."""
    for stem, lock in (("shop", NoEncryption()), ("locked", BestAvailableEncryption(b"secret"))):
        data = pkcs12.serialize_key_and_certificates(
            b"shop", SHOP.key, SHOP.certificate, [INTERMEDIATE.certificate], lock
        )
        (watched.path / f"{stem}.p12").write_bytes(data)
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    assert watched.folder.faults() == {"locked": REFUSALS["passphrase_needed"]}


async def test_a_key_alone_waits_for_its_certificate(watched: Watched) -> None:
    """The reason is that the certificate is missing, and when it comes all is well."""
    (watched.path / "shop.key").write_bytes(SHOP.key_pem)
    await watched.folder.look()
    assert watched.folder.faults() == {"shop": REFUSALS["no_certificate"]}
    watched.drop("shop", SHOP)
    await watched.settle()
    assert watched.folder.faults() == {}
    assert watched.leaf("shop.test") == fingerprint(SHOP)


async def test_odd_things_in_the_folder_do_no_harm(watched: Watched) -> None:
    """Pipes are not opened, dangling links are not there, huge files are not read to the end."""
    os.mkfifo(watched.path / "pipe.pem")
    (watched.path / "dangling.pem").symlink_to("nowhere")
    with (watched.path / "huge.pem").open("wb") as file:
        file.truncate(10**9)
    (watched.path / "README.md").write_text("hello")
    watched.drop("shop", SHOP)
    await watched.folder.look()
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    assert list(watched.folder.faults()) == ["huge"]


async def test_one_entry_that_cannot_be_read_stops_nobody_else(watched: Watched) -> None:
    """A link in a circle is told as itself, and what it led to before keeps serving."""
    watched.drop("shop", SHOP)
    watched.drop("other", make("other.test", issuer=INTERMEDIATE, slot=22))
    await watched.folder.look()
    (watched.path / "shop.pem").unlink()
    (watched.path / "shop.pem").symlink_to("shop.pem")
    watched.drop("other", RENEWED)
    await watched.settle()
    assert watched.folder.readable
    assert watched.folder.faults() == {"shop": "It cannot be read: Too many levels of symbolic links."}
    assert watched.leaf("shop.test") == fingerprint(SHOP)
    assert watched.leaf("new.shop.test") == fingerprint(RENEWED)


async def test_what_this_user_may_not_read_stops_nobody_else(reachable: Watched) -> None:
    """A folder of root's, a link into one, what every disk has: the rest is served as at every start."""
    reachable.drop("shop", SHOP)
    for name in ("lost+found", "closed", "letsencrypt"):
        (reachable.path / name).mkdir(mode=0)
    (reachable.path / "linked.pem").symlink_to(reachable.path / "letsencrypt" / "fullchain.pem")
    with bound_by_rights(reachable):
        await reachable.folder.look()
    assert reachable.leaf("shop.test") == fingerprint(SHOP)
    assert reachable.folder.faults() == dict.fromkeys(
        ("closed/", "letsencrypt/", "linked"), "It cannot be read: Permission denied."
    )


async def test_a_folder_that_is_closed_for_a_while_keeps_serving(reachable: Watched) -> None:
    """Its certificate was not removed."""
    (reachable.path / "shop").mkdir()
    reachable.drop("shop/tls", SHOP)
    with bound_by_rights(reachable):
        await reachable.folder.look()
        (reachable.path / "shop").chmod(0)
        await reachable.settle()
        assert reachable.leaf("shop.test") == fingerprint(SHOP)
        assert list(reachable.folder.faults()) == ["shop/"]
        (reachable.path / "shop").chmod(0o700)
        await reachable.settle()
        assert reachable.folder.faults() == {}


async def test_a_chain_is_completed_as_an_uploads_is(
    watched: Watched, database: Database, vault: Vault
) -> None:
    """By an intermediate that an earlier upload had, also one that comes after an outage."""
    clock = watched.clock
    uploads = Uploads(database, vault, clock=clock)
    first = make("first.test", issuer=INTERMEDIATE, slot=23)
    await uploads.upload(
        first.pem + INTERMEDIATE.pem, first.key_pem, passphrase=None, tenant_id=None, actor="olga"
    )
    watched.drop("shop", SHOP, chain=b"")
    folder = CertificateFolder(watched.path, Intermediates(database), clock=clock)
    await folder.look()
    assert folder.find("shop.test")[0].chain_pem.count("BEGIN") == 2

    away = Database("postgresql://nobody@127.0.0.1:9/none")
    folder = CertificateFolder(watched.path, Intermediates(away), clock=clock)
    await folder.look()
    assert folder.find("shop.test")[0].chain_pem.count("BEGIN") == 1
    folder._intermediates = Intermediates(database)  # noqa: SLF001 - the database is back
    clock.now += 61
    await folder.look()
    assert folder.find("shop.test")[0].chain_pem.count("BEGIN") == 2
    await away.close()


async def test_a_key_that_everybody_can_read_is_told(watched: Watched) -> None:
    """It is served, because it was asked for, but the log says what to do."""
    watched.drop("shop", SHOP)
    (watched.path / "shop.key").chmod(0o644)
    with capture_logs() as logs:
        await watched.folder.look()
    assert [line["remedy"] for line in logs if "remedy" in line] == ["chmod 600"]


async def test_the_watch_sees_a_change_by_itself(watched: Watched) -> None:
    """run() looks again and again; nobody has to ask for it."""
    folder = CertificateFolder(watched.path, period=0.01, clock=watched.clock)
    seen = asyncio.Event()
    folder.subscribe(lambda _: seen.set())
    async with Tasks() as tasks, asyncio.timeout(10):
        tasks.start(folder.run(), name="watch")
        watched.drop("shop", SHOP)
        await seen.wait()
    assert folder.find("shop.test")
