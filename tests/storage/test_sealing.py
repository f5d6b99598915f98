from __future__ import annotations

import base64
import multiprocessing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.errors import BadSettings, RouterError, Unavailable
from router.storage.sealing import KEY_SIZE, Sealer, load_or_create_key

if TYPE_CHECKING:
    from pathlib import Path

_OLD, _NEW = bytes(range(32)), bytes(range(32, 64))


@given(st.binary(max_size=4096), st.text(max_size=40))
def test_what_is_sealed_opens_again(plaintext: bytes, identity: str) -> None:
    """Any octets come back, for the identity they were sealed for."""
    sealer = Sealer([_NEW])
    assert sealer.open(sealer.seal(plaintext, identity=identity), identity=identity) == plaintext


def test_nothing_shows_through() -> None:
    """The plaintext is not in the sealed value, and sealing it twice gives two different ones."""
    sealer = Sealer([_NEW])
    one, two = (sealer.seal(b"-----BEGIN PRIVATE KEY-----", identity="crt_1") for _ in range(2))
    assert b"PRIVATE" not in one
    assert one != two


def test_a_value_moved_to_another_record_does_not_open() -> None:
    """The identity is part of the seal: a tenant's key copied into another row is refused."""
    sealer = Sealer([_NEW])
    with pytest.raises(Unavailable) as refused:
        sealer.open(sealer.seal(b"key", identity="crt_1"), identity="crt_2")
    assert refused.value.code == "sealed_value_damaged"


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_an_altered_value_does_not_open(place: int, change: int) -> None:
    """Whichever octet is altered, it is refused."""
    sealer = Sealer([_NEW])
    sealed = bytearray(sealer.seal(b"key material", identity="crt_1"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(RouterError):
        sealer.open(bytes(sealed), identity="crt_1")


@given(st.binary(max_size=60))
def test_rubbish_does_not_open(rubbish: bytes) -> None:
    """What was never sealed is refused with a code, whatever it is."""
    with pytest.raises(RouterError):
        Sealer([_NEW]).open(rubbish, identity="crt_1")


def test_rotation() -> None:
    """The new key in front, the old behind: both open, and one sees which values are to be sealed anew."""
    sealed = Sealer([_OLD]).seal(b"key", identity="crt_1")
    both = Sealer([_NEW, _OLD])
    assert both.open(sealed, identity="crt_1") == b"key"
    assert not both.is_current(sealed)
    again = both.seal(b"key", identity="crt_1")
    assert both.is_current(again)
    assert Sealer([_NEW]).open(again, identity="crt_1") == b"key"


def test_a_missing_key_is_said_to_be_missing() -> None:
    """Without the key it was sealed with, the operator is told which record and what to do."""
    sealed = Sealer([_OLD]).seal(b"key", identity="crt_1")
    with pytest.raises(BadSettings) as refused:
        Sealer([_NEW]).open(sealed, identity="crt_1")
    assert refused.value.code == "encryption_key_missing"
    assert "crt_1" in refused.value.sentence


@pytest.mark.parametrize("keys", [[], [b""], [_NEW, b"short"], [bytes(33)]])
def test_keys_of_another_size_are_refused(keys: list[bytes]) -> None:
    """A key is 32 octets, and there is one."""
    with pytest.raises(BadSettings) as refused:
        Sealer(keys)
    assert refused.value.code == "bad_encryption_key"


def test_a_repr_holds_no_key() -> None:
    """Neither keys nor their ids appear in a repr."""
    assert repr(Sealer([_NEW, _OLD])) == "<Sealer of 2 keys>"


def test_a_key_file_is_made_once(tmp_path: Path) -> None:
    """The first call makes it, private, and says to back it up; later calls read the same key in silence."""
    path = tmp_path / "data" / "encryption.key"
    with capture_logs() as logs:
        key = load_or_create_key(path)
        assert load_or_create_key(path) == key
    assert len(key) == KEY_SIZE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "back it up" in logs[0]["event"]
    assert base64.urlsafe_b64encode(key).decode() not in repr(logs)
    assert [file.name for file in path.parent.iterdir()] == ["encryption.key"]


def test_a_key_file_holds_what_the_settings_would(tmp_path: Path) -> None:
    """Its text can be pasted into the settings of a fleet."""
    path = tmp_path / "encryption.key"
    key = load_or_create_key(path)
    assert base64.urlsafe_b64decode(path.read_text().strip()) == key


def _make(path: Path, keys: multiprocessing.SimpleQueue[bytes]) -> None:
    keys.put(load_or_create_key(path))


def test_many_processes_make_one_key(tmp_path: Path) -> None:
    """Workers that start at once on an empty folder all end up with the same key."""
    context = multiprocessing.get_context("spawn")
    keys = context.SimpleQueue()
    workers = [context.Process(target=_make, args=(tmp_path / "encryption.key", keys)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = {keys.get() for _ in workers}
    for worker in workers:
        worker.join()
    assert len(found) == 1


@pytest.mark.parametrize("text", [b"", b"short", b"?" * 44, b"A" * 43, bytes(range(128, 160))])
def test_a_damaged_key_file_is_refused_and_kept(tmp_path: Path, text: bytes) -> None:
    """A file that holds no key is told about and left alone: a new one would open nothing."""
    path = tmp_path / "encryption.key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(BadSettings) as refused:
        load_or_create_key(path)
    assert refused.value.code == "bad_key_file"
    assert path.read_bytes() == text


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key with loose permissions is not a secret; the sentence says what to run."""
    path = tmp_path / "encryption.key"
    load_or_create_key(path)
    path.chmod(0o644)
    with pytest.raises(BadSettings) as refused:
        load_or_create_key(path)
    assert "chmod 600" in refused.value.sentence


def test_a_key_file_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A folder that cannot hold it is BadSettings, not a traceback."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadSettings) as refused:
        load_or_create_key(tmp_path / "file" / "encryption.key")
    assert refused.value.code == "bad_key_file"
