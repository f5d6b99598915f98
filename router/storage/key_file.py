"""The key file: encryption keys of a router whose settings name none, as the settings would write them."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import BadSettings
from router.storage.sealing import KEY_SIZE

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)

_OTHERS: Final = 0o077


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Read the keys, one a line in base64url, the one that encrypts first; none where there is no file.

    Raises ``BadSettings("bad_key_file")`` for a file that cannot be used.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise BadSettings("bad_key_file", f"{path} can be read by others: run chmod 600 {path}.")
        keys = tuple(_decoded(line) for line in path.read_bytes().splitlines() if line.strip())
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise _unusable(path, fault) from fault
    if not keys or any(len(key) != KEY_SIZE for key in keys):
        raise BadSettings(
            "bad_key_file",
            f"{path} holds something else than keys of {KEY_SIZE} octets in base64url, one a line; "
            "restore its backup.",
        )
    return keys


def read_or_create_keys(path: Path) -> tuple[bytes, ...]:
    """Read the keys, or make a file with one that its owner alone can read; of several processes, one does.

    For a database that holds nothing sealed: what is sealed with a lost key does not open with a new one.
    Raises ``BadSettings("bad_key_file")`` for a file that cannot be used, or made.
    """
    keys = read_keys(path)
    if keys:
        return keys
    try:
        _create(path)
    except OSError as fault:
        raise _unusable(path, fault) from fault
    return read_keys(path)


def _unusable(path: Path, fault: OSError) -> BadSettings:
    return BadSettings("bad_key_file", f"The key file {path} cannot be used: {fault.strerror}.")


def _decoded(line: bytes) -> bytes:
    """Decode base64url or base64, padded or not, as the settings do; empty for anything else."""
    text = line.strip().rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_SIZE)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # whole or not at all, and never over a key that another process made meanwhile
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)
    _log.warning(
        "encryption key made; back it up, without it no stored private key can be opened", path=str(path)
    )
