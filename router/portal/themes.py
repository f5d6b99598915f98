"""All themes there are, read once at start, and the one Jinja environment that renders them.

A theme of the operator's own that has a fault is left out, with an error in the log, and its tenants get
the default one: one bad file must not keep every portal from starting. ``tenant-router theme check`` tells
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import jinja2
import structlog

from router.errors import BadSettings
from router.languages.templates import install_texts
from router.languages.texts import Languages
from router.portal.assets import Assets
from router.portal.theme import DEFAULT, Theme, ancestry, read_theme, stock_folder, theme_folders
from router.tenants.form import Offered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_STOCK: Final = "(stock)"
"""The stock default theme under a name that no other has: what every page can fall back to."""

_log = structlog.get_logger(__name__)


class Themes:
    """The themes by name, and their templates.

    A template is named ``<theme>/<file>``, with mails in ``<theme>/mails/``; one that extends ``page.html``
    gets its own theme's ``page.html`` or, where there is none, the one it inherits.
    """

    def __init__(self, themes: Sequence[Theme], stock: Theme, faults: Mapping[str, str]) -> None:
        self._themes = {theme.name: theme for theme in themes}
        self._missing: set[str] = set()
        self.stock: Final = stock
        self.faults: Final = dict(faults)
        self.assets: Final = Assets(asset for theme in (stock, *themes) for asset in theme.assets.values())
        self.environment: Final = _environment((stock, *themes))

    @classmethod
    def load(cls, own: Path | None = None, languages: Languages | None = None) -> Themes:
        """Read the stock themes and those in ``own``, which win where both have one of a name.

        ``languages`` are what they speak, the stock ones if nothing is said. ``faults`` says of each theme
        that was left out why. Raises ``BadSettings`` where ``own`` is not there at all, or a stock theme is
        broken.
        """
        stock_at, languages = theme_folders(stock_folder()), languages or Languages.load()
        if DEFAULT not in stock_at:
            raise BadSettings("bad_theme", f"There is no theme “{DEFAULT}” in {stock_folder()}.")
        stock = read_theme(_STOCK, [stock_at[DEFAULT]], languages)
        own_at = {} if own is None else theme_folders(own)
        themes, faults = [], {}
        for name in stock_at | own_at:
            try:
                theme = read_theme(name, ancestry(name, own_at, stock_at), languages)
                if name in own_at:  # the stock ones were tried before they were shipped
                    compile_theme(theme)
                themes.append(theme)
            except BadSettings as fault:
                if name not in own_at:
                    raise
                _log.error("theme_left_out", theme=name, fault=fault.sentence)
                faults[name] = fault.sentence
        return cls(themes, stock, faults)

    def __iter__(self) -> Iterator[Theme]:
        return iter(self._themes.values())

    def find(self, name: str) -> Theme:
        """Find the theme of that name, or the default one where it has gone (said once in the log)."""
        theme = self._themes.get(name)
        if theme is None and name not in self._missing:
            self._missing.add(name)
            _log.warning("theme_missing", theme=name)
        return theme or self._themes.get(DEFAULT) or self.stock

    @property
    def offered(self) -> Offered:
        """What operators may choose from."""
        spoken = (code for theme in self for code in theme.languages.codes)
        return Offered(frozenset(self._themes), frozenset(spoken))


def compile_theme(theme: Theme) -> None:
    """Compile every template of a theme. Raises ``BadSettings("bad_theme")`` with the file and the line."""
    environment = _environment([theme])
    for name in environment.list_templates():
        try:
            environment.get_template(name)
        except jinja2.TemplateSyntaxError as fault:
            at = f"{fault.filename}, line {fault.lineno}"
            raise BadSettings("bad_theme", f"{at}: {fault.message}") from fault
        except UnicodeDecodeError as fault:
            raise BadSettings("bad_theme", f"The template {name} is not UTF-8.") from fault


class _Loader(jinja2.PrefixLoader):
    # PrefixLoader's own load forgets the prefix, by which a template finds what it extends.
    load = jinja2.BaseLoader.load


class _Environment(jinja2.Environment):
    def join_path(self, template: str, parent: str) -> str:
        return f"{parent.partition('/')[0]}/{template}"


def _environment(themes: Sequence[Theme]) -> jinja2.Environment:
    environment = _Environment(
        loader=_Loader({theme.name: _loader(theme) for theme in themes}),
        autoescape=_escapes,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,  # each template is compiled once, however many themes there are
    )
    install_texts(environment)
    return environment


def _loader(theme: Theme) -> jinja2.BaseLoader:
    pages = jinja2.FileSystemLoader([folder / "templates" for folder in theme.folders])
    mails = jinja2.FileSystemLoader([folder / "mails" for folder in theme.folders])
    return jinja2.ChoiceLoader([pages, jinja2.PrefixLoader({"mails": mails})])


def _escapes(template: str | None) -> bool:
    """Everything is HTML but the text of a mail."""
    return template is None or not template.endswith(".txt")
