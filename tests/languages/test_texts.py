from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings
from router.languages.texts import Languages

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = Languages.load()
NOON = 1_795_348_800  # 2026-11-22 12:00:00 UTC


def _own(folder: Path, code: str, pairs: dict[str, str]) -> Path:
    body = "\n".join(f'msgid "{english}"\nmsgstr "{said}"\n' for english, said in pairs.items())
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (folder / f"{code}.po").write_text(head + body, encoding="utf-8")
    return folder


def test_the_languages_of_the_product() -> None:
    """German, English, Spanish and French come with the router, each called by its own name."""
    assert LANGUAGES.codes == ("de", "en", "es", "fr")
    assert [texts.name for texts in LANGUAGES.offered] == ["Deutsch", "English", "Español", "Français"]


@pytest.mark.parametrize("code", ["xx", "", None, "DE", "../de"])
def test_an_unknown_language_is_english(code: str | None) -> None:
    """Whoever asks for a language there is not gets the texts as they were written."""
    texts = LANGUAGES.texts(code)
    assert (texts.code, texts.gettext("Sign in")) == ("en", "Sign in")


def test_english_counts_like_english() -> None:
    """The source language has its plural without a catalogue."""
    assert LANGUAGES.texts("en").ngettext("a day", "days", 1) == "a day"
    assert LANGUAGES.texts("en").npgettext("of rest", "a day", "days", 2) == "days"


@pytest.mark.parametrize(
    ("code", "date", "date_time"),
    [
        ("de", "22. November 2026", "22. November 2026 um 12:00 UTC"),
        ("en", "22 November 2026", "22 November 2026 at 12:00 UTC"),
        ("es", "22 de noviembre de 2026", "22 de noviembre de 2026 (12:00 UTC)"),
        ("fr", "22 novembre 2026", "22 novembre 2026 à 12:00 UTC"),
    ],
)
def test_dates_have_the_form_of_the_language(code: str, date: str, date_time: str) -> None:
    """Days and hours are said as readers of the language write them, with the zone they are in."""
    texts = LANGUAGES.texts(code)
    assert texts.date(NOON) == date
    assert texts.date_time(NOON) == date_time


def test_the_first_of_a_month_is_an_ordinal_in_french() -> None:
    """Le 1er janvier, and no other day like it."""
    first = 1_767_225_600  # 1 January 2026
    assert LANGUAGES.texts("fr").date(first) == "1er janvier 2026"
    assert LANGUAGES.texts("fr").date(first + 10 * 86_400) == "11 janvier 2026"
    assert LANGUAGES.texts("es").date(first) == "1 de enero de 2026"


def test_an_hour_is_said_in_the_zone_asked_for() -> None:
    """Another zone moves the hour, the day and the zone's name together."""
    texts = LANGUAGES.texts("de")
    assert texts.date_time(NOON, timezone(timedelta(hours=13))) == "23. November 2026 um 01:00 UTC+13:00"


@pytest.mark.parametrize(
    ("seconds", "since"),
    [
        (-5, "vor 1 Minute"),
        (0, "vor 1 Minute"),
        (90, "vor 2 Minuten"),
        (3600, "vor 60 Minuten"),
        (36 * 3600, "vor 36 Stunden"),
        (7 * 86400, "vor 7 Tagen"),
        (90 * 86400, "vor 3 Monaten"),
    ],
)
def test_how_long_ago_is_said_exactly_enough(seconds: int, since: str) -> None:
    """A span is said in a unit that there are at least two of; what was just now is a minute ago."""
    assert LANGUAGES.texts("de").ago(seconds) == since


def test_own_texts_come_before_the_stock_ones(tmp_path: Path) -> None:
    """A folder's catalogue changes what it names, keeps the rest, and leaves others' languages alone."""
    own = LANGUAGES.with_own(_own(tmp_path, "de", {"Sign in": "Hereinspaziert"}))
    assert own.texts("de").gettext("Sign in") == "Hereinspaziert"
    assert own.texts("de").gettext("Customer portal") == LANGUAGES.texts("de").gettext("Customer portal")
    assert LANGUAGES.texts("de").gettext("Sign in") != "Hereinspaziert"


def test_own_texts_may_be_english(tmp_path: Path) -> None:
    """A folder may say things differently in the source language too."""
    assert (
        LANGUAGES.with_own(_own(tmp_path, "en", {"Sign in": "Log in"})).texts("en").gettext("Sign in")
        == "Log in"
    )


def test_a_language_is_added_by_its_catalogue(tmp_path: Path) -> None:
    """A catalogue in a folder is enough: the language is offered, chosen, and English where it has gaps."""
    more = Languages.load(_own(tmp_path, "it", {"Sign in": "Accedi"}))
    assert more.codes == ("de", "en", "es", "fr", "it")
    assert more.choose(accept="it-CH, de;q=0.5") == "it"
    assert more.texts("it").gettext("Sign in") == "Accedi"
    assert more.texts("it").gettext("Customer portal") == "Customer portal"
    assert more.texts("it").date(NOON) == "22 novembre 2026"


def test_a_folder_without_catalogues_changes_nothing(tmp_path: Path) -> None:
    """Most themes have no texts of their own, and share the stock ones in memory."""
    assert LANGUAGES.with_own(tmp_path / "locales") is LANGUAGES


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A mistyped folder is an error and not an absence of catalogues."""
    with pytest.raises(BadSettings, match="does not exist") as caught:
        Languages.load(tmp_path / "none")
    assert caught.value.code == "bad_catalogue"
