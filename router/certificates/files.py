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
    from collections.abc import Sequence
    from pathlib import Path

    from router.certificates.bundle import Bundle
    from router.certificates.faults import BundleWarning

_log = structlog.get_logger(__name__)

MAX_FILES: Final = 10_000
"""Files looked at; a folder with more holds something else than certificates."""

_OF_THE_DISK: Final = "lost+found"
"""What a file system of its own has in its top folder, and only root may look into."""

_UNSEEN: Final = (0, 0, 0)
"""What is known of a file that cannot be looked at."""

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
    """List what is in the folder and one level below; none is an empty one. Raises ``OSError``.

    What cannot be looked at is listed all the same, so that it fails by itself when it is read: it neither
    keeps the others from being served nor counts as removed.
    """
    seen: dict[str, tuple[int, int, int]] = {}
    listed: dict[str, Listed] = {}
    if folder.exists():
        for entry in folder.iterdir():
            if entry.name.startswith(".") or entry.name == _OF_THE_DISK:
                continue
            try:
                paths = list(entry.iterdir()) if _is_folder(entry) else [entry]
            except (FileNotFoundError, NotADirectoryError):  # gone meanwhile
                continue
            except OSError:
                group = FileGroup(f"{entry.name}/", (entry.name,), ())
                listed[group.name] = Listed(group, ((entry.name, *_UNSEEN),))
                continue
            for path in paths:
                seen |= _facts(folder, path)
            if len(seen) > MAX_FILES:
                raise OSError(0, f"more than {MAX_FILES} files")
    return listed | {
        name: Listed(group, tuple((path, *seen[path]) for path in (*group.certificates, *group.keys)))
        for name, group in group_files(seen).items()
    }


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link into a folder that this user may not enter
        return False


def _facts(folder: Path, path: Path) -> dict[str, tuple[int, int, int]]:
    try:
        facts = path.stat()  # of the file a link leads to: that is what changes when a link is switched over
    except FileNotFoundError:
        return {}
    except OSError:
        return {str(path.relative_to(folder)): _UNSEEN}
    if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for
        return {}
    return {str(path.relative_to(folder)): (facts.st_mtime_ns, facts.st_size, facts.st_ino)}


def read_group(folder: Path, group: FileGroup, now: float) -> Bundle:
    """Read and judge the files of one certificate. Raises ``BadBundle`` or ``OSError``."""
    if not group.certificates:  # a key that waits for its certificate, or that was left over
        raise refusal("no_certificate")
    data, keys = _content(folder, group.certificates), _content(folder, group.keys)
    bundle = parse_apart(data, keys or None, now=now)
    for path in group.keys:
        if (folder / path).stat().st_mode & stat.S_IROTH:
            _log.warning("private key can be read by everyone here", file=path, remedy="chmod 600")
    return bundle


def try_out(group: FileGroup, bundle: Bundle, now: float) -> Judged:
    """Prove that what was read can be served, and make the record of it. Raises ``BadBundle``."""
    build_context(bundle.chain_pem, bundle.key_der)
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
