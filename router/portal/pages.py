"""How a page becomes an answer: rendered in the tenant's theme, with the headers every answer carries."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp_jinja2 import render_string

from router.forms import CSRF_FIELD
from router.portal.forms import CSRF_COOKIE
from router.portal.languages import VARY, language_facts, texts_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.forms import Csrf
    from router.languages.texts import Texts
    from router.portal.rendering import Renderer
    from router.portal.visitor import Visitor

BARE_CSP: Final = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
"""For what is no page: a page brings a policy that allows its own style (look.py)."""


class Pages:
    """Renders a tenant's pages from its theme, in the visitor's language, ready for a form to be sent."""

    def __init__(self, renderer: Renderer, csrf: Csrf) -> None:
        self._renderer = renderer
        self._csrf = csrf

    def show(
        self,
        request: web.Request,
        visitor: Visitor,
        template: str,
        facts: Mapping[str, object] = MappingProxyType({}),
        *,
        here: str | None = None,
        status: int = 200,
    ) -> web.Response:
        """Answer with ``template`` of the tenant's theme, which gets the look, the texts and ``facts``.

        ``here`` is the page's own address, to which a change of the language leads back; the request's,
        unless that was a form's.
        """
        cookie = visitor.cookie(CSRF_COOKIE)
        pair = self._csrf.pair(visitor.tenant.id, cookie)
        languages = self._renderer.languages(visitor.tenant)
        known = {
            **language_facts(texts_for(request, visitor, languages), languages),
            "csrf_field": CSRF_FIELD,
            "csrf": pair.token,
            "here": here if here is not None else request.raw_path,
        }
        page = self._renderer.render(
            visitor.tenant,
            template,
            known | dict(facts),
            lambda name, context: render_string(name, request, context),
        )
        headers = {"Content-Security-Policy": page.csp, "Vary": VARY}
        response = web.Response(
            status=status, text=page.text, content_type="text/html", charset="utf-8", headers=headers
        )
        if pair.cookie != cookie:
            set_cookie(response, CSRF_COOKIE, pair.cookie)
        return response

    def texts(self, request: web.Request, visitor: Visitor) -> Texts:
        """Say in which language the visitor is answered, for the mails that a form has sent."""
        return texts_for(request, visitor, self._renderer.languages(visitor.tenant))

    def speaks(self, visitor: Visitor, language: str) -> bool:
        """Whether the tenant's pages can be had in a language."""
        return language in self._renderer.languages(visitor.tenant).codes


def set_cookie(response: web.Response, name: str, value: str, *, life: int | None = None) -> None:
    """Set a ``__Host-`` cookie (RFC 6265bis section 4.1.3.2), for ``life`` seconds or the browser's session.

    SameSite=Lax, because a customer who follows a link in an e-mail is signed in all the same.
    """
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Lax", max_age=life)


def clear_cookie(response: web.Response, name: str) -> None:
    """Take a ``__Host-`` cookie away; browsers want it spelled as it was set."""
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")
