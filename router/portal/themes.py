"""Themes: folders of templates and static files that give the pages their look.

A theme is ``<folder>/<theme>/`` with ``theme.toml``, ``templates/`` and ``static/``; themes/README.md tells
an operator how to write one. What a theme lacks is taken from ``default``. Themes are read once, at start.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jinja2
import structlog

from router.errors import BadSettings
from router.portal.assets import Asset, Assets, read_assets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT: Final = "default"

_log = structlog.get_logger(__name__)
_THEME_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme; ``assets`` by file name, those of ``default`` included where it has none of its own."""

    name: str
    title: str
    assets: Mapping[str, Asset] = field(repr=False)

    def asset(self, name: str) -> str:
        """Say where a static file is served, for templates. Raises KeyError for one that is not there."""
        return self.assets[name].address


class Themes:
    """All themes there are, and the one Jinja environment that renders them.

    A template is named ``<theme>/<file>``; one that extends ``page.html`` gets its own theme's ``page.html``
    or, where there is none, the default theme's.
    """

    def __init__(self, themes: Sequence[Theme], loader: jinja2.BaseLoader) -> None:
        self._themes = {theme.name: theme for theme in themes}
        self._missing: set[str] = set()
        self.assets: Final = Assets(asset for theme in themes for asset in theme.assets.values())
        self.environment: Final = _Environment(
            loader=loader,
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    @classmethod
    def load(cls, own: Path | None = None) -> Themes:
        """Read the stock themes and those in ``own``, which win where both have one of a name.

        Raises ``BadSettings("bad_theme")``, which names the file at fault.
        """
        folders = _folders(stock_folder()) | (_folders(own) if own is not None else {})
        if DEFAULT not in folders:
            raise BadSettings("bad_theme", f"There is no theme “{DEFAULT}” in {stock_folder()}.")
        base = folders[DEFAULT]
        assets = read_assets(DEFAULT, base / "static")
        themes = [
            Theme(name, _title(folder), assets | read_assets(name, folder / "static"))
            for name, folder in folders.items()
        ]
        loaders = {
            name: jinja2.FileSystemLoader([folder / "templates", base / "templates"])
            for name, folder in folders.items()
        }
        found = cls(themes, _Loader(loaders))
        found._compile()
        return found

    def find(self, name: str) -> Theme:
        """Find the theme of that name, or the default one where it has gone (said once in the log)."""
        theme = self._themes.get(name)
        if theme is None and name not in self._missing:
            self._missing.add(name)
            _log.warning("theme_missing", theme=name)
        return theme or self._themes[DEFAULT]

    def _compile(self) -> None:
        for name in self.environment.list_templates():
            try:
                self.environment.get_template(name)
            except jinja2.TemplateSyntaxError as fault:
                raise BadSettings(
                    "bad_theme", f"{fault.filename}, line {fault.lineno}: {fault.message}"
                ) from fault


class _Loader(jinja2.PrefixLoader):
    # PrefixLoader's own load forgets the prefix, by which a template finds what it extends.
    load = jinja2.BaseLoader.load


class _Environment(jinja2.Environment):
    def join_path(self, template: str, parent: str) -> str:
        return f"{parent.partition('/')[0]}/{template}"


def stock_folder() -> Path:
    """Where the stock themes are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "themes"
    return packaged if packaged.is_dir() else package.parent / "themes"


def _folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise BadSettings("bad_theme", f"The folder of themes {root} does not exist.")
    found = {path.parent.name: path.parent for path in sorted(root.glob("*/theme.toml"))}
    for name in found:
        if _THEME_NAME.fullmatch(name) is None:
            raise BadSettings(
                "bad_theme", f"“{name}” cannot be a theme's name: use 1 to 40 of a to z, 0 to 9 and -."
            )
    return found


def _title(folder: Path) -> str:
    path = folder / "theme.toml"
    try:
        title = tomllib.loads(path.read_text(encoding="utf-8")).get("title")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadSettings("bad_theme", f"{path} is not valid TOML: {fault}") from fault
    if not isinstance(title, str) or not title.strip():
        raise BadSettings("bad_theme", f'{path} has no title: write title = "…".')
    return title.strip()
