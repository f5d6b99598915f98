"""Keyring: the certificates in use, by the server name a client asks for.

1. A name is looked for as it is, then under the wildcard one label up, then nowhere else: there is no default
   certificate, because whose would it be?
2. A hostname that a tenant holds is served from a TLS context of that tenant's own, even where the
   certificate is the platform's wildcard: a TLS session begun at one tenant is never resumed at another.
3. Names that nobody holds share the platform's contexts. So a scanner that makes up names below the
   platform's domain causes two small questions to the database for each, a few at a time, and no contexts.
4. Contexts are built in a thread. What is in memory answers at once (:meth:`Keyring.peek`), is asked for
   again each minute, and keeps serving when the database is away.

Of a vault and a folder that both have a name, the vault wins (record.choose).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from router.certificates.names import wildcard_over
from router.certificates.record import choose
from router.certificates.served import Contexts, Served
from router.certificates.vault import SealedCertificate
from router.errors import Unavailable
from router.storage.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import StoredCertificate
    from router.certificates.served import Kept
    from router.certificates.vault import Vault
    from router.storage.changes import ChangeFeed
    from router.storage.lookup import Pending

_AT_ONCE: Final = 4
"""Questions to the database at once: half of its pool, so that handshakes never starve visits."""

_WAITING: Final = 1_000
"""Names that may wait for their turn; more are turned away."""

_OPEN_NAMES: Final = 1_000
"""Names of the platform's own certificates."""


class Keyring:
    """Server name → :class:`Served`. ``capacity`` bounds the hostnames, and the contexts, kept in memory."""

    def __init__(
        self,
        vault: Vault,
        folder: CertificateFolder,
        feed: ChangeFeed,
        *,
        capacity: int = 2048,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vault = vault
        self._folder = folder
        self._clock = clock
        self._held = _lookup("held certificate", self._load_held, capacity)
        self._open = _lookup("open certificate", self._load_open, _OPEN_NAMES)
        self._contexts = Contexts(self._opened, capacity=capacity)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self.turned_away = 0
        """Names turned away because too many were waiting."""
        folder.subscribe(self.drop)
        feed.subscribe("certificate", self.drop)
        feed.subscribe("hostname", self._drop_hostname)
        feed.subscribe_reset(self.clear)

    def __repr__(self) -> str:
        return (
            f"<Keyring of {len(self._contexts)} contexts, {self._contexts.built} built, "
            f"{self._waiting} waiting, {self.turned_away} turned away; {self._held!r}, {self._open!r}>"
        )

    def peek(self, name: str) -> Served | Literal[Pending.PENDING] | None:
        """Answer from memory: what serves a name, None for nothing, PENDING when unknown."""
        held = self._held.peek(name)
        if held is not None:
            return held
        exact = self._open.peek(name)
        if exact is not None:
            return exact
        wildcard = wildcard_over(name)
        return self._open.peek(wildcard) if wildcard else None

    async def find(self, name: str) -> Served | None:
        """Find what serves ``name``, a hostname in its compared spelling; None for nothing.

        Raises ``Unavailable`` when that cannot be told now, and ``BadSettings`` when the certificate's key
        cannot be opened.
        """
        try:
            return await self._held.find(name) or await self._find_open(name)
        except Unavailable:
            served = await self._serve(self._files(name), name, None)
            if served is None:
                raise
            return served

    def drop(self, name: str, _sequence: int = 0) -> None:
        """Forget what serves ``name``, a hostname or a wildcard: its certificates changed.

        Connections that are open keep what they have.
        """
        self._drop_hostname(name)
        if name.startswith("*."):
            self._held.drop_if(lambda served: name in served.names)
        self._contexts.drop(name)

    def clear(self) -> None:
        """Ask for everything anew; until it is answered, what is in memory bridges an outage."""
        self._held.clear()
        self._open.clear()

    async def close(self) -> None:
        """End what is being looked for."""
        await self._held.close()
        await self._open.close()

    def _drop_hostname(self, hostname: str, _sequence: int = 0) -> None:
        # No sequence numbers: they guard against copies in a shared cache, and contexts are not shared.
        self._held.drop(hostname)
        self._open.drop(hostname)

    async def _find_open(self, name: str) -> Served | None:
        exact = await self._open.find(name)
        if exact is not None:
            return exact
        wildcard = wildcard_over(name)
        return await self._open.find(wildcard) if wildcard else None

    async def _load_held(self, hostname: str) -> Served | None:
        async with self._turn():
            found = await self._vault.candidates(hostname)
            if found.holder is None:
                return None
            return await self._serve((*found.certificates, *self._files(hostname)), hostname, found.holder)

    async def _load_open(self, name: str) -> Served | None:
        async with self._turn():
            uploads = await self._vault.platform(name)
            return await self._serve((*uploads, *self._folder.find(name)), name, None)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= _WAITING:
            self.turned_away += 1
            raise Unavailable("busy", "Too many names are being looked for; try again in a moment.")
        self._waiting += 1
        try:
            async with self._gate:
                yield
        finally:
            self._waiting -= 1

    async def _serve(self, candidates: Iterable[Kept], name: str, tenant_id: str | None) -> Served | None:
        by_id = {each.record.id: each for each in candidates}
        chosen = choose((each.record for each in by_id.values()), name, self._clock())
        if not chosen:
            return None
        return await self._contexts.get([by_id[record.id] for record in chosen], tenant_id)

    def _files(self, hostname: str) -> tuple[StoredCertificate, ...]:
        wildcard = wildcard_over(hostname)
        return self._folder.find(hostname) + (self._folder.find(wildcard) if wildcard else ())

    def _opened(self, kept: Kept) -> StoredCertificate:
        return self._vault.unseal(kept) if isinstance(kept, SealedCertificate) else kept


def _lookup(name: str, load: Callable[[str], Awaitable[Served | None]], capacity: int) -> Lookup[Served]:
    return Lookup(name, load, None, _stays_here, _stays_here, capacity=capacity, serve_stale=True)


def _stays_here(_: object) -> NoReturn:
    raise AssertionError("a TLS context cannot leave the process")
