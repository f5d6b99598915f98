from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings
from router.languages.catalogue import catalogues_in, placeholders, read_catalogue

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'


def _catalogue(folder: Path, text: str, *, name: str = "de.po", head: str = _HEAD) -> Path:
    path = folder / name
    path.write_text(f"{head}\n{text}\n", encoding="utf-8")
    return path


def test_a_text_is_translated(tmp_path: Path) -> None:
    """A catalogue is used as it was written, umlauts and contexts included."""
    text = 'msgid "Back"\nmsgstr "Zurück"\n\nmsgctxt "of a book"\nmsgid "Back"\nmsgstr "Rücken"'
    german = read_catalogue(_catalogue(tmp_path, text))
    assert german.gettext("Back") == "Zurück"
    assert german.pgettext("of a book", "Back") == "Rücken"


@pytest.mark.parametrize(
    "text", ['#, fuzzy\nmsgid "A"\nmsgstr "B"', 'msgid "A"\nmsgstr ""'], ids=["fuzzy", "empty"]
)
def test_what_is_not_certain_is_not_said(tmp_path: Path, text: str) -> None:
    """A guess of a tool and a missing translation both leave the English text."""
    assert read_catalogue(_catalogue(tmp_path, text)).gettext("A") == "A"


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [
        ("de.po", 0, "viele"),
        ("de.po", 1, "eins"),
        ("fr.po", 0, "eins"),
        ("fr.po", 2, "viele"),
    ],
)
def test_numbers_have_the_forms_of_their_language(tmp_path: Path, name: str, number: int, said: str) -> None:
    """Nought is plural in German and singular in French, header or not."""
    text = 'msgid "one"\nmsgid_plural "many"\nmsgstr[0] "eins"\nmsgstr[1] "viele"'
    assert read_catalogue(_catalogue(tmp_path, text, name=name)).ngettext("one", "many", number) == said


def test_a_language_may_have_more_forms_than_english(tmp_path: Path) -> None:
    """Polish counts 1, 2 to 4 and 5: each gets its own words."""
    text = (
        'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\n'
        'msgstr[0] "dzień"\nmsgstr[1] "%(num)s dni (kilka)"\nmsgstr[2] "%(num)s dni"'
    )
    polish = read_catalogue(_catalogue(tmp_path, text, name="pl.po"))
    said = {polish.ngettext("%(num)s day", "%(num)s days", number) for number in (1, 2, 5)}
    assert len(said) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('msgid "A %(name)s"\nmsgstr "B %(nmae)s"', r"line 5: .*no %\(nmae\)s"),
        ('msgid "A"\nmsgstr "50 % B"', "line 5: a % that stands for itself is written %%"),
        ('msgid "A"\nmsgstr "B %d"', "line 5: a %"),
        ('msgid "A %(name)s"\nmsgstr "B %(name)"', "line 5: a %"),
        ('msgid "A', "cannot be read"),
        ('msgstr "A"\nfoo', "cannot be read"),
    ],
    ids=["unknown-name", "bare-percent", "another-kind", "half-a-name", "quote-open", "not-a-catalogue"],
)
def test_a_translation_that_would_break_a_page_stops_the_start(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """What cannot be put together later is told at start, with file and line."""
    path = _catalogue(tmp_path, text)
    with pytest.raises(BadSettings, match=sentence) as caught:
        read_catalogue(path)
    assert caught.value.code == "bad_catalogue"
    assert str(path) in caught.value.sentence


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    """A catalogue that is not UTF-8 is a fault with a file's name, not a traceback."""
    (tmp_path / "de.po").write_bytes(_HEAD.encode() + 'msgid "Back"\nmsgstr "Zurück"\n'.encode("latin-1"))
    with pytest.raises(BadSettings, match=r"de\.po cannot be read"):
        read_catalogue(tmp_path / "de.po")


@pytest.mark.parametrize("name", ["german.po", "xx.po", "de-DE-1996.po"])
def test_a_catalogue_is_named_after_its_language(tmp_path: Path, name: str) -> None:
    """A file whose name is no language is a typing error, and said to be one."""
    _catalogue(tmp_path, "", name=name)
    with pytest.raises(BadSettings, match="is not named after a language"):
        catalogues_in(tmp_path)


def test_catalogues_are_found_by_language(tmp_path: Path) -> None:
    """A folder's catalogues are those that end in .po; a folder that is not there has none."""
    for name in ("pt_BR.po", "de.po", "README.md"):
        _catalogue(tmp_path, "", name=name)
    assert catalogues_in(tmp_path) == {"de": tmp_path / "de.po", "pt-BR": tmp_path / "pt_BR.po"}
    assert catalogues_in(tmp_path / "none") == {}


def test_placeholders_are_named() -> None:
    """Names are found wherever they stand, and a doubled % is none."""
    assert placeholders("%(a)s, 100 %%, %(b_2)d") == {"a", "b_2"}
