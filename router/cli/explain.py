"""``tenant-router explain``: what a hostname gets, why, and the first thing that is wrong."""

from __future__ import annotations

import asyncio
import os
import time
from ipaddress import ip_address
from socket import gaierror
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from router.cli.diagnosis import Facts, Fault, Probe, Shown, first_wrong
from router.cli.output import AsJson, Exit, Record, show_record, when
from router.cli.tenant import described_claim, portal_url
from router.errors import BadSettings
from router.hostname import Hostname
from router.tenants.claims import SERVED, ClaimState
from router.tenants.upstream_address import default_upstreams, forbidden, socket_path, split_upstream

if TYPE_CHECKING:
    from router.certificates.folder import CertificateFolder
    from router.certificates.served import Served
    from router.cli.stores import Stores
    from router.tenants.rows import TenantRecord
    from router.tenants.tenant import Upstream

_DAY: Final = 86_400


async def explain(
    host: Annotated[str, Parameter(help="The hostname, as a customer would type it.")],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Tell what a hostname gets, why, and the first thing that is wrong.

    That is: its tenant, the state of its claim, the certificate that is shown,
    and whether the upstreams answer, asked from where this command runs.
    Exits with 1 when something is wrong.

    For example:
        tenant-router explain billing.acme.example
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database

    hostname = Hostname.parse(host.strip())
    async with opened() as stores:
        facts = await gather(hostname, stores)
    now, port = time.time(), stores.settings.public_port
    wrong = first_wrong(facts, now)
    show_record(described(facts, wrong, port, now), as_json=as_json, told=_told(facts, now))
    if not as_json:
        print(f"Wrong: {wrong.sentence}" if wrong else f"All is well: {portal_url(hostname, port)}")
    return Exit.WRONG if wrong else Exit.OK


async def gather(hostname: Hostname, stores: Stores) -> Facts:
    """Ask the database, the certificates and the upstreams about a hostname."""
    from router.certificates.folder import CertificateFolder  # noqa: PLC0415 - see explain

    found = await stores.registry.claims_of(hostname)
    claims = tuple(claim for claim in found if claim.state is not ClaimState.RELEASED)
    held = [claim for claim in claims if claim.state in SERVED]
    claim = held[0] if held else claims[0] if len(claims) == 1 else None
    record = await stores.registry.get(claim.slug) if claim else None
    folder = CertificateFolder(stores.settings.certs_dir)
    await folder.look()
    upstreams = (record.tenant.upstreams or _default_upstreams(stores)) if record else ()
    return Facts(
        hostname=hostname,
        platform_domain=stores.settings.platform_domain,
        claims=claims,
        claim=claim,
        record=record,
        shown=await _shown(hostname, stores, folder),
        probes=tuple(await asyncio.gather(*(_probe(each.url, stores) for each in upstreams))),
        file_faults=tuple(f"{name}: {sentence}" for name, sentence in sorted(folder.faults().items())),
    )


async def _shown(hostname: Hostname, stores: Stores, folder: CertificateFolder) -> Shown | Fault | None:
    """Ask the keyring itself, as a handshake would."""
    from router.certificates.keyring import Keyring  # noqa: PLC0415 - see explain
    from router.storage.changes import ChangeFeed  # noqa: PLC0415 - see explain

    keyring = Keyring(stores.vault, folder, ChangeFeed(stores.database, stores.bell), capacity=1)
    try:
        served = await keyring.find(hostname)
    except BadSettings as fault:  # the key that seals certificates is not the one they were sealed with
        return Fault(fault.code, fault.sentence)
    finally:
        await keyring.close()
    if served is None:
        return None
    names, covers = tuple(sorted(served.names)), served.covers(hostname)
    why = await _why(served, hostname, stores)
    return Shown(served.certificate_id, names, served.not_after, covers, why)


async def _why(served: Served, hostname: Hostname, stores: Stores) -> str:
    by = "by its own name" if hostname in served.names else f"by the wildcard *.{hostname.parent}"
    if served.origin == "folder":
        name = served.certificate_id.removeprefix("folder:")
        return f"the file {name} in {stores.settings.certs_dir} covers it {by}, and no valid upload does"
    owners = {record.id: record.tenant_id for record in await stores.vault.list()}
    whose = "the tenant" if owners.get(served.certificate_id) else "the platform"
    return f"the newest upload of {whose} that covers it, {by}"


async def _probe(url: str, stores: Stores) -> Probe:
    """Ask an upstream for a connection, by the rules that the edge connects by."""
    patience, private = stores.settings.connect_timeout, stores.settings.allow_private_upstreams
    path = socket_path(url)
    try:
        async with asyncio.timeout(patience):
            if path is None:
                await _knock(*split_upstream(url), private=private)
            else:
                await _knock_at_socket(path, private=private)
    except TimeoutError:
        return Probe(url, f"no answer in {patience:g} seconds")
    except OSError as fault:
        return Probe(url, _told_fault(fault))
    return Probe(url, None)


def _told_fault(fault: OSError) -> str:
    """Say it as the system does: asyncio's own words for a refused connection are none for people."""
    if isinstance(fault, gaierror) or not fault.errno:
        return str(fault.strerror or fault)
    return os.strerror(fault.errno)


async def _knock(host: str, port: int, *, private: bool) -> None:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    addresses = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    if not private and any(map(_private, addresses)):
        raise OSError(f"{host} leads to a private address, which the settings do not allow")
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()


async def _knock_at_socket(path: str, *, private: bool) -> None:
    if not private:
        raise OSError("a Unix socket is private, which the settings do not allow")
    _, writer = await asyncio.open_unix_connection(path)
    writer.close()
    await writer.wait_closed()


def _default_upstreams(stores: Stores) -> tuple[Upstream, ...]:
    settings = stores.settings
    return default_upstreams(settings.default_upstreams, allow_private=settings.allow_private_upstreams)


def _private(address: str) -> bool:
    return forbidden(ip_address(address))


def described(facts: Facts, wrong: Fault | None, public_port: int, now: float) -> Record:
    """Describe what was found, in the order of a request's way."""
    record, claim, shown = facts.record, facts.claim, facts.shown
    return {
        "hostname": facts.hostname,
        "tenant": record
        and {
            "slug": record.tenant.slug,
            "status": record.tenant.status,
            "maintenance": record.tenant.forwarding.maintenance,
        },
        "address": record and portal_url(record.tenant.hostname, public_port),
        "claim": claim and described_claim(claim),
        "certificate": _described_certificate(shown, now) if isinstance(shown, Shown) else None,
        "upstreams": [{"url": probe.url, "answers": probe.fault or "yes"} for probe in facts.probes],
        "files_not_taken": list(facts.file_faults),
        "wrong": wrong and {"code": wrong.code, "sentence": wrong.sentence},
    }


def _told(facts: Facts, now: float) -> Record:
    """Tell people what was found; what is wrong is told after it."""
    record, claim, shown = facts.record, facts.claim, facts.shown
    told: dict[str, object] = {
        "hostname": facts.hostname,
        "tenant": record and f"{record.tenant.slug} ({_state(record)})",
        "claim": claim and f"{claim.state.value} ({claim.kind})",
    }
    if isinstance(shown, Shown):
        left = int((shown.not_after - now) // _DAY)
        told["certificate"] = ", ".join(shown.names)
        told["why this one"] = shown.why
        told["expires"] = f"{when(shown.not_after)}, {left} days left"
    else:
        told["certificate"] = None
    told["upstreams"] = [f"{probe.url}: {probe.fault or 'answers'}" for probe in facts.probes]
    if facts.file_faults:
        told["files not taken"] = list(facts.file_faults)
    return told


def _state(record: TenantRecord) -> str:
    return (
        f"{record.tenant.status}, in maintenance"
        if record.tenant.forwarding.maintenance
        else record.tenant.status
    )


def _described_certificate(shown: Shown, now: float) -> Record:
    return {
        "id": shown.id,
        "names": list(shown.names),
        "why": shown.why,
        "covers": shown.covers,
        "not_after": when(shown.not_after),
        "days_left": int((shown.not_after - now) // _DAY),
    }
