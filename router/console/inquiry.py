"""Inquiries: everything that is known about a hostname, for ``explain`` at whichever door it is asked."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.certificates.record import choose
from router.console.diagnosis import Facts, Fault, Shown, first_wrong
from router.errors import BadInput, BadSettings, Faults
from router.hostname import Hostname
from router.tenants.claims import SERVED, ClaimState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Protocol

    from router.certificates.folder import CertificateFolder
    from router.certificates.keyring import Keyring
    from router.certificates.record import CertificateRecord
    from router.certificates.served import Served
    from router.certificates.standings import Standings
    from router.certificates.vault import Vault
    from router.observe.foreseen import Foreseen
    from router.observe.upstreams import Knocked
    from router.tenants.claims import Claim
    from router.tenants.registry import Registry
    from router.tenants.tenant import Tenant

    Knock = Callable[[Tenant], Awaitable[tuple[Knocked, ...]]]

    class Foresee(Protocol):
        """What decides about a request before it is sent (edge/foresight.py)."""

        def __call__(
            self,
            hostname: Hostname,
            path: str,
            tenant: Tenant | None,
            presented: Served | None,
            *,
            is_admin: bool,
            now: float,
        ) -> tuple[Foreseen, ...]:
            """Decide for each kind of visitor."""
            ...


_PASTED: Final = re.compile(r"(?:https?://)?([^/?#@:\s]+)(?::[0-9]{1,5})?(?:[/?#].*)?", re.IGNORECASE)
_PATH: Final = re.compile(r"/[!-~]{0,2000}")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where certificates are kept, and where they are looked for: as a handshake does."""

    vault: Vault
    keyring: Keyring
    standings: Standings


class Inquiry:
    """Asks the tenants, the certificates and the upstreams. ``knock`` connects to a tenant's upstreams.

    ``kept`` is a fault where no certificate can be opened. ``folder_path`` is where certs/ is,
    ``admin_hostname`` where the console answers. ``clock`` tells unix seconds.
    """

    def __init__(
        self,
        registry: Registry,
        kept: Certificates | Fault,
        folder: CertificateFolder,
        knock: Knock,
        *,
        folder_path: Path,
        platform_domain: Hostname,
        admin_hostname: Hostname,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._kept = kept
        self._folder = folder
        self._folder_path = folder_path
        self._knock = knock
        self._platform_domain = platform_domain
        self._admin_hostname = admin_hostname
        self._clock = clock

    async def about(self, hostname: Hostname) -> Facts:
        """Tell what is known about a hostname. Raises ``Unavailable`` (the database)."""
        is_admin = hostname == self._admin_hostname
        found = () if is_admin else await self._registry.claims_of(hostname)
        claims = tuple(claim for claim in found if claim.state is not ClaimState.RELEASED)
        held = [claim for claim in claims if claim.state in SERVED]
        claim = held[0] if held else claims[0] if len(claims) == 1 else None
        record = await self._registry.get(claim.slug) if claim else None
        served, shown = await self._shown(hostname)
        return Facts(
            hostname=hostname,
            platform_domain=self._platform_domain,
            claims=claims,
            claim=claim,
            record=record,
            shown=shown,
            probes=await self._knock(record.tenant) if record else (),
            file_faults=self._file_faults(),
            is_admin=is_admin,
            waiting=await self._waiting(claim) if claim and claim.state not in SERVED else None,
            presented=served,
        )

    async def _waiting(self, claim: Claim) -> CertificateRecord | None:
        """Find what was uploaded for a hostname that is not active yet."""
        if isinstance(self._kept, Fault):
            return None
        own = await self._kept.vault.of(claim.tenant_id)
        active = (each for each in own if each.state == "active")
        chosen = choose(active, claim.hostname, self._clock())
        return chosen[0] if chosen else None

    async def _shown(self, hostname: Hostname) -> tuple[Served | None, Shown | Fault | None]:
        """Ask the keyring itself, as a handshake would."""
        if isinstance(self._kept, Fault):
            return None, self._kept
        try:
            served = await self._kept.keyring.find(hostname)
        except BadSettings as fault:  # the key that seals certificates is not the one they were sealed with
            return None, Fault(fault.code, fault.sentence)
        if served is None:
            return None, None
        best, *beside = served.records
        standing = None
        if best.source == "upload":
            standing = (await self._kept.standings.of([best]))[best.id]
        shown = Shown(
            id=best.id,
            names=tuple(sorted(served.names)),
            not_after=best.not_after,
            covers=served.covers(hostname),
            why=self._why(served, hostname, best.tenant_id),
            key_type=best.key_type,
            beside=tuple(beside),
            standing=standing,
        )
        return served, shown

    def _why(self, served: Served, hostname: Hostname, owner: str | None) -> str:
        if served.stands_in_for:
            return "the platform's own: the hostname is behind a CDN, and nothing that was uploaded covers it"
        by = "by its own name" if hostname in served.names else f"by the wildcard *.{hostname.parent}"
        if served.origin == "folder":
            name = served.certificate_id.removeprefix("folder:")
            return f"the file {name} in {self._folder_path} covers it {by}, and no valid upload does"
        whose = "the tenant" if owner else "the platform"
        return f"the newest upload of {whose} that covers it, {by}"

    def _file_faults(self) -> tuple[str, ...]:
        folder, path = self._folder, self._folder_path
        if not folder.readable:
            return (f"{path}: it cannot be read by this user.",)
        return tuple(f"{name}: {sentence}" for name, sentence in sorted(folder.faults().items()))


def hostname_in(pasted: str) -> Hostname:
    """Find the hostname in what was pasted: URL, HOST:PORT or HOST. Raises ``BadInput("bad_hostname")``."""
    match = _PASTED.fullmatch(pasted.strip())
    return Hostname.parse(match.group(1) if match else pasted.strip())


def check_path(raw: str) -> None:
    """Check a request's target: a path, perhaps with a query. Raises ``BadInput("bad_path")``."""
    if _PATH.fullmatch(raw) is None:
        raise BadInput("bad_path", "A path begins with / and is visible ASCII, as it is sent.")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole decision about a hostname and a path: what is known, what is wrong, who gets what."""

    facts: Facts
    path: str
    wrong: Fault | None
    foreseen: tuple[Foreseen, ...]


class Explainer:
    """Explains. ``foresee`` decides as the edge does."""

    def __init__(self, inquiry: Inquiry, foresee: Foresee, *, clock: Callable[[], float] = time.time) -> None:
        self._inquiry = inquiry
        self._foresee = foresee
        self._clock = clock

    async def explain(self, host: str, path: str) -> Explanation:
        """Explain what a hostname, or an address as it is pasted from a browser, gets for a path.

        Raises ``BadInput`` with ``bad_hostname`` or ``bad_path``, and ``Unavailable``.
        """
        faults = Faults()
        with faults.at("host"):
            hostname = hostname_in(host)
        with faults.at("path"):
            check_path(path)
        faults.check()
        facts, now = await self._inquiry.about(hostname), self._clock()
        served = facts.record is not None and facts.claim is not None and facts.claim.state in SERVED
        tenant = facts.record.tenant if served and facts.record is not None else None
        is_admin = facts.is_admin
        foreseen = self._foresee(hostname, path, tenant, facts.presented, is_admin=is_admin, now=now)
        return Explanation(facts, path, first_wrong(facts, now), foreseen)
