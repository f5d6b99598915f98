"""``tenant-router explain``: what a hostname gets, why, and the first thing that is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, cast

from cyclopts import Parameter

from router.cli.certificate_views import told as standing_told
from router.cli.diagnosis import Facts, Fault, Probe, Shown, first_wrong
from router.cli.output import AsJson, Exit, Record, show_record, when
from router.cli.tenant import described_claim, portal_url
from router.errors import BadSettings, Unavailable
from router.hostname import Hostname
from router.observe.tasks import Tasks
from router.tenants.claims import SERVED, ClaimState
from router.tenants.upstream_address import default_upstreams, refused

if TYPE_CHECKING:
    from pathlib import Path

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import CertificateRecord
    from router.certificates.served import Served
    from router.cli.stores import Stores
    from router.edge.dial import Target
    from router.edge.resolver import Resolver
    from router.settings import Settings
    from router.tenants.claims import Claim
    from router.tenants.rows import TenantRecord
    from router.tenants.tenant import Tenant, Upstream

_DAY: Final = 86_400
_PASTED: Final = re.compile(r"(?:https?://)?([^/?#@:\s]+)(?::[0-9]{1,5})?(?:[/?#].*)?", re.IGNORECASE)


async def explain(
    host: Annotated[str, Parameter(help="The hostname, or an address as it is pasted from a browser.")],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Tell what a hostname gets, why, and the first thing that is wrong.

    That is: its tenant, the state of its claim, the certificate that is shown,
    and whether the upstreams answer (for https, in TLS), asked from where
    this command runs, by the rules that the router connects by.
    Exits with 1 when something is wrong.

    For example:
        tenant-router explain billing.acme.example
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database

    hostname = hostname_in(host)
    async with opened() as stores:
        facts = await gather(hostname, stores)
    now, port = time.time(), stores.settings.public_port
    wrong = first_wrong(facts, now)
    show_record(described(facts, wrong, port, now), as_json=as_json, told=_told(facts, now))
    if not as_json:
        print(f"Wrong: {wrong.sentence}" if wrong else f"All is well: {portal_url(hostname, port)}")
    return Exit.WRONG if wrong else Exit.OK


def hostname_in(pasted: str) -> Hostname:
    """Find the hostname in what was pasted: URL, HOST:PORT or HOST. Raises ``BadInput("bad_hostname")``."""
    match = _PASTED.fullmatch(pasted.strip())
    return Hostname.parse(match.group(1) if match else pasted.strip())


async def gather(hostname: Hostname, stores: Stores) -> Facts:
    """Ask the database, the certificates and the upstreams about a hostname."""
    from router.certificates.folder import CertificateFolder  # noqa: PLC0415 - see explain
    from router.certificates.intermediates import Intermediates  # noqa: PLC0415 - see explain

    is_admin = hostname == stores.settings.admin_hostname
    found = () if is_admin else await stores.registry.claims_of(hostname)
    claims = tuple(claim for claim in found if claim.state is not ClaimState.RELEASED)
    held = [claim for claim in claims if claim.state in SERVED]
    claim = held[0] if held else claims[0] if len(claims) == 1 else None
    record = await stores.registry.get(claim.slug) if claim else None
    folder = CertificateFolder(stores.settings.certs_dir, Intermediates(stores.database))
    await folder.look()
    return Facts(
        hostname=hostname,
        platform_domain=stores.settings.platform_domain,
        claims=claims,
        claim=claim,
        record=record,
        shown=await _shown(hostname, stores, folder),
        probes=await _probes(record.tenant, stores) if record else (),
        file_faults=_file_faults(folder, stores.settings.certs_dir),
        is_admin=is_admin,
        waiting=await _waiting(claim, stores) if claim and claim.state not in SERVED else None,
    )


async def _waiting(claim: Claim, stores: Stores) -> CertificateRecord | None:
    """Find what was uploaded for a hostname that is not active yet."""
    from router.certificates.record import choose  # noqa: PLC0415 - see explain

    own = [each for each in await stores.vault.list() if each.tenant_id == claim.tenant_id]
    chosen = choose((each for each in own if each.state == "active"), claim.hostname, time.time())
    return chosen[0] if chosen else None


async def _shown(hostname: Hostname, stores: Stores, folder: CertificateFolder) -> Shown | Fault | None:
    try:
        served = await _served(hostname, stores, folder)
    except BadSettings as fault:  # the key that seals certificates is not the one they were sealed with
        return Fault(fault.code, fault.sentence)
    if served is None:
        return None
    names, covers = tuple(sorted(served.names)), served.covers(hostname)
    why = await _why(served, hostname, stores)
    best, *beside = served.records
    standing = (await stores.standings.of([best]))[best.id] if best.source == "upload" else None
    return Shown(best.id, names, best.not_after, covers, why, best.key_type, tuple(beside), standing)


async def _served(hostname: Hostname, stores: Stores, folder: CertificateFolder) -> Served | None:
    """Ask the keyring itself, as a handshake would."""
    from router.certificates.keyring import Keyring  # noqa: PLC0415 - see explain
    from router.storage.changes import ChangeFeed  # noqa: PLC0415 - see explain

    feed, domain = ChangeFeed(stores.database, stores.bell), stores.settings.platform_domain
    keyring = Keyring(stores.vault, folder, feed, platform_domain=domain, capacity=1)
    try:
        return await keyring.find(hostname)
    finally:
        await keyring.close()


async def _why(served: Served, hostname: Hostname, stores: Stores) -> str:
    if served.stands_in_for:
        return "the platform's own: the hostname is behind a CDN, and nothing that was uploaded covers it"
    by = "by its own name" if hostname in served.names else f"by the wildcard *.{hostname.parent}"
    if served.origin == "folder":
        name = served.certificate_id.removeprefix("folder:")
        return f"the file {name} in {stores.settings.certs_dir} covers it {by}, and no valid upload does"
    owners = {record.id: record.tenant_id for record in await stores.vault.list()}
    whose = "the tenant" if owners.get(served.certificate_id) else "the platform"
    return f"the newest upload of {whose} that covers it, {by}"


def _file_faults(folder: CertificateFolder, path: Path) -> tuple[str, ...]:
    if not folder.readable:
        return (f"{path}: it cannot be read by this user.",)
    return tuple(f"{name}: {sentence}" for name, sentence in sorted(folder.faults().items()))


async def _probes(tenant: Tenant, stores: Stores) -> tuple[Probe, ...]:
    """Connect to each upstream as the edge would."""
    from router.edge.dial import NAME_SHARE, Target  # noqa: PLC0415 - see explain
    from router.edge.name_servers import NameServers  # noqa: PLC0415 - see explain
    from router.edge.resolver import Resolver  # noqa: PLC0415 - see explain

    upstreams = tenant.upstreams or _default_upstreams(stores)
    settings = stores.settings
    async with Tasks() as tasks:
        names = NameServers(settings.resolvers, patience=settings.connect_timeout * NAME_SHARE)
        resolver = Resolver(names, tasks)
        targets = [Target.parse(each.url, tenant.forwarding.upstream_ca) for each in upstreams]
        return tuple(await asyncio.gather(*(_probe(target, resolver, settings) for target in targets)))


async def _probe(target: Target, resolver: Resolver, settings: Settings) -> Probe:
    from router.edge.dial import dial  # noqa: PLC0415 - see explain

    patience, judge = (
        settings.connect_timeout,
        partial(refused, allow_private=settings.allow_private_upstreams),
    )
    knock = _Knock()
    try:
        async with asyncio.timeout(patience):
            await dial(target, knock, resolver, judge, within=patience)
    except TimeoutError:
        return Probe(target.url, f"no answer in {patience:g} seconds")
    except OSError as fault:
        return Probe(target.url, _told_fault(fault))
    except Unavailable as fault:
        return Probe(target.url, _told_refusal(fault, target))
    finally:
        knock.hang_up()
    return Probe(target.url, None)


class _Knock(asyncio.Protocol):
    """Somebody who connects and says nothing."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def hang_up(self) -> None:
        """End the connection, if there is one."""
        if self._transport is not None:
            self._transport.abort()


