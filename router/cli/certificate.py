"""``tenant-router certificate``: check, upload, list, show, rollback, delete, export-public."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from router.cli.certificate_views import described, judged, sentences, some, told, warnings_of
from router.cli.output import AsJson, Exit, Usage, answer, complain, show_list, show_record, when
from router.errors import BadInput, NotFound
from router.hostname import Hostname

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord
    from router.cli.stores import Stores

app = App(
    name="certificate",
    help="Certificates: check, upload, list, show, rollback, delete, export-public.",
)

_MOST: Final = 10 * 1024 * 1024
"""Octets read of a file: the bundle's own limit is below it."""

_LOOKED_EVERY: Final = 0.1

Chain = Annotated[Path, Parameter(help="The certificate with its chain: PEM, DER or PKCS#12.")]
Key = Annotated[Path | None, Parameter(help="The private key, unless it is in the first file.")]
Owner = Annotated[str | None, Parameter(help="The short name of the tenant whose hostnames it serves.")]
Platform = Annotated[
    bool,
    Parameter(negative=(), help="It is the platform's own, such as the wildcard of its domain."),
]
Passphrase = Annotated[
    bool,
    Parameter(negative=(), help="Read the key's pass phrase from standard input."),
]
Which = Annotated[str, Parameter(help="Its id, as `certificate list` names it, or a hostname it serves.")]
Of = Annotated[
    str | None,
    Parameter(help="Only one of this tenant. Through the API: whose it is; without it, the platform's."),
]
State = Literal["held", "deploying", "active", "expiring", "expired", "superseded"]


