"""``/tenants/{tenant}/branding``: how a tenant's portal looks and speaks, beside its name and colour."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from router.console.pages.page import FormPage, version_in
from router.console.scopes import Scope
from router.tenants.branding import TEXTS, BrandingForm
from router.tenants.form import TenantForm
from router.tenants.pictures import MAX_UPLOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.tenants.registry import Registry

_PICTURES: Final = ("logo", "favicon")
_MOST: Final = MAX_UPLOAD + (MAX_UPLOAD >> 2)
"""Octets: one large picture at a time, and everything else."""


class BrandingPage(FormPage):
    """The form; a picture is replaced by a file, and taken away by its box."""

    path: ClassVar = "/tenants/{tenant}/branding"
    template: ClassVar = "branding.html"
    title: ClassVar = "Branding"
    section: ClassVar = "branding"
    scope: ClassVar = Scope.TENANTS_READ
    change: ClassVar = Scope.TENANTS_WRITE
    typed: ClassVar = (*TEXTS, "no_logo", "no_favicon", "version")
    files: ClassVar = _PICTURES
    said: ClassVar = MappingProxyType({"bad_theme": "theme", "unknown_theme": "theme"})
    told: ClassVar = MappingProxyType({"saved": "The branding is saved: the portal looks so from now on."})
    octets: ClassVar = _MOST

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry

    async def filled(self, call: Call) -> Mapping[str, str]:
        """Begin with how it is."""
        tenant = call.admitted.tenant
        texts = {name: str(getattr(tenant.branding, name)) for name in TEXTS}
        return texts | {"version": str(tenant.version)}

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Say what there is to choose from, and which pictures are there."""
        branding, offered = call.admitted.tenant.branding, self._registry.offered
        return {
            "pictures": {kind: getattr(branding, kind) for kind in _PICTURES},
            "themes": _options(offered.themes if offered else (), branding.theme),
            "languages": [("", "as the platform"), *_options(offered.languages if offered else (), "")],
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Save what was filled in; a text that was emptied is taken away."""
        given: dict[str, Any] = {name: sent[name] for name in TEXTS}
        given |= {kind: _picture(sent, kind) for kind in _PICTURES}
        await self._registry.change(
            call.admitted.tenant.slug,
            TenantForm(branding=BrandingForm(**given)),
            actor=call.actor,
            version=version_in(sent),
        )
        return self.done(call, "saved")


def _picture(sent: Sent, kind: str) -> bytes | None:
    """Read a picture: the file's octets, nothing at all to take it away, None to leave it."""
    if kind in sent.files:
        return sent.files[kind].body
    return b"" if sent[f"no_{kind}"] == "yes" else None


def _options(offered: Iterable[str], present: str) -> list[tuple[str, str]]:
    """Offer them by name, and what the tenant has although it is not offered any more."""
    return [(name, name) for name in sorted({*offered, present} - {""})]
