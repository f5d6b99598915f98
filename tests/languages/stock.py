"""What the router says in English, found as ``make texts`` finds it, and its catalogues as they are kept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

ROOT = Path(__file__).resolve().parent.parent.parent
LOCALES = ROOT / "router" / "languages" / "locales"
CODES = tuple(sorted(path.stem for path in LOCALES.glob("*.po")))

_FLAGS = ["--mapping-file", "pyproject.toml", "--omit-header", "--no-location"]


@cache
def extracted() -> Catalog:
    """Every text of the templates, the mails and the code, as of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "texts.pot")
        pybabel = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract"]
        command = [*pybabel, *_FLAGS, "--output-file", str(path), "router", "themes"]
        subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603 - our own command
        with path.open("rb") as file:
            return read_po(file)


@cache
def catalogue(code: str) -> Catalog:
    """Read a language's catalogue, what is fuzzy or obsolete in it included."""
    with (LOCALES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code.replace("-", "_"))


def messages(found: Catalog) -> dict[tuple[str, str], Message]:
    """Give a catalogue's messages by context and English text, without the header."""
    return {(message.context or "", sources(message)[0]): message for message in found if message.id}


def sources(message: Message) -> list[str]:
    """Give the English text, or the singular and the plural."""
    return list(message.id) if isinstance(message.id, list | tuple) else [str(message.id)]


def translations(message: Message) -> list[str]:
    """Give the translation, or one for each form of number."""
    said = message.string
    return [text or "" for text in said] if isinstance(said, list | tuple) else [str(said or "")]
