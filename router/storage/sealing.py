"""Sealing: what must not be read by whoever reads the database or a backup of it.

A sealed value is ``version (1 octet) · key id (4) · nonce (12) · AES-256-GCM ciphertext and tag``. The
identity of its record is authenticated with it, so a sealed key that was moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from router.errors import BadSettings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = structlog.get_logger(__name__)

KEY_SIZE: Final = 32
_VERSION = b"\x01"
_ID_SIZE = 4
_NONCE_SIZE = 12
_HEAD_SIZE = 1 + _ID_SIZE + _NONCE_SIZE


class Sealer:
    """Seals with the first key, opens with any: put a new key first to rotate, and keep the old ones behind.

    Random nonces are safe for 2^32 values under one key (NIST SP 800-38D, 8.3), far more than there are rows.
    Raises ``BadSettings`` for no key, or one that is not 32 octets.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_SIZE for key in keys):
            raise BadSettings(
                "bad_encryption_key", f"Encryption keys are {KEY_SIZE} octets each, one at least."
            )
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"<Sealer of {len(self._ciphers)} keys>"

    def seal(self, plaintext: bytes, *, identity: str) -> bytes:
        """Seal a value for the record that ``identity`` names."""
        head = _VERSION + self._first
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return head + nonce + self._ciphers[self._first].encrypt(nonce, plaintext, head + identity.encode())

    def open(self, sealed: bytes, *, identity: str) -> bytes:
        """Open what was sealed for the same ``identity``.

        Raises ``BadSettings("encryption_key_missing")`` when the key it was sealed with is not among ours,
        and ``Unavailable("sealed_value_damaged")`` when it was altered or belongs to another record.
        """
        head, nonce = sealed[: 1 + _ID_SIZE], sealed[1 + _ID_SIZE : _HEAD_SIZE]
        if len(sealed) < _HEAD_SIZE or head[:1] != _VERSION:
            raise Unavailable("sealed_value_damaged", f"What is stored for {identity} is not a sealed value.")
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise BadSettings(
                "encryption_key_missing",
                f"The key that {identity} was encrypted with is not among the encryption keys; "
                "add the former key behind the current one, or restore the key file from its backup.",
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_SIZE:], head + identity.encode())
        except InvalidTag as fault:
            raise Unavailable(
                "sealed_value_damaged", f"What is stored for {identity} was altered."
            ) from fault

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the first key; if not, seal it anew before the old key is retired."""
        return sealed[: 1 + _ID_SIZE] == _VERSION + self._first


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"tenant-router key id\0" + key).digest()[:_ID_SIZE]


def load_or_create_key(path: Path) -> bytes:
    """Read the key file, or make one that its owner alone can read; of several processes, one makes it.

    It holds the key as the settings would, in base64url.

    Raises ``BadSettings("bad_key_file")`` for a file that cannot be used.
    """
    try:
        if not path.exists():
            _create_key(path)
        if path.stat().st_mode & 0o077:
            raise BadSettings("bad_key_file", f"{path} can be read by others: run chmod 600 {path}.")
        key = _decoded(path.read_bytes())
    except OSError as fault:
        raise BadSettings("bad_key_file", f"The key file {path} cannot be used: {fault.strerror}.") from fault
    if len(key) != KEY_SIZE:
        raise BadSettings(
            "bad_key_file", f"{path} holds no key of {KEY_SIZE} octets in base64url; restore its backup."
        )
    return key


def _decoded(text: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.strip())
    except binascii.Error:
        return b""


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
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
