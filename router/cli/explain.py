"""``tenant-router explain``: what a hostname gets, why, and the first thing that is wrong."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from router.cli.certificate_views import told as standing_told
from router.cli.output import AsJson, Exit, Record, show_record, when
from router.cli.tenant import described_claim, portal_url
from router.console.diagnosis import Facts, Fault, Shown
from router.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.certificates.folder import CertificateFolder
    from router.cli.stores import Stores
    from router.console.inquiry import Certificates, Explainer
    from router.observe.foreseen import Foreseen
    from router.tenants.claims import Claim
    from router.tenants.rows import TenantRecord

_DAY: Final = 86_400


async def explain(
    host: Annotated[str, Parameter(help="The hostname, or an address as it is pasted from a browser.")],
    /,
    *,
    path: Annotated[
        str | None, Parameter(help="Tell too what becomes of a request for it, such as '/orders?page=2'.")
    ] = None,
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

    async with opened() as stores, _explainer(stores) as explainer:
        found = await explainer.explain(host, path or "/")
    facts, wrong, now = found.facts, found.wrong, time.time()
    port = stores.settings.console_port if facts.is_admin else stores.settings.public_port
    about, told = described(facts, wrong, port, now), _told(facts, now)
    if path is not None:
        about = {**about, "decisions": [asdict(each) for each in found.foreseen]}
        told = {**told, f"GET {path}": [_told_decision(each) for each in found.foreseen]}
    show_record(about, as_json=as_json, told=told)
    if not as_json:
        print(f"Wrong: {wrong.sentence}" if wrong else f"All is well: {portal_url(facts.hostname, port)}")
    return Exit.WRONG if wrong else Exit.OK


@asynccontextmanager
async def _explainer(stores: Stores) -> AsyncIterator[Explainer]:
    """Make what explains, out of parts that this command has for itself."""
    from router.certificates.folder import CertificateFolder  # noqa: PLC0415 - see explain
    from router.edge_parts import join_explainer, join_outside  # noqa: PLC0415 - see explain

    settings = stores.settings
    folder = CertificateFolder(settings.certs_dir)
    await folder.look()
    outside = join_outside(settings)
    async with outside.tasks, _certificates(stores, folder) as kept:
        yield join_explainer(settings, outside, stores.registry, kept, folder)


@asynccontextmanager
async def _certificates(stores: Stores, folder: CertificateFolder) -> AsyncIterator[Certificates | Fault]:
    """Make where certificates are looked for; or say why none can be opened."""
    from router.certificates.keyring import Keyring  # noqa: PLC0415 - see explain
    from router.console.inquiry import Certificates  # noqa: PLC0415 - see explain
    from router.storage.changes import ChangeFeed  # noqa: PLC0415 - see explain

    try:
        vault = stores.vault
    except BadSettings as fault:  # the key that seals them is not the one that they were sealed with
        yield Fault(fault.code, fault.sentence)
        return
    feed, domain = ChangeFeed(stores.database, stores.bell), stores.settings.platform_domain
    keyring = Keyring(vault, folder, feed, platform_domain=domain, capacity=1)
    try:
        yield Certificates(vault, keyring, stores.standings)
    finally:
        await keyring.close()


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


_DEEDS: Final = {
    "forwarded": "goes on to the backend, with who asks",
    "forwarded_without_identity": "goes on to the backend, without who asks",
    "portal": "the portal's own page answers",
    "console": "the console answers",
    "health": "the health check answers",
    "to_https": "is sent to the same over https",
    "to_sign_in": "is sent to",
    "refused": "is refused:",
}


def _told_decision(foreseen: Foreseen) -> str:
    parts = (_DEEDS[foreseen.does], foreseen.location, foreseen.code)
    status = f" ({foreseen.status})" if foreseen.status is not None else ""
    return f"{foreseen.who}: {' '.join(part for part in parts if part)}{status}"


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
