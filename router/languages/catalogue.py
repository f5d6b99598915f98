"""Catalogues: files of translations (gettext's ``.po``), read at start and compiled in memory."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from io import BytesIO
from typing import TYPE_CHECKING

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from router.errors import BadInput, BadSettings
from router.languages.choice import parse_language

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from babel.messages.catalog import Catalog, Message

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)[sd]|(.?))", re.DOTALL)


def catalogues_in(folder: Path) -> dict[str, Path]:
    """Find the catalogues of a folder, by language: ``de.po`` is German. None where there is no folder.

    Raises ``BadSettings("bad_catalogue")`` for a file that is not named after a language.
    """
    return {_code(path): path for path in sorted(folder.glob("*.po"))}


def read_catalogue(path: Path) -> GNUTranslations:
    """Read and check one catalogue; what is fuzzy or not translated in it is not used.

    Raises ``BadSettings("bad_catalogue")`` with the file and what is wrong in it: a page must never fail
    because of a translation.
    """
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=_code(path).replace("-", "_"), abort_invalid=True)
    except (PoFileError, ValueError, OSError) as fault:
        raise BadSettings("bad_catalogue", f"{path} cannot be read: {fault}") from fault
    for message in catalogue:
        if message.id:
            _check(path, message)
    return compile_catalogue(catalogue)


def compile_catalogue(catalogue: Catalog) -> GNUTranslations:
    """Make a catalogue ready for use."""
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def placeholders(text: str) -> set[str]:
    """Name what is put into a text: ``{"email"}`` for ``Mail to %(email)s``.

    Raises ``ValueError`` for a ``%`` that is neither part of such a name nor doubled.
    """
    found = list(_PLACEHOLDER.finditer(text))
    if any(match[1] is None and match[2] != "%" for match in found):
        raise ValueError("a % that stands for itself is written %%")
    return {match[1] for match in found if match[1] is not None}


def _code(path: Path) -> str:
    try:
        code = parse_language(path.stem)
        Locale.parse(code, sep="-")
    except (BadInput, UnknownLocaleError, ValueError) as fault:
        raise BadSettings("bad_catalogue", f"{path} is not named after a language, as de.po is.") from fault
    return code


def _check(path: Path, message: Message) -> None:
    """Refuse a translation that wants something put in which the original does not offer."""
    try:
        offered = set().union(*map(placeholders, _strings(message.id)))
        wanted = set().union(*map(placeholders, _strings(message.string)))
    except ValueError as fault:
        raise BadSettings("bad_catalogue", f"{path}, line {message.lineno}: {fault}.") from fault
    if unknown := wanted - offered:
        named = ", ".join(f"%({name})s" for name in sorted(unknown))
        raise BadSettings(
            "bad_catalogue", f"{path}, line {message.lineno}: the original text has no {named} to put in."
        )


def _strings(given: object) -> Iterable[str]:
    """Give the singular and the plurals of a text alike."""
    return given if isinstance(given, list | tuple) else [str(given or "")]
