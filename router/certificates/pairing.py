"""Which files in certs/ belong together.

PURE: names in, groups out. certs/README.md tells operators the same in their words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN = frozenset({".pem", ".crt", ".cer", ".der", ".key", ".p12", ".pfx"})
_ROLE = re.compile(r"[-_.](?:key|privkey|cert|chain|fullchain)$")
_KEY = re.compile(r"(?:^|[-_.])(?:key|privkey)$")


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The files of one certificate, as paths within the folder: what may hold certificates, and its keys."""

    name: str
    certificates: tuple[str, ...]
    keys: tuple[str, ...]


def group_files(paths: Iterable[str]) -> dict[str, FileGroup]:
    """Group paths such as ``shop.pem``, ``shop-key.pem`` or ``shop/fullchain.pem`` by certificate.

    Files side by side belong together when they have the same name but for the ending and a ``-key``,
    ``-cert``, ``-chain``, ``-fullchain`` or ``-privkey`` before it; files in a folder of their own belong
    together whatever they are called. Others (README.md, hidden ones) are left alone.
    """
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for path in sorted(paths):
        pure = PurePath(path)
        if pure.suffix.lower() in _KNOWN and not any(part.startswith(".") for part in pure.parts):
            certificates, keys = groups.setdefault(_group_of(pure), ([], []))
            (keys if _is_key(pure) else certificates).append(path)
    return {name: FileGroup(name, tuple(both[0]), tuple(both[1])) for name, both in groups.items()}


def _group_of(path: PurePath) -> str:
    return f"{path.parts[0]}/" if len(path.parts) > 1 else _ROLE.sub("", path.stem)


def _is_key(path: PurePath) -> bool:
    return path.suffix.lower() == ".key" or _KEY.search(path.stem) is not None
