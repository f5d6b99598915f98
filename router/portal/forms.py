"""Forms of the portal: whose they are, by its own cookie and its visitor's tenant (see router/forms.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router import forms
from router.forms import CSRF_FIELD, StaleForm, check_origin, read_fields

if TYPE_CHECKING:
    from aiohttp import web

    from router.forms import Csrf
    from router.portal.visitor import Visitor

CSRF_COOKIE: Final = "__Host-portal-csrf"

_CIRCULAR: Final = ("/-/sign-in", "/-/sign-out", "/-/signed-out")


async def read_form(request: web.Request, visitor: Visitor, csrf: Csrf) -> dict[str, str]:
    """Read a posted form, each field once.

    Raises ``BadForm`` as ``check_origin`` and ``read_fields`` do, and ``StaleForm`` where the token does not
    belong to the cookie.
    """
    check_origin(request, visitor.origins)
    fields = await read_fields(request)
    if not csrf.matches(visitor.tenant.id, visitor.cookie(CSRF_COOKIE), fields.get(CSRF_FIELD, "")):
        raise StaleForm(fields)
    return fields


def local_target(raw: str) -> str:
    """Where to go after signing in to the portal: ``raw`` if it is a path on this very host, else ``/``."""
    return forms.local_target(raw, _CIRCULAR)
