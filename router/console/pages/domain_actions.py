"""What is done to a tenant's claim to a hostname: looked for, behind a CDN or not, given up, decided about.

Buttons do what can be taken back; what cannot, and what wants a reason, has a page that asks once more.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.pages.domain import DOMAIN, hostnames_of
from router.console.pages.page import Action, FormPage, version_in
from router.console.scopes import Scope
from router.errors import NotFound
from router.tenants.form import TenantForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.pages.page import Call, Desk, Page
    from router.console.pages.uploads import Sent
    from router.tenants.domains import Domains
    from router.tenants.registry import Registry

ONE: Final = DOMAIN + "/{hostname}"


class OfDomain(Action):
    """Something that is done to a claim of the tenant's."""

    back: ClassVar = DOMAIN
    change: ClassVar = Scope.DOMAINS_WRITE

    def __init__(self, desk: Desk, domains: Domains) -> None:
        super().__init__(desk)
        self._domains = domains


class VerifyAction(OfDomain):
    """Look for the proof now."""

    path: ClassVar = ONE + "/verify"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Ask the DNS, which takes some seconds where it is silent."""
        await self._domains.verify(call.path["hostname"], slug=call.admitted.tenant.slug, actor=call.actor)
        return self.done(call, "looked")


class CdnAction(Action):
    """Note that a CDN stands before a hostname, or no more."""

    path: ClassVar = ONE + "/cdn"
    back: ClassVar = DOMAIN
    change: ClassVar = Scope.DOMAINS_WRITE
    typed: ClassVar = ("behind_cdn", "version")

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Note it."""
        hostname, behind = call.path["hostname"], sent["behind_cdn"] == "yes"
        if hostname not in hostnames_of(call):
            raise _not_claimed()
        form = TenantForm(external_domain=hostname, behind_cdn=behind)
        slug = call.admitted.tenant.slug
        await self._registry.change(slug, form, actor=call.actor, version=version_in(sent))
        return self.done(call, "cdn")


class UnblockAction(OfDomain):
    """Take a refusal back."""

    path: ClassVar = ONE + "/unblock"
    change: ClassVar = Scope.DOMAINS_VOUCH

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Take it back."""
        await self._domains.unblock(call.path["hostname"], slug=call.admitted.tenant.slug, actor=call.actor)
        return self.done(call, "unblocked")


class ResumeDomainAction(OfDomain):
    """Switch a hostname on again."""

    path: ClassVar = ONE + "/resume"
    change: ClassVar = Scope.DOMAINS_VOUCH

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Switch it on."""
        await self._domains.resume(call.path["hostname"], slug=call.admitted.tenant.slug, actor=call.actor)
        return self.done(call, "resumed")


class Decision(FormPage):
    """A page that asks once more, or for a reason, before something is done to a claim.

    ``explained`` says what comes of it, ``button`` does it; ``danger`` is whether the tenant loses by it.
    """

    template: ClassVar = "domain_decision.html"
    section: ClassVar = "domain"
    danger: ClassVar[bool] = True
    explained: ClassVar[str]
    button: ClassVar[str]

    def __init__(self, desk: Desk, domains: Domains, registry: Registry) -> None:
        super().__init__(desk)
        self._domains = domains
        self._registry = registry

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Say what it is about."""
        if call.path["hostname"] not in hostnames_of(call):
            raise _not_claimed()
        return {
            "hostname": call.path["hostname"],
            "explained": self.explained,
            "button": self.button,
            "asks": "reason" in self.required,
            "danger": self.danger,
            "back": call.address(DOMAIN),
        }


class ReasonedDecision(Decision):
    """One that is a platform operator's, who says why."""

    scope: ClassVar = Scope.DOMAINS_VOUCH
    typed: ClassVar = ("reason",)
    required: ClassVar = ("reason",)
    said: ClassVar = MappingProxyType({"bad_reason": "reason"})


class ReleasePage(Decision):
    """Give a hostname up."""

    path: ClassVar = ONE + "/release"
    title: ClassVar = "Give the hostname up"
    scope: ClassVar = Scope.DOMAINS_WRITE
    explained: ClassVar = (
        "It stops answering as the tenant's at once, and customers use the address under the platform's "
        "domain. To have it back, it is claimed and proved again."
    )
    button: ClassVar = "Give it up"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Give it up."""
        await self._domains.release(call.path["hostname"], slug=call.admitted.tenant.slug, actor=call.actor)
        return self.done(call, "released", DOMAIN)


class VouchPage(ReasonedDecision):
    """Make a claim active by a platform operator's word."""

    path: ClassVar = ONE + "/vouch"
    title: ClassVar = "Vouch for the hostname"
    danger: ClassVar = False
    explained: ClassVar = (
        "It is active at once, without proof, and stays so until it is given up: the DNS is not asked any "
        "more. The tenant's former hostname is released."
    )
    button: ClassVar = "Vouch for it"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Vouch for it."""
        hostname, slug = call.path["hostname"], call.admitted.tenant.slug
        await self._registry.activate_domain(hostname, reason=sent["reason"], slug=slug, actor=call.actor)
        return self.done(call, "vouched", DOMAIN)


class BlockPage(ReasonedDecision):
    """Refuse a claim."""

    path: ClassVar = ONE + "/block"
    title: ClassVar = "Refuse the hostname"
    explained: ClassVar = "The tenant cannot have it, whatever its DNS says, until that is taken back."
    button: ClassVar = "Refuse it"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Refuse it."""
        hostname, slug = call.path["hostname"], call.admitted.tenant.slug
        await self._domains.block(hostname, reason=sent["reason"], slug=slug, actor=call.actor)
        return self.done(call, "blocked", DOMAIN)


class SuspendDomainPage(ReasonedDecision):
    """Switch a hostname off."""

    path: ClassVar = ONE + "/suspend"
    title: ClassVar = "Switch the hostname off"
    explained: ClassVar = "It answers nobody, but stays the tenant's: no other can have it meanwhile."
    button: ClassVar = "Switch it off"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Switch it off."""
        hostname, slug = call.path["hostname"], call.admitted.tenant.slug
        await self._domains.suspend(hostname, reason=sent["reason"], slug=slug, actor=call.actor)
        return self.done(call, "suspended", DOMAIN)


def domain_actions(desk: Desk, domains: Domains, registry: Registry) -> tuple[Page, ...]:
    """Make all of them."""
    return (
        VerifyAction(desk, domains),
        CdnAction(desk, registry),
        UnblockAction(desk, domains),
        ResumeDomainAction(desk, domains),
        ReleasePage(desk, domains, registry),
        VouchPage(desk, domains, registry),
        BlockPage(desk, domains, registry),
        SuspendDomainPage(desk, domains, registry),
    )


def _not_claimed() -> NotFound:
    return NotFound("claim_not_found", "The tenant does not claim this hostname.")
