"""A preview of the sign-in page: for operators who try out a colour, before any customer sees it.

It is the page that the tenant's theme makes, in the scheme that is asked for instead of the browser's, and
dead: nothing in it can be clicked, sent, focused or run. What it needs stands in it, for the tenant's own
addresses (pictures, the theme's files) lead nowhere from where it is shown.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final, Literal

from router.portal.form_page import Form
from router.portal.languages import language_facts
from router.portal.look import IMAGES
from router.tenants.picture_rows import find_picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.portal.rendering import Renderer
    from router.storage.database import Database
    from router.tenants.tenant import Image, Tenant

Scheme = Literal["light", "dark"]

_NEVER: Final = "(max-width:0)"
_ALWAYS: Final = "(min-width:0)"
_ASKED: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)")
_BOTH: Final = re.compile(r"\blight dark\b|\bdark light\b")
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class Preview:
    """Renders it; the pictures are read from ``database``."""

    def __init__(self, renderer: Renderer, database: Database) -> None:
        self._renderer = renderer
        self._database = database

    async def page(self, tenant: Tenant, scheme: Scheme) -> tuple[str, str]:
        """Render the sign-in page of a tenant as it is, or as it would be; and its Content-Security-Policy.

        That lets it stand in a frame of the page's own site and do nothing. Raises ``Unavailable``.
        """
        languages = self._renderer.languages(tenant)
        texts = languages.texts(languages.choose(tenant=tenant.branding.language))
        facts = {
            **language_facts(texts, languages),
            "csrf_field": "csrf",
            "csrf": "",
            "here": "",
            "action": "",
            "form": Form(),
            "done": "",
        }
        text = self._renderer.render(tenant, "sign_in.html", facts).text
        text = _STYLE.sub(lambda found: _in_scheme(found[0], scheme), text, count=1)
        text = text.replace("<body", "<body inert", 1).replace(" autofocus", "")
        return _sealed(text, await self._inlined(tenant, text))

    async def _inlined(self, tenant: Tenant, text: str) -> dict[str, str]:
        """Give what the page refers to as ``data:`` addresses (RFC 2397), by its address at the portal."""
        theme = self._renderer.themes.find(tenant.branding.theme)
        found = {
            asset.address: _data(asset.content_type, asset.body)
            for asset in theme.assets.values()
            if asset.address in text
        }
        for image in (tenant.branding.logo, tenant.branding.favicon):
            if image is not None and IMAGES + image.fingerprint in text:
                found[IMAGES + image.fingerprint] = await self._picture(tenant, image)
        return found

    async def _picture(self, tenant: Tenant, image: Image) -> str:
        async with self._database.read() as connection:
            stored = await find_picture(connection, tenant.id, image.fingerprint)
        return _data(*stored) if stored is not None else ""


def _in_scheme(style: str, scheme: Scheme) -> str:
    """Have a stylesheet be of one scheme, whatever the browser prefers."""
    style = _ASKED.sub(lambda asked: _ALWAYS if asked[1] == scheme else _NEVER, style)
    return _BOTH.sub(scheme, style)


def _sealed(text: str, inlined: Mapping[str, str]) -> tuple[str, str]:
    for address, data in inlined.items():
        text = text.replace(address, data)
    styles = " ".join(f"'sha256-{_digest(style)}'" for style in _STYLE.findall(text)) or "'none'"
    csp = (
        f"default-src 'none'; style-src {styles}; img-src data:; font-src data:; "
        "form-action 'none'; frame-ancestors 'self'; base-uri 'none'; sandbox"
    )
    return text, csp


def _digest(style: str) -> str:
    return b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _data(content_type: str, body: bytes) -> str:
    return f"data:{content_type};base64,{b64encode(body).decode()}"
