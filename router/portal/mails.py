"""The mails that customers and tenants get, in the words of the tenant's theme: subject, text and HTML.

Which mails there are, and what each tells, is in identity/letters.py; those about a tenant's own hostname are
in tenants/course.py. A link leads to the tenant's own
hostname as the database has it: nothing of a request gets into a mail.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from typing import TYPE_CHECKING, Final

from router.errors import NotFound
from router.hostname import port_suffix
from router.mail.message import Composed
from router.portal.look import IMAGES
from router.tenants.tenant import Branding, Tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from router.hostname import Hostname
    from router.portal.rendering import Renderer
    from router.tenants.tenant import Image

MAIL_KINDS: Final[Mapping[str, str]] = {
    "invitation": "/-/invitation",
    "registration": "/-/confirm",
    "already-registered": "/-/sign-in",
    "reset": "/-/reset",
    "password-changed": "/-/forgot",
    "confirm-email": "/-/confirm-email",
    "email-change-asked": "/-/forgot",
    "email-changed": "",
    "domain-active": "",
    "domain-unproved": "",
    "domain-lost": "",
    "domain-released": "",
    "domain-displaced": "",
    "domain-conflict": "",
    "certificate-expiring": "",
    "certificate-expired": "",
    "certificates-ending": "",
}
"""Each kind of mail, and the page that its button leads to; the token of a one-time link goes with it."""

_WIDTH: Final = 76
_LOGO_BOX: Final = (200, 56)
"""Pixels that a logo takes up in a mail at most."""
_PLATFORM_COLOUR: Final = "#33475b"
_MAIL_IMAGES: Final = ("image/png", "image/jpeg")
"""Mail programs show no SVG."""
_GAP = re.compile(r"\n{3,}")


class Mails:
    """Composes mails. ``find`` reads a tenant by its id; ``public_port`` is the one customers are to use.

    ``platform_domain`` heads what is about no tenant, but the platform's own.
    """

    def __init__(
        self,
        renderer: Renderer,
        find: Callable[[str], Awaitable[Tenant | None]],
        *,
        public_port: int,
        platform_domain: Hostname | None = None,
    ) -> None:
        self._renderer = renderer
        self._find = find
        self._platform = _of_platform(platform_domain) if platform_domain else None
        self._port = port_suffix(public_port)

    async def compose(
        self, tenant_id: str | None, kind: str, language: str, facts: Mapping[str, str | int]
    ) -> Composed:
        """Compose one mail as the tenant and its theme are now; without a tenant, in the platform's name.

        Raises ``NotFound`` with ``tenant_not_found`` or ``mail_unknown``, ``Unavailable`` where the tenant
        cannot be read, and whatever the stock theme's template raises.
        """
        tenant = self._platform if tenant_id is None else await self._find(tenant_id)
        if tenant is None:
            raise NotFound("tenant_not_found", f"There is no tenant {tenant_id}: it gets no mails any more.")
        # A template that is used for the first time is compiled, which takes some 20 ms.
        return await asyncio.to_thread(self.render, tenant, kind, language, facts)

    def render(self, tenant: Tenant, kind: str, language: str, facts: Mapping[str, str | int]) -> Composed:
        """Compose a mail for a tenant that is at hand. Raises as ``compose``."""
        if kind not in MAIL_KINDS:
            raise NotFound("mail_unknown", f"There is no mail “{kind}”.")
        known = self.facts(tenant, kind, language, facts)
        html = self._renderer.render(tenant, f"mails/{kind}.html", known)
        return composed(tenant, html.text, self._renderer.render(tenant, f"mails/{kind}.txt", known).text)

    def facts(
        self, tenant: Tenant, kind: str, language: str, facts: Mapping[str, str | int]
    ) -> dict[str, object]:
        """Say all that a mail's templates know besides the look."""
        texts = self._renderer.languages(tenant).texts(language or tenant.branding.language)
        portal_url = f"https://{tenant.hostname}{self._port}"
        path, token = MAIL_KINDS[kind], facts.get("token", "")
        link = portal_url + path + (f"?t={token}" if token else "") if path else ""
        return {
            **facts,
            "texts": texts,
            "language": texts.code,
            "portal_url": portal_url,
            "link": link,
            **_logo_facts(tenant.branding.logo, portal_url),
        }


def _of_platform(domain: Hostname) -> Tenant:
    """Stand in for a tenant where a mail is about the platform's own."""
    return Tenant("", "", domain, Branding(domain, _PLATFORM_COLOUR), ())


def _logo_facts(logo: Image | None, portal_url: str) -> dict[str, object]:
    """Say where the logo is, and how large it is to be; a mail without one is headed by the name."""
    if logo is None or logo.content_type not in _MAIL_IMAGES:
        return {"logo_address": "", "logo_width": 0, "logo_height": 0}
    scale = min(1.0, _LOGO_BOX[0] / logo.width, _LOGO_BOX[1] / logo.height)
    return {
        "logo_address": portal_url + IMAGES + logo.fingerprint,
        "logo_width": max(1, round(logo.width * scale)),
        "logo_height": max(1, round(logo.height * scale)),
    }


def composed(tenant: Tenant, html: str, text: str) -> Composed:
    """Put a mail together of what its two templates rendered: the text's first line is the subject."""
    subject, body = _parted(text)
    brand = tenant.branding
    return Composed(subject, body, html, name=brand.shown_name, reply_to=brand.reply_to)


def _parted(raw: str) -> tuple[str, str]:
    """Part the subject, which is the first line, from the text, and bring the text's lines to length."""
    subject, _, text = raw.strip().partition("\n")
    lines = [
        textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
        if len(line) > _WIDTH
        else line
        for line in text.splitlines()
    ]
    return subject.strip(), _GAP.sub("\n\n", "\n".join(lines)).strip() + "\n"
