"""``tenant-router certificate``: upload, list."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Record, Usage, answer, show_list, when
from router.errors import BadInput

if TYPE_CHECKING:
    from router.certificates.bundle import Bundle
    from router.certificates.record import CertificateRecord
    from router.tenants.rows import TenantRecord

app = App(name="certificate", help="Certificates: upload, list.")

_MOST: Final = 10 * 1024 * 1024
"""Octets read of a file: the bundle's own limit is below it."""

_DAY: Final = 86_400


@app.command
async def upload(
    chain: Annotated[Path, Parameter(help="The certificate with its chain: PEM, DER or PKCS#12.")],
    key: Annotated[Path | None, Parameter(help="The private key, unless it is in the first file.")] = None,
    /,
    *,
    tenant: Annotated[
        str | None, Parameter(help="The short name of the tenant whose hostnames it serves.")
    ] = None,
    platform: Annotated[
        bool,
        Parameter(negative=(), help="It is the platform's own, such as the wildcard of its domain."),
    ] = False,
    passphrase_stdin: Annotated[
        bool,
        Parameter(negative=(), help="Read the key's pass phrase from standard input."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a certificate and its key and, when they are good, serve them within a second.

    Say --tenant SLUG or --platform. A certificate with the same names is replaced and kept.

    For example:
        tenant-router certificate upload chain.pem key.pem --tenant acme
    """
    from router.certificates.bundle import Bundle  # noqa: PLC0415 - --help does without cryptography
    from router.cli.stores import actor, opened  # noqa: PLC0415 - the same for the database

    if (tenant is None) != platform:
        raise Usage("usage", "Say whose certificate it is: --tenant SLUG, or --platform.")
    passphrase = sys.stdin.buffer.readline().rstrip(b"\r\n") if passphrase_stdin else None
    key_data = _read(key) if key else None
    bundle = Bundle.parse(_read(chain), key_data, passphrase=passphrase, now=time.time())
    async with opened() as stores:
        owner = await stores.registry.get(tenant) if tenant is not None else None
        if owner is not None:
            _check_covers(bundle, owner)
        tenant_id = owner.tenant.id if owner else None
        record = await stores.vault.store(bundle, tenant_id, actor=actor())
    warnings = [{"code": warning.code, "sentence": warning.sentence} for warning in bundle.warnings]
    data = {**described(record, tenant, time.time()), "warnings": warnings}
    said = f"Serving it for {', '.join(record.names)} until {when(record.not_after)}."
    answer(data, said, *(f"Warning: {each['sentence']}" for each in warnings), as_json=as_json)


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Only those of one tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the uploaded certificates, the superseded ones too; files in certs/ are not among them.

    For example:
        tenant-router certificate list --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see upload

    async with opened() as stores:
        records = await stores.vault.list()
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
        if tenant is not None:
            wanted = (await stores.registry.get(tenant)).tenant.id
            records = [record for record in records if record.tenant_id == wanted]
    now = time.time()
    rows = [described(record, slugs.get(record.tenant_id or ""), now) for record in records]
    columns = ("tenant", "names", "state", "key_type", "days_left", "not_after", "id")
    show_list(
        rows, columns, as_json=as_json, none="There are none yet: tenant-router certificate upload --help"
    )


def described(record: CertificateRecord, slug: str | None, now: float) -> Record:
    """Describe a certificate; its key is in no answer."""
    return {
        "id": record.id,
        "tenant": slug or "(platform)",
        "names": list(record.names),
        "state": record.state,
        "source": record.source,
        "key_type": record.key_type,
        "fingerprint": record.fingerprint,
        "not_before": when(record.not_before),
        "not_after": when(record.not_after),
        "days_left": days_left(record.not_after, now),
    }


def days_left(not_after: int, now: float) -> int:
    """Count the whole days until it expires; negative afterwards."""
    return int((not_after - now) // _DAY)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as fault:
        raise BadInput("file_unreadable", f"{path} cannot be read: {fault.strerror}.") from fault


def _check_covers(bundle: Bundle, owner: TenantRecord) -> None:
    """A certificate that serves none of the tenant's hostnames is the wrong file, or the wrong tenant."""
    hostnames = [claim.hostname for claim in owner.claims if claim.state.value != "released"]
    if not any(bundle.covers(hostname) for hostname in hostnames):
        raise BadInput(
            "hostname_not_covered",
            f"The certificate is for {', '.join(bundle.names)}, but tenant {owner.tenant.slug} has "
            f"{', '.join(hostnames)}: upload the one for that, or add the hostname to the tenant first.",
        )
