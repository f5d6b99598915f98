"""``…/certificates``: judged, taken in, shown, rolled back, deleted; a tenant's, or the platform's own.

No answer holds a private key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from router.certificates.bundle import remarks_on
from router.certificates.faults import REFUSALS
from router.console.api.bodies import Body
from router.console.api.certificate_views import (
    MOST,
    CertificateList,
    CertificateShown,
    CertificateTold,
    CertificateUpload,
    CertificateUploaded,
    State,
    VerdictTold,
    fields_of,
    links_of,
    verdict_of,
    warnings_of,
)
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope
from router.errors import BadInput, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from router.certificates.record import CertificateRecord, SealedCertificate
    from router.certificates.standings import Standings
    from router.certificates.uploads import Uploads
    from router.certificates.vault import Vault

PEM: Final = "application/pem-certificate-chain"  # RFC 8555 section 9.1

_UNKNOWN: Final = ("no_such_certificate",)
_FAULTS: Final = (*REFUSALS, "missing_field", "not_both", "bad_base64", "hostname_not_covered")


class CertificateQuery(Paging):
    """Which certificates are listed."""

    state: State | None = None


class DeletionQuery(Body):
    """How sure one is."""

    even_the_last: bool = Field(
        default=False, description="Even where active hostnames are left without a certificate."
    )


class CertificatesEndpoint:
    """Takes certificates and tells of them. ``clock`` tells unix seconds."""

    def __init__(
        self,
        uploads: Uploads,
        vault: Vault,
        standings: Standings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._uploads = uploads
        self._vault = vault
        self._standings = standings
        self._clock = clock

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done: for a tenant, and the same for the platform."""
        tenants = self._operations("/tenants/{tenant}/certificates", "a tenant's", platform=False)
        return (*tenants, *self._operations("/certificates", "the platform's own", platform=True))

    def _operations(self, path: str, whose: str, *, platform: bool) -> tuple[Operation, ...]:
        reading, writing, one = Scope.CERTIFICATES_READ, Scope.CERTIFICATES_WRITE, f"{path}/{{id}}"
        return (
            Operation(
                "GET",
                path,
                reading,
                self._list,
                f"List {whose} certificates, superseded ones too",
                query=CertificateQuery,
                answer=CertificateList,
                platform=platform,
                fails=("bad_cursor",),
            ),
            Operation(
                "POST",
                path,
                writing,
                self._upload,
                f"Judge one of {whose} certificates and, when it is good, serve it within a second",
                body=CertificateUpload,
                answer=CertificateUploaded,
                status=201,
                platform=platform,
                creates=True,
                most=MOST,
                fails=_FAULTS,
            ),
            Operation(
                "POST",
                f"{path}/check",
                writing,
                self._check,
                f"Judge one of {whose} certificates as an upload would be, and store nothing",
                body=CertificateUpload,
                answer=VerdictTold,
                platform=platform,
                most=MOST,
                fails=_FAULTS,
            ),
            Operation(
                "GET",
                one,
                reading,
                self._show,
                f"Show one of {whose} certificates with its chain",
                answer=CertificateShown,
                platform=platform,
                fails=_UNKNOWN,
            ),
            Operation(
                "GET",
                f"{one}/chain",
                reading,
                self._chain,
                f"Get one of {whose} certificates with its chain as PEM",
                platform=platform,
                streams=PEM,
                fails=_UNKNOWN,
            ),
            Operation(
                "POST",
                f"{one}/rollback",
                writing,
                self._roll_back,
                f"Have one of {whose} certificates give way to what it took the place of",
                answer=CertificateList,
                platform=platform,
                fails=(*_UNKNOWN, "409 nothing_to_roll_back", "409 former_expired"),
            ),
            Operation(
                "DELETE",
                one,
                writing,
                self._delete,
                f"Delete one of {whose} certificates with its key, for good",
                query=DeletionQuery,
                platform=platform,
                fails=(*_UNKNOWN, "409 last_certificate"),
            ),
        )

    async def _list(self, call: Call[None, CertificateQuery]) -> Reply:
        asked, found = call.query, await self._vault.of(_owner(call))
        if asked.after is not None:
            at, which = place_of(asked.after, int, str)
            found = [each for each in found if (-each.created_at, each.id) > (-int(at), str(which))]
        if asked.state is None:  # of a whole tenant's, only a piece is looked into
            found = found[: asked.limit + 1]
        told = [each for each in await self._told(found) if asked.state in (None, each.state)]
        some, cursor = piece(told, asked.limit, lambda each: (int(each.created_at.timestamp()), each.id))
        return Reply(CertificateList(items=list(some), next=cursor))

    async def _check(self, call: Call[CertificateUpload, None]) -> Reply:
        upload = call.body
        data, key = upload.octets
        try:
            verdict = await self._uploads.judge(data, key, passphrase=upload.phrase, tenant_id=_owner(call))
        except BadInput as fault:
            raise upload.at_field(fault) from fault.__cause__
        return Reply(verdict_of(verdict))

    async def _upload(self, call: Call[CertificateUpload, None]) -> Reply:
        upload, owner = call.body, _owner(call)
        data, key = upload.octets
        try:
            record, verdict = await self._uploads.upload(
                data, key, passphrase=upload.phrase, tenant_id=owner, actor=call.actor
            )
        except BadInput as fault:
            raise upload.at_field(fault) from fault.__cause__
        standing = (await self._standings.of([record]))[record.id]
        answer = CertificateUploaded(
            **fields_of(record, standing, self._clock()),
            chain=links_of(verdict.bundle.chain),
            warnings=warnings_of(verdict.bundle.warnings),
            waits_for=list(verdict.waits_for),
            not_covered=list(verdict.not_covered),
            replaces=[each.id for each in verdict.replaces],
        )
        return Reply(answer)

    async def _show(self, call: Call[None, None]) -> Reply:
        sealed = await self._the(call)
        now, record = self._clock(), sealed.record
        chain, warnings = remarks_on(sealed.chain_pem, now)
        standing = (await self._standings.of([record]))[record.id]
        answer = CertificateShown(
            **fields_of(record, standing, now), chain=links_of(chain), warnings=warnings_of(warnings)
        )
        return Reply(answer)

    async def _chain(self, call: Call[None, None]) -> Reply:
        return Reply(stream=_once((await self._the(call)).chain_pem.encode()))

    async def _roll_back(self, call: Call[None, None]) -> Reply:
        asked = await self._the(call)
        again = await self._vault.roll_back(asked.record.id, actor=call.actor)
        return Reply(CertificateList(items=await self._told(again), next=None))

    async def _delete(self, call: Call[None, DeletionQuery]) -> Reply:
        sealed = await self._the(call)
        even_the_last = call.query.even_the_last
        await self._vault.delete(sealed.record.id, actor=call.actor, even_the_last=even_the_last)
        return Reply()

    async def _told(self, records: Sequence[CertificateRecord]) -> list[CertificateTold]:
        standings, now = await self._standings.of(records), self._clock()
        return [CertificateTold(**fields_of(each, standings[each.id], now)) for each in records]

    async def _the(self, call: Call[None, Any]) -> SealedCertificate:
        """Find the certificate in the path; another owner's is as one that there is not."""
        which = call.path["id"]
        unknown = NotFound("no_such_certificate", f"There is no certificate “{which[:40]}” here.")
        if not which.isprintable():
            raise unknown
        try:
            sealed = await self._vault.get(which)
        except NotFound:
            raise unknown from None
        if sealed.record.tenant_id != _owner(call):
            raise unknown
        return sealed


def _owner(call: Call[Any, Any]) -> str | None:
    """Name whose certificates are meant: those of the tenant in the path, or the platform's."""
    return call.about.tenant.id if call.about is not None else None


async def _once(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
