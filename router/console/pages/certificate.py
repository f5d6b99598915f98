"""*Certificate*: a tenant's certificates, and the platform's own; judged at once, taken in, gone back from.

The two pages are one, for the same is done: the classes for a tenant have its name in their paths, those for
the platform begin with ``Platform``. What was uploaded is never shown again, for a key is in it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from aiohttp import web
from aiohttp_jinja2 import render_string

from router.certificates.bundle import remarks_on
from router.certificates.faults import REFUSALS
from router.certificates.gather import gather
from router.console.pages.certificate_views import drawn, filed, shown
from router.console.pages.page import Action, Fault, Faulty, Form, FormPage, Page
from router.console.scopes import Scope
from router.errors import BadInput, Conflict, NotFound, RouterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import SealedCertificate
    from router.certificates.standings import Standings
    from router.certificates.uploads import Uploads, Verdict
    from router.certificates.vault import Vault
    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.console.use_cases import UseCases

OF_TENANT: Final = "/tenants/{tenant}/certificate"
OF_PLATFORM: Final = "/certificates"

_MOST: Final = 1 << 20
"""Octets of a form, which the edge lets through: files that are too large are told so at their field."""

_MOST_PHRASE: Final = 1000
_PEM: Final = "-----BEGIN "
_OF_THE_PHRASE: Final = frozenset({"passphrase_needed", "wrong_passphrase", "passphrase_too_costly"})
_TOLD: Final = MappingProxyType(
    {
        "uploaded": "The certificate is taken in, and served within a second where its hostname is active.",
        "rolled-back": "The former certificate serves again.",
        "deleted": "The certificate is deleted, with its key.",
    }
)


class CertificatePage(FormPage):
    """``/tenants/{tenant}/certificate``: the list, and the form that takes one in or only judges it."""

    path: ClassVar = OF_TENANT
    template: ClassVar = "certificate.html"
    title: ClassVar = "Certificate"
    section: ClassVar = "certificate"
    scope: ClassVar = Scope.CERTIFICATES_READ
    change: ClassVar = Scope.CERTIFICATES_WRITE
    files: ClassVar = ("files",)
    octets: ClassVar = _MOST
    told: ClassVar = _TOLD

    def __init__(
        self,
        desk: Desk,
        uploads: Uploads,
        vault: Vault,
        standings: Standings,
        folder: CertificateFolder,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(desk)
        self._folder = folder
        self._uploads = uploads
        self._vault = vault
        self._standings = standings
        self._clock = clock

    async def facts(self, call: Call) -> Mapping[str, object]:
        """List the certificates, the newest first, and the hostnames that one is for."""
        found = await self._vault.of(owner(call))
        standings, now = await self._standings.of(found), self._clock()
        claims = call.about.record.claims if call.about is not None else ()
        live = [each for each in claims if each.state != "released"]
        named = None if call.about is None else [each.hostname for each in live]
        return {
            "filed": filed(self._folder.list(), named),
            "folder_faults": self._folder.faults() if named is None else {},
            "certificates": shown(found, standings, call.address(self.path), now),
            "hostnames": [each.hostname for each in live if each.kind == "external"],
            "of_tenant": call.about is not None,
            "may_change": call.principal.may(Scope.CERTIFICATES_WRITE),
            "verdict": None,
            "too_large": REFUSALS["too_large"],
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Judge what was sent, and keep it unless it was to be judged only."""
        whose = owner(call)
        with _told_where_it_came_from(sent):
            data, key, phrase = _read(sent)
            if sent["do"] == "check":
                verdict = await self._uploads.judge(data, key, passphrase=phrase, tenant_id=whose)
                return await self.page(call, Form(), _found(verdict, call))
            await self._uploads.upload(data, key, passphrase=phrase, tenant_id=whose, actor=call.actor)
        return self.done(call, "uploaded")

    def _field(self, fault: RouterError) -> str:
        return "passphrase" if fault.code in _OF_THE_PHRASE else fault.field or "files"


class PlatformCertificatePage(CertificatePage):
    """``/certificates``: the platform's own."""

    path: ClassVar = OF_PLATFORM
    title: ClassVar = "The platform's certificates"
    section: ClassVar = "certificates"
    platform: ClassVar = True