def _told_fault(fault: OSError) -> str:
    """Say it as the system does: asyncio's own words for a refused connection are none for people."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate cannot be believed: {fault.verify_message} (see --upstream-ca)"
    if isinstance(fault, ssl.SSLError):
        return f"it does not speak TLS as it should: {fault.reason or fault}"
    if not fault.errno:
        return str(fault.strerror or fault)
    return os.strerror(fault.errno)


def _told_refusal(fault: Unavailable, target: Target) -> str:
    if fault.code != "upstream_forbidden":  # of its name there is no address
        cause = fault.__cause__
        return cause.sentence if isinstance(cause, Unavailable) else fault.sentence
    if target.path:
        return "a Unix socket is private, which the settings do not allow"
    return "it leads to a private address, or to a metadata service, which the settings do not allow"


def _default_upstreams(stores: Stores) -> tuple[Upstream, ...]:
    settings = stores.settings
    return default_upstreams(settings.default_upstreams, allow_private=settings.allow_private_upstreams)


def described(facts: Facts, wrong: Fault | None, public_port: int, now: float) -> Record:
    """Describe what was found, in the order of a request's way."""
    record, claim, shown = facts.record, facts.claim, facts.shown
    return {
        "hostname": facts.hostname,
        "api": facts.is_admin,
        "tenant": record
        and {
            "slug": record.tenant.slug,
            "status": record.tenant.status,
            "maintenance": record.tenant.forwarding.maintenance,
        },
        "address": record and portal_url(record.tenant.hostname, public_port),
        "claim": claim and described_claim(claim) | {"proof": claim.proof, "code": claim.code},
        "certificate": _described_certificate(shown, now) if isinstance(shown, Shown) else None,
        "upstreams": [{"url": probe.url, "answers": probe.fault or "yes"} for probe in facts.probes],
        "certificate_waiting": facts.waiting and facts.waiting.id,
        "files_not_taken": list(facts.file_faults),
        "wrong": wrong and {"code": wrong.code, "sentence": wrong.sentence},
    }


