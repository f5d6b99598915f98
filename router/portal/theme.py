"""One theme: a folder of templates, static files, mails and texts that says what it is in ``theme.toml``.

A theme holds only what it does differently from its parent; what neither has is taken from the stock theme
``default``, which has everything. themes/README.md tells an operator how to write one.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from router.errors import BadSettings
from router.portal.assets import Asset, read_assets, static_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.languages.texts import Languages

DEFAULT: Final = "default"
STYLE: Final = "portal.css"
"""The stylesheet that stands in every page of a theme."""

_THEME_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a ``theme.toml`` says. ``parent`` is empty for a theme that has none but the stock one."""

    title: str
    description: str
    parent: str


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme, read: ``folders`` are its own and then those it inherits from, the stock one last.

    ``assets`` are by file name, the inherited ones included; ``languages`` are those of the router with the
    theme's own texts before them.
    """

    name: str
    manifest: Manifest
    folders: tuple[Path, ...]
    assets: Mapping[str, Asset] = field(repr=False)
    languages: Languages = field(repr=False)

    @property
    def title(self) -> str:
        """What the theme is called where a person chooses one."""
        return self.manifest.title

    def asset(self, name: str) -> str:
        """Say where a static file is served, for templates. Raises LookupError for one that is not there."""
        if name not in self.assets:
            raise LookupError(f"the theme has no static file “{name}”")
        return self.assets[name].address


def read_theme(name: str, folders: Sequence[Path], languages: Languages) -> Theme:
    """Read a theme that inherits along ``folders``, its own first.

    Raises ``BadSettings`` with ``bad_theme`` or ``bad_catalogue``, which names the file at fault.
    """
    files: dict[str, Path] = {}
    for folder in reversed(folders):
        files |= static_files(folder / "static")
        languages = languages.with_own(folder / "locales")
    if STYLE not in files:
        raise BadSettings("bad_theme", f"{folders[0]} has no static/{STYLE}.")
    return Theme(name, read_manifest(folders[0]), tuple(folders), read_assets(name, files), languages)


def theme_folders(root: Path) -> dict[str, Path]:
    """List a folder's themes by name: each sub-folder with a ``theme.toml``.

    Raises ``BadSettings("bad_theme")`` where there is no such folder.
    """
    if not root.is_dir():
        raise BadSettings("bad_theme", f"The folder of themes {root} does not exist.")
    return {path.parent.name: path.parent for path in sorted(root.glob("*/theme.toml"))}


def stock_folder() -> Path:
    """Where the stock themes are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "themes"
    return packaged if packaged.is_dir() else package.parent / "themes"


def theme_exists(name: str, own: Path | None) -> bool:
    """Whether a tenant can be given the theme; in what state it is, ``theme check`` says."""
    return name in theme_folders(stock_folder()) or (own is not None and name in theme_folders(own))


def ancestry(name: str, own: Mapping[str, Path], stock: Mapping[str, Path]) -> list[Path]:
    """Say where a theme and what it inherits from are, nearest first; the stock default is always the last.

    Of two themes of one name the own one wins, and inherits from the stock one. Raises
    ``BadSettings("bad_theme")`` for a name that is none, a parent that is missing, and a circle.
    """
    if _THEME_NAME.fullmatch(name) is None:
        raise BadSettings(
            "bad_theme", f"“{name}” cannot be a theme's name: use 1 to 40 of a to z, 0 to 9 and -."
        )
    found: list[Path] = []
    while not found or found[-1] != stock[DEFAULT]:
        folder = next((each[name] for each in (own, stock) if name in each and each[name] not in found), None)
        if folder is None:
            missing = name not in own and name not in stock
            why = f"there is no theme “{name}” to inherit from" if missing else "it inherits from itself"
            raise BadSettings("bad_theme", f"{found[0] if found else name}: {why}.")
        found.append(folder)
        same = name in stock and stock[name] != folder
        name = read_manifest(folder).parent or (name if same else DEFAULT)
    return found


def read_manifest(folder: Path) -> Manifest:
    """Read a ``theme.toml``. Raises ``BadSettings("bad_theme")``, which names it."""
    path = folder / "theme.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadSettings("bad_theme", f"{path} is not valid TOML: {fault}") from fault
    texts = {name: said.pop(name, "") for name in ("title", "description", "parent")}
    if said:
        raise BadSettings("bad_theme", f"{path}: a theme has no “{next(iter(said))}”.")
    if not all(isinstance(text, str) for text in texts.values()) or not texts["title"].strip():
        raise BadSettings("bad_theme", f'{path} has no title: write title = "…".')
    return Manifest(**{name: " ".join(text.split()) for name, text in texts.items()})
