"""The certs/ folder: certificates that an operator drops in as files, watched.

The folder is looked at each second: names, sizes and times, no more. What changed is read once it has been
the same for two looks (a pair of files is not replaced in one stroke), judged by the same rules as an upload,
and takes the place of the former. Files that do not pass are reported, and the former keeps serving. Chains
are completed as those of uploads are; while the database is away, they are served as they are.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from router.certificates.faults import BadBundle
from router.certificates.files import Judged, Listed, Signature, list_groups, read_group, try_out
from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from router.certificates.bundle import Bundle
    from router.certificates.intermediates import Intermediates
    from router.certificates.record import CertificateRecord, StoredCertificate

_log = structlog.get_logger(__name__)

_TRY_AGAIN: Final = 60.0
"""Seconds until files that did not pass, or whose chain could not be completed for want of the database, are
judged again: a certificate becomes valid, a disk or a database recovers."""


@dataclass(slots=True)
class _Watched:
    """What is known of one group: how it was last seen, how it was last judged, and what it serves."""

    seen: Signature = ()
    judged: Signature = ()
    judged_at: float = 0.0
    fault: str | None = None
    unfinished: bool = False
    serving: StoredCertificate | None = None


class CertificateFolder:
    """The certificates of one folder: :meth:`look` once before serving, :meth:`run` from then on.

    ``intermediates`` are what chains are completed from, none for nothing. ``period`` is in seconds,
    ``clock`` tells unix seconds.
    """

    def __init__(
        self,
        path: Path,
        intermediates: Intermediates | None = None,
        *,
        period: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._intermediates = intermediates
        self._period = period
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._by_name: dict[str, tuple[StoredCertificate, ...]] = {}
        self._subscribers: list[Callable[[str], None]] = []
        self._looked = False
        self._readable = True

    def __repr__(self) -> str:
        return f"<CertificateFolder {self._path} with {len(self.list())} certificates>"

    def subscribe(self, callback: Callable[[str], None]) -> None:
        """Have ``callback(name)`` called for each name whose certificates changed."""
        self._subscribers.append(callback)

    def find(self, name: str) -> tuple[StoredCertificate, ...]:
        """The certificates that carry exactly ``name``, which may be a wildcard. From memory."""
        return self._by_name.get(name, ())

    def list(self) -> list[CertificateRecord]:
        """Every certificate the folder serves."""
        return [each.serving.record for each in self._watched.values() if each.serving]

    @property
    def readable(self) -> bool:
        """Whether the folder itself could be read, the last time it was looked at."""
        return self._readable

    def faults(self) -> dict[str, str]:
        """The groups of files that did not pass, each with the sentence that says why."""
        return {name: each.fault for name, each in self._watched.items() if each.fault}

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self._period)

    async def look(self) -> None:
        """Look once, and take in what has settled. The first look takes what it finds."""
        try:
            listing = await asyncio.to_thread(list_groups, self._path)
        except OSError as fault:  # what was read before keeps serving
            if self._readable:
                _log.error("certificate folder cannot be read", folder=str(self._path), cause=str(fault))
            self._readable = False
            return
        self._readable = True
        for name in sorted(self._watched.keys() | listing.keys()):
            await self._attend(name, listing.get(name))
        self._looked = True

    async def _attend(self, name: str, listed: Listed | None) -> None:
        watched = self._watched.setdefault(name, _Watched())
        signature = listed.signature if listed else ()
        settled = signature == watched.seen or not self._looked
        watched.seen = signature
        if not settled:
            return
        if listed is None:
            del self._watched[name]
            self._swap(watched, None)
        elif signature != watched.judged or self._is_due(watched):
            await self._judge(watched, listed)

    def _is_due(self, watched: _Watched) -> bool:
        again = watched.fault is not None or watched.unfinished
        return again and self._clock() - watched.judged_at > _TRY_AGAIN

    async def _judge(self, watched: _Watched, listed: Listed) -> None:
        former = (watched.judged, watched.fault)
        watched.judged, watched.judged_at = listed.signature, self._clock()
        try:
            bundle = await asyncio.to_thread(read_group, self._path, listed.group, watched.judged_at)
            bundle = await self._completed(watched, bundle)
            judged = await asyncio.to_thread(try_out, listed.group, bundle, watched.judged_at)
        except (BadBundle, OSError) as fault:
            watched.fault = _sentence(fault)
            if (watched.judged, watched.fault) != former:  # told once, not each minute
                self._report(watched, listed)
            return
        watched.fault = None
        self._take_in(watched, listed, judged)

    async def _completed(self, watched: _Watched, bundle: Bundle) -> Bundle:
        """Complete a chain that lacks its intermediate, as an upload's; later, while that cannot be told."""
        watched.unfinished = False
        if self._intermediates is None:
            return bundle
        try:
            return await self._intermediates.complete(bundle, watched.judged_at)
        except Unavailable:  # the database has logged it
            watched.unfinished = True
            return bundle

    def _report(self, watched: _Watched, listed: Listed) -> None:
        files = [*listed.group.certificates, *listed.group.keys]
        keeps = "the former certificate" if watched.serving else "nothing"
        _log.error("certificate files refused", files=files, reason=watched.fault, serving=keeps)

    def _take_in(self, watched: _Watched, listed: Listed, judged: Judged) -> None:
        new = judged.certificate
        if watched.serving and (watched.serving.chain_pem, watched.serving.key_der) == (
            new.chain_pem,
            new.key_der,
        ):
            return  # read again, and still the same
        names = list(new.record.names)
        _log.info("certificate files taken in", files=listed.group.name, names=names)
        for warning in judged.warnings:
            _log.warning("certificate files have a flaw", files=listed.group.name, flaw=warning.sentence)
        self._swap(watched, new)

    def _swap(self, watched: _Watched, new: StoredCertificate | None) -> None:
        old, watched.serving = watched.serving, new
        changed = {name for each in (old, new) if each for name in each.record.names}
        for name in changed:
            left = tuple(each for each in self._by_name.get(name, ()) if each is not old)
            now = (*left, new) if new and name in new.record.names else left
            if now:
                self._by_name[name] = now
            else:
                self._by_name.pop(name, None)
        for name in sorted(changed):
            for callback in self._subscribers:
                callback(name)


def _sentence(fault: BadBundle | OSError) -> str:
    return fault.sentence if isinstance(fault, BadBundle) else f"It cannot be read: {fault.strerror}."