class CertificateCheck(CertificatePage):
    """``…/certificate/check``: the verdict about what was chosen, for the page's script; stores nothing."""

    path: ClassVar = OF_TENANT + "/check"
    template: ClassVar = "certificate_verdict.html"
    scope: ClassVar = Scope.CERTIFICATES_WRITE

    def routes(self) -> list[web.RouteDef]:
        """Answer to what is sent only."""
        return [web.post(self.path, self.submit)]

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Judge it, and answer with the verdict as the page shows it."""
        with _told_where_it_came_from(sent):
            data, key, phrase = _read(sent)
            verdict = await self._uploads.judge(data, key, passphrase=phrase, tenant_id=owner(call))
        text = render_string(self.template, call.request, _found(verdict, call))
        return web.json_response({"faults": {}, "verdict": text})

    async def failed(
        self,
        call: Call,  # noqa: ARG002 - no page is shown
        form: Form,  # noqa: ARG002 - no page is shown
        fault: Faulty | RouterError,
    ) -> web.Response:
        """Answer with the faults by field."""
        match fault:
            case Faulty():
                faults = fault.faults
            case BadInput():
                faults = {self._field(each): Fault(each.code, each.sentence) for each in fault.faults}
            case _:
                raise fault
        told = {name: {"code": each.code, "sentence": each.sentence} for name, each in faults.items()}
        return web.json_response({"faults": told, "verdict": ""})


class PlatformCertificateCheck(CertificateCheck):
    """``/certificates/check``."""

    path: ClassVar = OF_PLATFORM + "/check"
    platform: ClassVar = True


class OneCertificatePage(Page):
    """``…/certificate/{id}``: one with its chain, its names, its dates, and what is to be said of it."""

    path: ClassVar = OF_TENANT + "/{id}"
    template: ClassVar = "certificate_one.html"
    title: ClassVar = "Certificate"
    section: ClassVar = "certificate"
    scope: ClassVar = Scope.CERTIFICATES_READ
    back: ClassVar = OF_TENANT

    def __init__(
        self, desk: Desk, vault: Vault, standings: Standings, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(desk)
        self._vault = vault
        self._standings = standings
        self._clock = clock

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read it; what it took the place of is among its owner's others."""
        sealed, now = await one(call, self._vault), self._clock()
        others = await self._vault.of(owner(call))
        chain, warnings = remarks_on(sealed.chain_pem, now)
        standings = await self._standings.of([sealed.record])
        standings |= {each.id: standings[sealed.record.id] for each in others if each.id not in standings}
        every = shown(others, standings, call.address(self.back), now)
        return {
            "it": next(each for each in every if each.record.id == sealed.record.id),
            "chain": drawn(chain),
            "warnings": warnings,
            "back": call.address(self.back),
            "may_change": call.principal.may(Scope.CERTIFICATES_WRITE),
        }


class PlatformOneCertificatePage(OneCertificatePage):
    """``/certificates/{id}``."""

    path: ClassVar = OF_PLATFORM + "/{id}"
    section: ClassVar = "certificates"
    platform: ClassVar = True
    back: ClassVar = OF_PLATFORM


class RollbackAction(Action):
    """Have a certificate give way to what it took the place of, or a superseded one serve again."""

    path: ClassVar = OF_TENANT + "/{id}/rollback"
    back: ClassVar = OF_TENANT
    scope: ClassVar = Scope.CERTIFICATES_WRITE

    def __init__(self, desk: Desk, vault: Vault) -> None:
        super().__init__(desk)
        self._vault = vault

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Go back."""
        sealed = await one(call, self._vault)
        await self._vault.roll_back(sealed.record.id, actor=call.actor)
        return self.done(call, "rolled-back")


class PlatformRollbackAction(RollbackAction):
    """The same for the platform's."""

    path: ClassVar = OF_PLATFORM + "/{id}/rollback"
    platform: ClassVar = True
    back: ClassVar = OF_PLATFORM


