"""Keyring: the certificates in use, by the server name a client asks for.

1. A name is looked for as it is, then under the wildcard one label up, then nowhere else: there is no default
   certificate, because whose would it be?
2. A hostname that a tenant holds is served from a TLS context of that tenant's own, even where the
   certificate is the platform's wildcard: a TLS session begun at one tenant is never resumed at another.
3. Names that nobody holds share the platform's contexts. So a scanner that makes up names below the
   platform's domain causes one small question to the database for each, a few at a time, and no contexts;
   names that were served before do not stand in line with those.
4. Contexts are built in a thread. What is in memory answers at once (:meth:`Keyring.peek`), is asked for
   again each minute, and keeps serving when the database is away.

5. A hostname behind a CDN is met by the CDN alone, which knows whom it connects to. So it is shown the
   platform's own certificate where none was uploaded for the hostname.

Of a vault and a folder that both have a name, the vault wins (record.choose).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from router.certificates.names import wildcard_over
from router.certificates.record import SealedCertificate, choose
from router.certificates.served import Contexts, Served
from router.errors import Unavailable
from router.storage.lookup import Lookup
from router.storage.waiting_room import WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from router.certificates.context import TlsProfile
    from router.certificates.folder import CertificateFolder
    from router.certificates.record import StoredCertificate
    from router.certificates.served import Kept
    from router.certificates.vault import Vault
    from router.storage.changes import ChangeFeed
    from router.storage.lookup import Pending

_WILDCARDS: Final = 1_000
"""Wildcards of the platform's own certificates kept in memory."""


class Keyring:
    """Server name → :class:`Served`. ``capacity`` bounds the hostnames, and the contexts, kept in memory.

    ``platform_domain`` is whose certificate stands in for hostnames behind a CDN.
    """

    def __init__(
        self,
        vault: Vault,
        folder: CertificateFolder,
        feed: ChangeFeed,
        *,
        platform_domain: str | None = None,
        capacity: int = 2048,
        profile: TlsProfile = "intermediate",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vault = vault
        self._platform_names = (f"*.{platform_domain}", platform_domain) if platform_domain else ()
        self._folder = folder
        self._clock = clock
        # Hostnames that a tenant holds or a certificate names; the wildcards for all other hostnames.
        self._room = WaitingRoom("certificates")
        self._named = _lookup("certificate", self._load_named, capacity, self._room)
        self._wild = _lookup("wildcard certificate", self._load_wild, _WILDCARDS, self._room)
        self._contexts = Contexts(self._opened, capacity=capacity, profile=profile)
        folder.subscribe(self.drop)
        feed.subscribe("certificate", self.drop)
        feed.subscribe("hostname", self._drop_hostname)
        feed.subscribe_reset(self.clear)

    def __repr__(self) -> str:
        return (
            f"<Keyring of {len(self._contexts)} contexts, {self._contexts.built} built, "
            f"{self._room!r}; {self._named!r}, {self._wild!r}>"
        )

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the encryption keys it has: what is sealed with another cannot be served."""
        return self._vault.key_ids

    def peek(self, name: str) -> Served | Literal[Pending.PENDING] | None:
        """Answer from memory: what serves a name, None for nothing, PENDING when unknown."""
        served = self._named.peek(name)
        if served is not None:
            return served
        wildcard = wildcard_over(name)
        return self._wild.peek(wildcard) if wildcard else None

    async def find(self, name: str) -> Served | None:
        """Find what serves ``name``, a hostname in its compared spelling; None for nothing.

        Raises ``Unavailable`` when that cannot be told now, and ``BadSettings`` when the certificate's key
        cannot be opened.
        """
        try:
            return await self._named.find(name) or await self._find_wild(name)
        except Unavailable:
            served = await self._find_without_database(name)
            if served is None:
                raise
            return served

    async def prepare(self, name: str) -> None:
        """Build what serves ``name``, a hostname or a wildcard, before somebody asks for it.

        Raises as ``find`` does.
        """
        await (self._wild if name.startswith("*.") else self._named).find(name)

    def drop(self, name: str, _sequence: int = 0) -> None:
        """Forget what serves ``name``, a hostname or a wildcard: its certificates changed.

        Connections that are open keep what they have.
        """
        self._drop_hostname(name)
        if name.startswith("*.") or name in self._platform_names:
            self._named.drop_if(lambda served: _concerns(name, served))
        self._contexts.drop(name)

    def clear(self) -> None:
        """Ask for everything anew; until it is answered, what is in memory bridges an outage."""
        self._named.clear()
        self._wild.clear()

    async def close(self) -> None:
        """End what is being looked for."""
        await self._named.close()
        await self._wild.close()

    def _drop_hostname(self, hostname: str, _sequence: int = 0) -> None:
        # No sequence numbers: they guard against copies in a shared cache, and contexts are not shared.
        self._named.drop(hostname)
        self._wild.drop(hostname)

    async def _find_wild(self, hostname: str) -> Served | None:
        wildcard = wildcard_over(hostname)
        return await self._wild.find(wildcard) if wildcard else None

    async def _find_without_database(self, name: str) -> Served | None:
        # A file, or a wildcard in memory, for a name never asked for before; whose it is cannot be told.
        chosen = self._chosen(self._files(name), name)
        return await self._contexts.get(chosen, None) if chosen else await self._find_wild(name)

    async def _load_named(self, hostname: str) -> Served | None:
        found = await self._vault.candidates(hostname)
        chosen = self._chosen((*found.certificates, *self._files(hostname)), hostname)
        if found.holder is None and chosen and hostname not in chosen[0].record.names:
            return None  # nobody's name under a wildcard: remembered once, for all of them, in _wild
        if not chosen and found.behind_cdn:
            return await self._stand_in(hostname, found.holder)
        return await self._contexts.get(chosen, found.holder) if chosen else None

    async def _stand_in(self, hostname: str, holder: str | None) -> Served | None:
        for name in self._platform_names:
            chosen = self._chosen((*await self._vault.platform(name), *self._folder.find(name)), name)
            if chosen:
                return replace(await self._contexts.get(chosen, holder), stands_in_for=hostname)
        return None

    async def _load_wild(self, wildcard: str) -> Served | None:
        uploads = await self._vault.platform(wildcard)
        chosen = self._chosen((*uploads, *self._folder.find(wildcard)), wildcard)
        return await self._contexts.get(chosen, None) if chosen else None

    def _chosen(self, candidates: Iterable[Kept], name: str) -> list[Kept]:
        by_id = {each.record.id: each for each in candidates}
        chosen = choose((each.record for each in by_id.values()), name, self._clock())
        return [by_id[record.id] for record in chosen]

    def _files(self, hostname: str) -> tuple[StoredCertificate, ...]:
        wildcard = wildcard_over(hostname)
        return self._folder.find(hostname) + (self._folder.find(wildcard) if wildcard else ())

    def _opened(self, kept: Kept) -> StoredCertificate:
        return self._vault.unseal(kept) if isinstance(kept, SealedCertificate) else kept


def _concerns(name: str, served: Served) -> bool:
    """Whether what is shown may be another one now that the certificates of ``name`` changed."""
    stands_in = served.stands_in_for
    return name in served.names or (stands_in is not None and wildcard_over(stands_in) == name)


def _lookup(
    name: str, load: Callable[[str], Awaitable[Served | None]], capacity: int, room: WaitingRoom
) -> Lookup[Served]:
    return Lookup(name, load, None, _stays_here, _stays_here, capacity=capacity, room=room)


def _stays_here(_: object) -> NoReturn:
    raise AssertionError("a TLS context cannot leave the process")
