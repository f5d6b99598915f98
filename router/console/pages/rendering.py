"""How a page becomes an answer: rendered in the console's frame, with the fields each answer carries."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import jinja2
from aiohttp import web
from aiohttp_jinja2 import render_string
from markupsafe import Markup

from router.console.pages.navigation import ACCOUNT, navigation
from router.console.pages.signed_in import CSRF_COOKIE, SIGNED_IN, VISITOR
from router.forms import CSRF_FIELD

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from router.console.access import Admitted
    from router.console.pages.signed_in import SignedIn
    from router.console.pages.static_files import StaticFiles
    from router.forms import Csrf

PRODUCT: Final = "tenant-router"

CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Everything is a file of ours: nothing stands inside a page that could be taken for it."""


class Pages:
    """Renders pages in the frame. ``mounted`` are the keys of the sections that have a page."""

    def __init__(self, csrf: Csrf, mounted: Collection[str]) -> None:
        self._csrf = csrf
        self.mounted: Final = mounted

    def show(
        self,
        request: web.Request,
        template: str,
        facts: Mapping[str, object] = MappingProxyType({}),
        *,
        about: Admitted | None = None,
        status: int = 200,
    ) -> web.Response:
        """Answer with a template, which gets the frame's facts and ``facts``."""
        visitor, signed_in = request[VISITOR], request.get(SIGNED_IN)
        cookie = visitor.cookie(CSRF_COOKIE)
        pair = self._csrf.pair(csrf_place(signed_in), cookie)
        principal = signed_in.principal if signed_in is not None else None
        slug, name = (about.tenant.slug, about.tenant.branding.name) if about is not None else (None, "")
        known = {
            "product": PRODUCT,
            "me": signed_in,
            "account": ACCOUNT,
            "about": about,
            "groups": navigation(principal, slug, name, self.mounted) if principal is not None else (),
            "section": "",
            "notice": "",
            "csrf_field": CSRF_FIELD,
            "csrf": pair.token,
        }
        text = render_string(template, request, known | dict(facts))
        response = web.Response(status=status, text=text, content_type="text/html", charset="utf-8")
        if pair.cookie != cookie:
            set_cookie(response, CSRF_COOKIE, pair.cookie)
        return response


def csrf_place(signed_in: SignedIn | None) -> str:
    """Say what a form's token is made for: the session, so that it ends with it."""
    return "stranger" if signed_in is None else signed_in.session.id


def environment(static: StaticFiles) -> jinja2.Environment:
    """Make the Jinja environment of the console's templates."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("router.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["static"] = static.address
    made.filters["when"] = when
    return made


def when(unix: float | None) -> Markup:
    """Write a time for people and programs, in UTC; a dash for none."""
    if unix is None:
        return Markup("&ndash;")
    at = datetime.fromtimestamp(unix, UTC)
    shown, exact = f"{at.day} {at:%b %Y, %H:%M} UTC", at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{}</time>').format(exact, shown)


def set_cookie(response: web.Response, name: str, value: str) -> None:
    """Set a ``__Host-`` cookie for as long as the browser is open."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")


def clear_cookie(response: web.Response, name: str) -> None:
    """Take a ``__Host-`` cookie away; browsers want it spelled as it was set."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")