class DeleteCertificatePage(FormPage):
    """``…/certificate/{id}/delete``: asks once more, and twice where hostnames would be without any."""

    path: ClassVar = OF_TENANT + "/{id}/delete"
    template: ClassVar = "certificate_delete.html"
    title: ClassVar = "Delete the certificate"
    section: ClassVar = "certificate"
    scope: ClassVar = Scope.CERTIFICATES_WRITE
    typed: ClassVar = ("even_the_last",)
    back: ClassVar = OF_TENANT

    def __init__(self, desk: Desk, vault: Vault) -> None:
        super().__init__(desk)
        self._vault = vault

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Say which one."""
        return {"record": (await one(call, self._vault)).record, "back": call.address(self.back)}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Delete it for good."""
        sealed, even = await one(call, self._vault), sent["even_the_last"] == "yes"
        try:
            await self._vault.delete(sealed.record.id, actor=call.actor, even_the_last=even)
        except Conflict as fault:
            if fault.code != "last_certificate":
                raise
            what = fault.sentence.partition(":")[0].replace(sealed.record.id, "This")
            said = f"{what}: upload another first, or tick the box to leave them without one."
            raise Faulty({"even_the_last": Fault(fault.code, said)}, status=409) from fault
        return self.done(call, "deleted", self.back)


class PlatformDeleteCertificatePage(DeleteCertificatePage):
    """The same for the platform's."""

    path: ClassVar = OF_PLATFORM + "/{id}/delete"
    section: ClassVar = "certificates"
    platform: ClassVar = True
    back: ClassVar = OF_PLATFORM


def certificate_pages(desk: Desk, use_cases: UseCases) -> tuple[Page, ...]:
    """Make all of them."""
    uploads, vault, standings = use_cases.uploads, use_cases.vault, use_cases.standings
    folder = use_cases.certificate_folder
    return (
        CertificatePage(desk, uploads, vault, standings, folder),
        CertificateCheck(desk, uploads, vault, standings, folder),
        OneCertificatePage(desk, vault, standings),
        RollbackAction(desk, vault),
        DeleteCertificatePage(desk, vault),
        PlatformCertificatePage(desk, uploads, vault, standings, folder),
        PlatformCertificateCheck(desk, uploads, vault, standings, folder),
        PlatformOneCertificatePage(desk, vault, standings),
        PlatformRollbackAction(desk, vault),
        PlatformDeleteCertificatePage(desk, vault),
    )


def owner(call: Call) -> str | None:
    """Name whose certificates are meant: those of the tenant in the path, or the platform's."""
    return call.about.tenant.id if call.about is not None else None


async def one(call: Call, vault: Vault) -> SealedCertificate:
    """Find the certificate in the path. Raises ``NotFound``, for another owner's too."""
    which = call.path["id"]
    unknown = NotFound("no_such_certificate", "There is no such certificate here.")
    if not which.isprintable():
        raise unknown
    sealed = await vault.get(which)
    if sealed.record.tenant_id != owner(call):
        raise unknown
    return sealed


def _found(verdict: Verdict, call: Call) -> Mapping[str, object]:
    """Tell what was found; the address under the platform's domain has the platform's certificate."""
    claims = call.about.record.claims if call.about is not None else ()
    own = [each.hostname for each in claims if each.kind == "external"]
    missed = [name for name in verdict.not_covered if name in own]
    return {"verdict": verdict, "chain": drawn(verdict.bundle.chain), "missed": missed}


@contextmanager
def _told_where_it_came_from(sent: Sent) -> Iterator[None]:
    """Tell what is wrong at the field that brought it.

    Of files and a text at once, the text is at fault if it is nothing that a certificate or key can be
    pasted as; else the files are, which the pasted rest was added to.
    """
    try:
        yield
    except BadInput as fault:
        pasted = sent["pasted"].strip()
        is_its = pasted and ("files" not in sent.files or _PEM not in pasted)
        for each in fault.faults:
            each.field = "pasted" if is_its else "files"
        raise


def _read(sent: Sent) -> tuple[bytes, bytes | None, bytes | None]:
    """Read what was chosen and pasted, put together, and the pass phrase.

    Raises ``Faulty``, ``BadBundle``.
    """
    first = sent.files.get("files")
    pieces = [each.body for each in (first, *first.beside)] if first is not None else []
    if sent["pasted"].strip():
        pieces.append(sent["pasted"].encode())
    if not pieces:
        sentence = "Choose the certificate's files and its key, or paste them."
        raise Faulty({"files": Fault("files_missing", sentence)})
    phrase = sent["passphrase"][:_MOST_PHRASE].encode() or None
    data, key = gather(pieces)
    return data, key, phrase
