"""Sealing: what must not be read by whoever reads the database or a backup of it.

A sealed value is ``version (1 octet) · key id (4) · nonce (12) · AES-256-GCM ciphertext and tag``. The
identity of its record is authenticated with it, so a sealed key that was moved to another row does not open.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from router.errors import BadSettings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_SIZE: Final = 32
VERSION: Final = b"\x01"
"""The first octet of a sealed value: in which way it is sealed."""

_ID_SIZE: Final = 4
_NONCE_SIZE: Final = 12

HEAD_SIZE: Final = 1 + _ID_SIZE
"""Octets of a sealed value that say how, and with which key, it was sealed."""

_PREFIX_SIZE: Final = HEAD_SIZE + _NONCE_SIZE


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
        self._ciphers = {bytes.fromhex(key_id(key)): AESGCM(key) for key in keys}
        self._first = bytes.fromhex(key_id(keys[0]))

    def __repr__(self) -> str:
        return f"<Sealer of {len(self._ciphers)} keys>"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys it has, the one it seals with first."""
        return tuple(each.hex() for each in self._ciphers)

    @property
    def head(self) -> bytes:
        """What every value begins with that is sealed now."""
        return VERSION + self._first

    def seal(self, plaintext: bytes, *, identity: str) -> bytes:
        """Seal a value for the record that ``identity`` names."""
        head = self.head
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return head + nonce + self._ciphers[self._first].encrypt(nonce, plaintext, head + identity.encode())

    def open(self, sealed: bytes, *, identity: str) -> bytes:
        """Open what was sealed for the same ``identity``.

        Raises ``BadSettings("encryption_key_missing")`` when the key it was sealed with is not among ours,
        and ``Unavailable("sealed_value_damaged")`` when it was altered or belongs to another record.
        """
        head, nonce = sealed[:HEAD_SIZE], sealed[HEAD_SIZE:_PREFIX_SIZE]
        if len(sealed) < _PREFIX_SIZE or head[:1] != VERSION:
            raise Unavailable("sealed_value_damaged", f"What is stored for {identity} is not a sealed value.")
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise BadSettings(
                "encryption_key_missing",
                f"The key that {identity} was encrypted with is not among the encryption keys; "
                "add the former key behind the current one, or restore the key file from its backup.",
            )
        try:
            return cipher.decrypt(nonce, sealed[_PREFIX_SIZE:], head + identity.encode())
        except InvalidTag as fault:
            raise Unavailable(
                "sealed_value_damaged", f"What is stored for {identity} was altered."
            ) from fault

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the first key; if not, seal it anew before the old key is retired."""
        return sealed[:HEAD_SIZE] == self.head


def key_id(key: bytes) -> str:
    """Answer the id that a key goes by, in values and in what people are told: 8 hexadecimal digits."""
    return hashlib.sha256(b"tenant-router key id\0" + key).hexdigest()[: 2 * _ID_SIZE]


def key_id_of(sealed: bytes) -> str:
    """Answer the id of the key that a value was sealed with, from its first ``HEAD_SIZE`` octets."""
    return sealed[1:HEAD_SIZE].hex()
