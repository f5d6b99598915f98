"""What a handshake is given, and the bounded store of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.certificates.context import build_context
from router.certificates.names import covers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from router.certificates.context import TlsProfile
    from router.certificates.record import (
        CertificateRecord,
        SealedCertificate,
        Source,
        StoredCertificate,
    )

    Kept = SealedCertificate | StoredCertificate

_Key = tuple[str | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A TLS context and what it stands for.

    ``records`` are the certificates in it: the best, and then one for each further kind of key. ``names`` are
    those that every one of them carries. ``tenant_id`` is the tenant that the context belongs to, none for
    names that nobody holds: a request for another tenant's host does not belong on this connection.
    ``certificate_id`` is ``folder:…`` for files. ``not_after`` is in unix seconds.
    """

    context: ssl.SSLContext
    names: frozenset[str]
    certificate_id: str
    not_after: int
    origin: Source
    tenant_id: str | None
    records: tuple[CertificateRecord, ...] = ()
    stands_in_for: str | None = None
    """A hostname behind a CDN that has no certificate of its own here: the CDN takes this one."""

    def covers(self, hostname: str) -> bool:
        """Whether the certificate shown is for ``hostname``; if not, a request for it deserves a 421."""
        return hostname == self.stands_in_for or covers(self.names, hostname)


class Contexts:
    """The contexts in use, one for each tenant and choice of certificates; the least recently asked for goes.

    An entry costs 20 to 25 KiB and 1 to 2 ms of a thread. ``open_key`` opens what the vault sealed.
    """

    def __init__(
        self,
        open_key: Callable[[Kept], StoredCertificate],
        *,
        capacity: int,
        profile: TlsProfile = "intermediate",
    ) -> None:
        self._open_key = open_key
        self._profile = profile
        self._capacity = capacity
        self._served: OrderedDict[_Key, Served] = OrderedDict()
        self.built = 0
        """Contexts built since the start."""

    def __len__(self) -> int:
        return len(self._served)

    async def get(self, certificates: Sequence[Kept], tenant_id: str | None) -> Served:
        """Find or build the context that serves these certificates, one for each kind of key, to a tenant."""
        key = (tenant_id, tuple((each.record.id, each.chain_pem) for each in certificates))
        served = self._served.get(key)
        if served is None:
            built = await self._build([self._open_key(each) for each in certificates], tenant_id)
            served = self._served.setdefault(key, built)  # another may have been quicker meanwhile
        self._served.move_to_end(key)
        if len(self._served) > self._capacity:
            self._served.popitem(last=False)
        return served

    def drop(self, name: str) -> None:
        """Forget the contexts that carry ``name``."""
        for key, served in list(self._served.items()):
            if name in served.names:
                del self._served[key]

    async def _build(self, certificates: Sequence[StoredCertificate], tenant_id: str | None) -> Served:
        first, *beside = [(each.chain_pem, each.key_der) for each in certificates]
        context = await asyncio.to_thread(build_context, *first, *beside, profile=self._profile)
        self.built += 1
        best = certificates[0].record
        return Served(
            context=context,
            names=frozenset.intersection(*(frozenset(each.record.names) for each in certificates)),
            certificate_id=best.id,
            not_after=best.not_after,
            origin=best.source,
            tenant_id=tenant_id,
            records=tuple(each.record for each in certificates),
        )
