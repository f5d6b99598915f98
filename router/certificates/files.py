"""The files of the certs/ folder: what is there, and what a group of them says. Blocking: for threads."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from router.certificates.context import build_context
from router.certificates.faults import refusal
from router.certificates.material import MAX_BYTES
from router.certificates.pairing import FileGroup, group_files
from router.certificates.record import CertificateRecord, StoredCertificate
from router.certificates.unlock import parse_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from router.certificates.faults import BundleWarning

_log = structlog.get_logger(__name__)

MAX_FILES: Final = 10_000
"""Files looked at; a folder with more holds something else than certificates."""

Signature = tuple[tuple[str, int, int, int], ...]
"""Path, time of change in nanoseconds, size and inode of each file of a group."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A group of files and how it looks from outside."""

    group: FileGroup
    signature: Signature


@dataclass(frozen=True, slots=True)
class Judged:
    """A certificate read from files."""

    certificate: StoredCertificate
    warnings: tuple[BundleWarning, ...]


def list_groups(folder: Path) -> dict[str, Listed]:
    """List what is in the folder and one level below; none is an empty one. Raises ``OSError``."""
    seen: dict[str, tuple[int, int, int]] = {}
    if folder.exists():
        for path in _paths(folder):
            seen |= _facts(folder, path)
            if len(seen) > MAX_FILES:
                raise OSError(0, f"more than {MAX_FILES} files")
    return {
        name: Listed(group, tuple((path, *seen[path]) for path in (*group.certificates, *group.keys)))
        for name, group in group_files(seen).items()
    }


def _paths(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from path.iterdir()
        else:
            yield path


def _facts(folder: Path, path: Path) -> dict[str, tuple[int, int, int]]:
    try:
        facts = path.stat()  # of the file a link leads to: that is what changes when a link is switched over
    except FileNotFoundError:
        return {}
    if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for
        return {}
    return {str(path.relative_to(folder)): (facts.st_mtime_ns, facts.st_size, facts.st_ino)}


def read_group(folder: Path, group: FileGroup, now: float) -> Judged:
    """Read and judge the files of one certificate. Raises ``BadBundle`` or ``OSError``."""
    if not group.certificates:  # a key that waits for its certificate, or that was left over
        raise refusal("no_certificate")
    data, keys = _content(folder, group.certificates), _content(folder, group.keys)
    bundle = parse_apart(data, keys or None, now=now)
    build_context(bundle.chain_pem, bundle.key_der)
    for path in group.keys:
        if (folder / path).stat().st_mode & stat.S_IROTH:
            _log.warning("private key can be read by everyone here", file=path, remedy="chmod 600")
    record = CertificateRecord(
        id=f"folder:{group.name}",
        tenant_id=None,
        source="folder",
        state="active",
        key_type=bundle.key_type,
        fingerprint=bundle.fingerprint,
        names=bundle.names,
        not_before=bundle.not_before,
        not_after=bundle.not_after,
        created_at=int(now),
    )
    return Judged(StoredCertificate(record, bundle.chain_pem, bundle.key_der), bundle.warnings)


def _content(folder: Path, paths: Sequence[str]) -> bytes:
    several = []
    for path in paths:
        with (folder / path).open("rb") as file:
            several.append(file.read(MAX_BYTES + 1))
    return b"\n".join(several)