@app.command
async def check(
    chain: Chain,
    key: Key = None,
    /,
    *,
    tenant: Owner = None,
    passphrase_stdin: Passphrase = False,
    as_json: AsJson = False,
) -> None:
    """Judge a certificate and its key as an upload would be, and store nothing.

    With --tenant, its hostnames are looked at too. Exits with 3 when it
    would be refused, and says why.

    For example:
        tenant-router certificate check chain.pem key.pem --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database

    passphrase, data, key_data = (
        passphrase_from_stdin(passphrase_stdin),
        read_file(chain),
        read_file(key) if key else None,
    )
    async with opened() as stores:
        owner = await stores.owner(tenant)
        verdict = await stores.uploads.judge(data, key_data, passphrase=passphrase, tenant_id=owner)
    ends = when(verdict.bundle.not_after)
    said = f"It would be accepted, for {some(verdict.bundle.names)}, until {ends}. Nothing was stored."
    answer({**judged(verdict, tenant), "stored": False}, said, *sentences(verdict), as_json=as_json)


@app.command
async def upload(
    chain: Chain,
    key: Key = None,
    /,
    *,
    tenant: Owner = None,
    platform: Platform = False,
    passphrase_stdin: Passphrase = False,
    wait: Annotated[float, Parameter(help="Seconds to wait until every running worker serves it.")] = 0.0,
    as_json: AsJson = False,
) -> int:
    """Judge a certificate and its key and, when they are good, serve them within a second.

    Say --tenant SLUG or --platform. A certificate of the same owner and kind
    of key with no other names is replaced, and kept for a rollback. With
    --wait, exits with 7 when not every worker has it in that time.

    For example:
        tenant-router certificate upload chain.pem key.pem --tenant acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    if (tenant is None) != platform:
        raise Usage("usage", "Say whose certificate it is: --tenant SLUG, or --platform.")
    passphrase, data, key_data = (
        passphrase_from_stdin(passphrase_stdin),
        read_file(chain),
        read_file(key) if key else None,
    )
    async with opened() as stores:
        owner = await stores.owner(tenant)
        record, verdict = await stores.uploads.upload(
            data, key_data, passphrase=passphrase, tenant_id=owner, actor=actor()
        )
        standing = await _standing(stores, record, wait)
    about = {**judged(verdict, tenant), **described(record, tenant, time.time(), standing), "stored": True}
    said = f"{record.id}: {told(standing)}."
    names = f"It is for {some(record.names)}, until {when(record.not_after)}."
    answer(about, said, names, *sentences(verdict), as_json=as_json)
    if wait and standing.stage == "deploying":
        late = f"Not every worker has {record.id} after {wait:g} seconds. {' '.join(standing.faults)}"
        complain("not_deployed", late.strip(), as_json=as_json)
        return Exit.TIMED_OUT
    return Exit.OK


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Only those of one tenant.")] = None,
    state: Annotated[State | None, Parameter(help="Only those in one state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the uploaded certificates, the superseded ones too; files in certs/ are not among them.

    For example:
        tenant-router certificate list --state expiring
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see check

    async with opened() as stores:
        records = await stores.vault.list()
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
        if tenant is not None:
            wanted = (await stores.registry.get(tenant)).tenant.id
            records = [record for record in records if record.tenant_id == wanted]
        standings = await stores.standings.of(records)
    now = time.time()
    rows = [
        described(record, slugs.get(record.tenant_id or ""), now, standings[record.id])
        for record in records
        if state in (None, standings[record.id].stage)
    ]
    columns = ("tenant", "names", "state", "key_type", "days_left", "not_after", "id")
    none = "There are none." if records else "There are none yet: tenant-router certificate upload --help"
    show_list(rows, columns, as_json=as_json, none=none)


@app.command
async def show(which: Which, /, *, tenant: Of = None, as_json: AsJson = False) -> None:
    """Show a certificate: where it stands, its chain, whom it serves, what its owner should know.

    For example:
        tenant-router certificate show billing.acme.example
    """
    from router.certificates.bundle import remarks_on  # noqa: PLC0415 - --help does without cryptography
    from router.cli.stores import opened  # noqa: PLC0415 - see check

    now = time.time()
    async with opened() as stores:
        record = await _chosen(stores, which, tenant)
        sealed = await stores.vault.get(record.id)
        standing = (await stores.standings.of([record]))[record.id]
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
    chain, warnings = remarks_on(sealed.chain_pem, now)
    about = {
        **described(record, slugs.get(record.tenant_id or ""), now, standing),
        "chain": [each.subject.rfc4514_string() for each in chain],
        "issuer": chain[-1].issuer.rfc4514_string(),
        "warnings": warnings_of(warnings),
    }
    for_people = {
        **about,
        "state": told(standing),
        "workers": None,
        "warnings": [each.sentence for each in warnings],
    }
    show_record(about, as_json=as_json, told=for_people)


@app.command
async def rollback(which: Which, /, *, tenant: Of = None, as_json: AsJson = False) -> None:
    """Have the certificate serve again whose place another took, within a second.

    WHICH is the one to take back, or a superseded one that is to serve again.
    What served until now is kept in turn: the same command again goes forth.

    For example:
        tenant-router certificate rollback billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see check

    async with opened() as stores:
        asked = await _chosen(stores, which, tenant)
        again = await stores.vault.roll_back(asked.id, actor=actor())
        standings = await stores.standings.of(again)
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
    now = time.time()
    rows = [described(each, slugs.get(each.tenant_id or ""), now, standings[each.id]) for each in again]
    said = [
        f"{each.id} serves {some(each.names)} again, until {when(each.not_after)}: "
        f"{told(standings[each.id])}."
        for each in again
    ]
    answer(rows, *said, as_json=as_json)


@app.command
async def delete(
    certificate_id: Annotated[str, Parameter(help="Which one, as `certificate list` names it.")],
    /,
    *,
    tenant: Of = None,
    even_the_last: Annotated[
        bool,
        Parameter(negative=(), help="Even where hostnames that are active are left without a certificate."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a certificate with its key, for good.

    The last one of a hostname that is active is kept unless you say
    --even-the-last: its visitors would be turned away.

    For example:
        tenant-router certificate delete crt_3f9c1b2a4d5e6f7081920a1b
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see check

    async with opened() as stores:
        if tenant is not None:
            certificate_id = (await _by_id(stores, certificate_id, tenant)).id
        gone = await stores.vault.delete(certificate_id, actor=actor(), even_the_last=even_the_last)
    said = f"{gone.id} is deleted; its names were {some(gone.names)}."
    answer({"deleted": gone.id, "names": list(gone.names)}, said, as_json=as_json)


@app.command(name="export-public")
async def export_public(which: Which, /, *, tenant: Of = None, as_json: AsJson = False) -> None:
    """Write a certificate with its chain, as PEM; the key leaves the router for nobody.

    For example:
        tenant-router certificate export-public billing.acme.example > chain.pem
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see check

    async with opened() as stores:
        sealed = await stores.vault.get((await _chosen(stores, which, tenant)).id)
    answer(
        {"id": sealed.record.id, "chain": sealed.chain_pem},
        sealed.chain_pem.removesuffix("\n"),
        as_json=as_json,
    )


async def _chosen(stores: Stores, which: str, slug: str | None) -> CertificateRecord:
    """Find the upload that is meant: by its id, or the one that serves a hostname, or waits to."""
    if which.startswith("crt_"):
        return await _by_id(stores, which, slug)
    hostname, owner = Hostname.parse(which), await stores.owner(slug)
    found = [each.record for each in (await stores.vault.candidates(hostname)).certificates]
    found = [each for each in found if owner in (None, each.tenant_id)]
    every = [each for each in await stores.vault.list() if owner in (None, each.tenant_id)]
    return serving(found or [each for each in every if each.state == "active"], hostname)


async def _by_id(stores: Stores, which: str, slug: str | None) -> CertificateRecord:
    owner, record = await stores.owner(slug), (await stores.vault.get(which)).record
    if owner not in (None, record.tenant_id):
        raise NotFound("no_such_certificate", f"{slug} has no certificate “{which[:40]}”.")
    return record


def serving(found: Sequence[CertificateRecord], hostname: Hostname) -> CertificateRecord:
    """Choose what serves a hostname. Raises ``NotFound("no_such_certificate")``."""
    from router.certificates.record import choose  # noqa: PLC0415 - see show

    chosen = choose(found, hostname, time.time())
    if not chosen:
        hint = f"tenant-router explain {hostname}"
        raise NotFound("no_such_certificate", f"No uploaded certificate covers {hostname}. See: {hint}")
    return chosen[0]


async def _standing(stores: Stores, record: CertificateRecord, wait: float) -> Standing:
    """Tell where a certificate stands, after ``wait`` seconds at most for the workers to take it in."""
    ends = time.monotonic() + wait
    while True:
        standing = (await stores.standings.of([record]))[record.id]
        if standing.stage != "deploying" or time.monotonic() >= ends:
            return standing
        await asyncio.sleep(_LOOKED_EVERY)


def passphrase_from_stdin(wanted: bool) -> bytes | None:  # noqa: FBT001 - the option as it came
    """Read a pass phrase, if one is to come: a line."""
    return sys.stdin.buffer.readline().rstrip(b"\r\n") if wanted else None


def read_file(path: Path) -> bytes:
    """Read what is to be uploaded. Raises ``BadInput("file_unreadable")``."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as fault:
        raise BadInput("file_unreadable", f"{path} cannot be read: {fault.strerror}.") from fault
