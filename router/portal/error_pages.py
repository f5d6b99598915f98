"""Error pages: complete in themselves, so that the edge can send them when nothing else answers.

The style stands in the page, allowed by its hash in the Content-Security-Policy; nothing else is loaded but
the tenant's logo, whose place its name takes when it does not come.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog

from router.portal.forms import local_target

if TYPE_CHECKING:
    from router.portal.rendering import Renderer
    from router.tenants.tenant import Tenant

_log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# What differs between two visits stands in the cached page as a mark and is put in at the end.
_REQUEST_MARK: Final = "request-id-stands-here"
_RETURN_MARK: Final = "return-target-stands-here"


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """An HTML page in UTF-8 and the Content-Security-Policy to send it with."""

    body: bytes
    csp: bytes


class ErrorPages:
    """Gives error pages in a tenant's look, or in nobody's.

    Remembers the last ``capacity`` of them by tenant, its version, status, cause and language: 10 µs instead
    of 70.
    """

    def __init__(self, renderer: Renderer, *, capacity: int = 512) -> None:
        self._renderer = renderer
        self._capacity = capacity
        self._pages: OrderedDict[tuple[str, int, int, str, str, bool], ErrorPage] = OrderedDict()

    def render(
        self,
        tenant: Tenant | None,
        status: int,
        *,
        code: str = "",
        request_id: str = "",
        return_to: str = "/",
        cookie: str | None = None,
        accept: str = "",
    ) -> ErrorPage:
        """Give the page for ``status`` (any from 400 to 599). Never raises.

        ``code`` is the cause, for those that are told apart from others of the same status. ``request_id`` is
        shown as a reference, on tenants' pages only: a stranger's page is the same bytes for every visit.
        ``return_to`` is where the page leads back to, after signing in or choosing a customer. ``cookie``
        (that of the language switcher) and ``accept`` (Accept-Language) say which language is wanted.
        """
        language = self._renderer.languages(tenant).choose(
            cookie=cookie, accept=accept, tenant=tenant.branding.language if tenant is not None else None
        )
        reference = request_id if tenant is not None and _REQUEST_ID.fullmatch(request_id) else ""
        whose = ("", 0) if tenant is None else (tenant.id, tenant.version)
        key = (*whose, status, code, language, bool(reference))
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._make(tenant, status, code, language, referring=bool(reference))
            if len(self._pages) > self._capacity:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(key)
        return page if tenant is None else _filled(page, reference, return_to)

    def _make(
        self, tenant: Tenant | None, status: int, code: str, language: str, *, referring: bool
    ) -> ErrorPage:
        try:
            return self._render(tenant, status, code, language, referring=referring)
        except Exception:  # noqa: BLE001 - whatever the stock theme raises after the tenant's own: answer plainly
            _log.exception("error_page_failed", status=status, tenant=tenant.id if tenant else None)
            return _plain(status)

    def _render(
        self, tenant: Tenant | None, status: int, code: str, language: str, *, referring: bool
    ) -> ErrorPage:
        texts = self._renderer.languages(tenant).texts(language)
        facts = {
            "texts": texts,
            "language": texts.code,
            "status": status,
            "code": code,
            "request_id": _REQUEST_MARK if referring else "",
            "return_to": _RETURN_MARK,
        }
        page = self._renderer.render(tenant, "error.html", facts)
        return ErrorPage(page.text.encode(), page.csp.encode())


def _filled(page: ErrorPage, reference: str, return_to: str) -> ErrorPage:
    target = quote(local_target(return_to), safe="/")
    body = page.body.replace(_REQUEST_MARK.encode(), reference.encode())
    return ErrorPage(body.replace(_RETURN_MARK.encode(), target.encode()), page.csp)


def _plain(status: int) -> ErrorPage:
    """Say the status and nothing more, with no theme at all."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{phrase}</title><h1>{phrase}</h1>'
    return ErrorPage(body.encode(), b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