def _told(facts: Facts, now: float) -> Record:
    """Tell people what was found; what is wrong is told after it."""
    record, claim, shown = facts.record, facts.claim, facts.shown
    told: dict[str, object] = {
        "hostname": facts.hostname,
        "tenant": "none: the API answers here" if facts.is_admin else record and _named(record),
        "claim": claim and _told_claim(claim),
    }
    if isinstance(shown, Shown):
        left = int((shown.not_after - now) // _DAY)
        told["certificate"] = ", ".join(shown.names)
        told["why this one"] = shown.why
        told["state"] = shown.standing and standing_told(shown.standing)
        told["expires"] = f"{when(shown.not_after)}, {left} days left"
        if shown.beside:
            kinds = [(shown.key_type, shown.id, shown.not_after)]
            kinds += [(each.key_type, each.id, each.not_after) for each in shown.beside]
            told["kinds of key"] = [f"{key}: {id_}, until {when(ends)}" for key, id_, ends in kinds]
    elif facts.waiting is not None:
        told["certificate"] = f"{facts.waiting.id} is held: it serves as soon as the hostname is active"
    else:
        told["certificate"] = None
    told["upstreams"] = [f"{probe.url}: {probe.fault or 'answers'}" for probe in facts.probes]
    if facts.file_faults:
        told["files not taken"] = list(facts.file_faults)
    return told


def _told_claim(claim: Claim) -> str:
    proof = f", proved by {claim.proof}" if claim.proof in ("cname", "txt") else ""
    return f"{claim.state.value} ({claim.kind}{proof})"


def _named(record: TenantRecord) -> str:
    maintenance = ", in maintenance" if record.tenant.forwarding.maintenance else ""
    return f"{record.tenant.slug} ({record.tenant.status}{maintenance})"


def _described_certificate(shown: Shown, now: float) -> Record:
    return {
        "id": shown.id,
        "key_type": shown.key_type,
        "names": list(shown.names),
        "why": shown.why,
        "covers": shown.covers,
        "state": shown.standing and shown.standing.stage,
        "workers": shown.standing and {"have": shown.standing.have, "all": shown.standing.workers},
        "not_after": when(shown.not_after),
        "days_left": int((shown.not_after - now) // _DAY),
        "beside": [
            {"id": each.id, "key_type": each.key_type, "not_after": when(each.not_after)}
            for each in shown.beside
        ],
    }
