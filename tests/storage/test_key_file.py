from __future__ import annotations

import base64
import multiprocessing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.errors import BadSettings
from router.storage.key_file import read_keys, read_or_create_keys
from router.storage.sealing import KEY_SIZE

if TYPE_CHECKING:
    from pathlib import Path

_TWO = (
    base64.b64encode(b"\xfb" * 32)
    + b"\r\n\n"
    + base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=")
    + b"\n"
)


def test_a_key_file_is_made_once(tmp_path: Path) -> None:
    """The first call makes it, private, and says to back it up; later calls read the same key in silence."""
    path = tmp_path / "data" / "encryption.key"
    with capture_logs() as logs:
        (key,) = read_or_create_keys(path)
        assert read_or_create_keys(path) == read_keys(path) == (key,)
    assert len(key) == KEY_SIZE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "back it up" in logs[0]["event"]
    assert base64.urlsafe_b64encode(key).decode() not in repr(logs)
    assert [file.name for file in path.parent.iterdir()] == ["encryption.key"]


def test_a_key_file_holds_what_the_settings_would(tmp_path: Path) -> None:
    """Its text can be pasted into the settings of a fleet."""
    path = tmp_path / "encryption.key"
    (key,) = read_or_create_keys(path)
    assert base64.urlsafe_b64decode(path.read_text().strip()) == key


def test_a_key_file_may_hold_former_keys(tmp_path: Path) -> None:
    """One a line, the one that encrypts first; written as any tool writes base64."""
    path = tmp_path / "encryption.key"
    path.write_bytes(_TWO)
    path.chmod(0o600)
    assert read_keys(path) == read_or_create_keys(path) == (b"\xfb" * 32, bytes(range(32)))


def test_no_key_file_holds_no_keys(tmp_path: Path) -> None:
    """Reading makes none."""
    assert read_keys(tmp_path / "encryption.key") == ()
    assert list(tmp_path.iterdir()) == []


def _make(path: Path, keys: multiprocessing.SimpleQueue[bytes]) -> None:
    keys.put(read_or_create_keys(path)[0])


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


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"short", b"?" * 44, b"A" * 42, bytes(range(128, 160)), _TWO + b"short\n"]
)
def test_a_damaged_key_file_is_refused_and_kept(tmp_path: Path, text: bytes) -> None:
    """A file that holds no key is told about and left alone: a new one would open nothing."""
    path = tmp_path / "encryption.key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(BadSettings) as refused:
        read_or_create_keys(path)
    assert refused.value.code == "bad_key_file"
    assert path.read_bytes() == text


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key with loose permissions is not a secret; the sentence says what to run."""
    path = tmp_path / "encryption.key"
    read_or_create_keys(path)
    path.chmod(0o644)
    with pytest.raises(BadSettings) as refused:
        read_or_create_keys(path)
    assert "chmod 600" in refused.value.sentence


def test_a_key_file_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A folder that cannot hold it is BadSettings, not a traceback."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadSettings) as refused:
        read_or_create_keys(tmp_path / "file" / "encryption.key")
    assert refused.value.code == "bad_key_file"
