"""The encryption keys in force, held to what the database needs before anything is served or sealed.

A key that is missing is found out at once and in one sentence, not at the first handshake that needs it; and
no new key is made for a database that holds values sealed with another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import BadSettings
from router.storage.key_file import read_keys, read_or_create_keys
from router.storage.sealed import told, uses
from router.storage.sealing import key_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from router.storage.database import Database
    from router.storage.sealed import Uses


async def encryption_keys(database: Database, configured: Sequence[bytes], file: Path) -> tuple[bytes, ...]:
    """Answer the keys: the settings' own, else those of the key file, which is made for an empty database.

    Raises ``BadSettings`` (``encryption_key_missing``, ``bad_key_file``) and ``Unavailable``.
    """
    keys = tuple(configured) or read_keys(file)
    used = await uses(database)
    check(used, keys, file)
    return keys or read_or_create_keys(file)


def check(used: Uses, keys: Sequence[bytes], file: Path) -> None:
    """Raise ``BadSettings("encryption_key_missing")`` when something was sealed with none of ``keys``."""
    missing = sorted(used.keys() - {key_id(key) for key in keys})
    if not missing:
        return
    what = "; ".join(f"{told(used[lost])} with key {lost}" for lost in missing)
    if not keys:
        sentence = (
            f"The database holds what is encrypted ({what}), and there is no key: neither "
            f"ROUTER_ENCRYPTION_KEYS nor {file}. Restore the key from its backup."
        )
    else:
        sentence = (
            f"What the database holds ({what}) was encrypted with what is not among the encryption keys; "
            "add the former key behind the current one, or restore the key file from its backup."
        )
    raise BadSettings(
        "encryption_key_missing",
        f"{sentence} If a key is lost for good: tenant-router keys forget {missing[0]}",
    )
