"""How a template becomes a page: in the tenant's theme, or where that fails in the default one.

A theme is an operator's own code. Whatever it raises, the visitor gets a page, and the log the cause, once
for each template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from router.portal.look import look_of
from router.portal.theme import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from router.languages.texts import Languages
    from router.portal.theme import Theme
    from router.portal.themes import Themes
    from router.tenants.tenant import Tenant

    Draw = Callable[[str, Mapping[str, object]], str]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page, and the Content-Security-Policy that allows its style and nothing that runs."""

    text: str
    csp: str


class Renderer:
    """Renders the themes' templates."""

    def __init__(self, themes: Themes) -> None:
        self.themes: Final = themes
        self._told: set[tuple[str, str]] = set()

    def languages(self, tenant: Tenant | None) -> Languages:
        """Give the languages that a tenant's pages speak: the router's, with its theme's own texts."""
        return self._theme(tenant).languages

    def render(
        self,
        tenant: Tenant | None,
        template: str,
        facts: Mapping[str, object],
        draw: Draw | None = None,
    ) -> Rendered:
        """Render ``template`` (``sign_in.html``), which is given the look and ``facts``.

        Among the facts are ``texts`` and ``language`` (portal/languages.py). ``draw`` fills in a template by
        its whole name (``default/sign_in.html``): the application's own way for a page that answers a
        request. Raises whatever the stock theme's template raises, if that fails too: a fault of ours.
        """
        theme = self._theme(tenant)
        draw = draw or self._draw
        try:
            return _rendered(theme, tenant, template, facts, draw)
        except Exception:  # noqa: BLE001 - a theme may raise anything
            if (theme.name, template) not in self._told:
                self._told.add((theme.name, template))
                _log.exception("theme_failed", theme=theme.name, template=template)
        return _rendered(self.themes.stock, tenant, template, facts, draw)

    def render_in(
        self, theme: Theme, tenant: Tenant | None, template: str, facts: Mapping[str, object]
    ) -> Rendered:
        """Render in one theme, with nothing to fall back to. Raises whatever the template does."""
        return _rendered(theme, tenant, template, facts, self._draw)

    def _draw(self, name: str, facts: Mapping[str, object]) -> str:
        return self.themes.environment.get_template(name).render(facts)

    def _theme(self, tenant: Tenant | None) -> Theme:
        return self.themes.find(DEFAULT if tenant is None else tenant.branding.theme)


def _rendered(
    theme: Theme, tenant: Tenant | None, template: str, facts: Mapping[str, object], draw: Draw
) -> Rendered:
    look = look_of(tenant, theme)
    return Rendered(draw(f"{theme.name}/{template}", {"look": look, "tenant": tenant, **facts}), look.csp)
