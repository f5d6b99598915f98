"""Error pages: complete in themselves, so that the edge can send them when nothing else answers.

The style stands in the page, allowed by its hash in the Content-Security-Policy; nothing else is loaded.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
from markupsafe import Markup

from router.portal.forms import local_target
from router.portal.look import look_of

if TYPE_CHECKING:
    from router.portal.themes import Themes
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
    """Renders error pages in a tenant's look, or in nobody's.

    Remembers the last ``capacity`` of them by tenant, its version, status and language: 10 µs instead of 70.
    """

    def __init__(self, themes: Themes, *, capacity: int = 512) -> None:
        self._themes = themes
        self._capacity = capacity
        self._pages: OrderedDict[tuple[str, int, int, str, bool], ErrorPage] = OrderedDict()

    def render(
        self,
        tenant: Tenant | None,
        status: int,
        *,
        request_id: str = "",
        return_to: str = "/",
        language: str = "en",
    ) -> ErrorPage:
        """Give the page for ``status`` (any from 400 to 599). Never raises.

        ``request_id`` is shown as a reference, on tenants' pages only: a stranger's page is the same bytes
        for every visit. ``return_to`` is where a 401 leads back to after signing in.
        """
        reference = request_id if tenant is not None and _REQUEST_ID.fullmatch(request_id) else ""
        whose = ("", 0) if tenant is None else (tenant.id, tenant.version)
        key = (*whose, status, language, bool(reference))
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._make(tenant, status, language, referring=bool(reference))
            if len(self._pages) > self._capacity:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(key)
        return page if tenant is None else _filled(page, reference, return_to)

    def _make(self, tenant: Tenant | None, status: int, language: str, *, referring: bool) -> ErrorPage:
        try:
            return self._render(tenant, status, language, referring=referring)
        except Exception:  # noqa: BLE001 - a theme is an operator's own code: whatever it raises, answer plainly
            _log.exception("error_page_failed", status=status, tenant=tenant.id if tenant else None)
            return _plain(status)

    def _render(self, tenant: Tenant | None, status: int, language: str, *, referring: bool) -> ErrorPage:
        look = look_of(tenant, self._themes)
        style = look.palette.css() + look.theme.assets["portal.css"].body.decode().replace("\r\n", "\n")
        text = self._themes.environment.get_template(f"{look.theme.name}/error.html").render(
            look=look,
            tenant=tenant,
            language=language,
            style=Markup(style),  # noqa: S704 - a stylesheet is not text to escape; assets.py refuses "</" in it
            status=status,
            request_id=_REQUEST_MARK if referring else "",
            return_to=_RETURN_MARK,
        )
        return ErrorPage(text.encode(), _csp(style))


def _filled(page: ErrorPage, reference: str, return_to: str) -> ErrorPage:
    target = quote(local_target(return_to), safe="/")
    body = page.body.replace(_REQUEST_MARK.encode(), reference.encode())
    return ErrorPage(body.replace(_RETURN_MARK.encode(), target.encode()), page.csp)


def _csp(style: str) -> bytes:
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ).encode()


def _plain(status: int) -> ErrorPage:
    """Say the status and nothing more, with no theme at all."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{phrase}</title><h1>{phrase}</h1>'
    return ErrorPage(body.encode(), b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
