"""The catalogues that come with the router: complete, and right in what a machine can judge."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from router.languages.catalogue import placeholders
from router.languages.texts import Languages
from tests.languages.stock import CODES, LOCALES, ROOT, catalogue, extracted, messages, sources, translations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

every_language = pytest.mark.parametrize("code", CODES)

_TAG = re.compile(r"</?[a-z][^>]*>")
_FAMILIAR = {
    "de": r"\b([Dd]u|[Dd]ich|[Dd]ir|[Dd]ein\w*|[Ee]uch|[Ee]uer|[Ee]ure\w*)\b",
    "es": r"\b([Tt]ú|[Tt]us?|[Tt]uy[oa]s?|[Tt]e|[Vv]osotros|[Vv]uestr\w+)\b",
    "fr": r"\b([Tt]u|[Tt]oi|[Tt]on|[Tt]a|[Tt]es|[Tt]ien\w*)\b",
}

# What may stand for any name: “Acme”, “Étoile”, “Stadtwerke Berlin”, “Les Eaux du Nord”.
_NAME = r"(<\w+>)?%\((company|portal|names|hostname|browser|system)\)s"
_SUBJECT = r"^%\((company|portal)\)s"
_BENT = {
    # No verb that would have to be plural after a plural name.
    "de": rf"{_SUBJECT} [a-zäöü]",
    "es": rf"{_SUBJECT} [a-záéíóú]|\b[YyOo] {_NAME}",
    # And no word that loses its vowel before another one, or runs together with an article.
    "fr": rf"{_SUBJECT} [a-zàéè]|\b([Dd]|[Qq]u|[Nn]|[Ll]|[Jj]|[Ss]|[Ll]orsqu|[Pp]uisqu)[eai] {_NAME}",
}

_QUOTES = {"de": "„“", "es": "«»", "fr": "«»"}


def _said(code: str) -> Iterator[tuple[str, str]]:
    """Pair each translation with the English that it stands for; the plurals with the plural."""
    for message in messages(catalogue(code)).values():
        english = sources(message)
        for form, said in enumerate(translations(message)):
            yield english[min(form, len(english) - 1)], said


def test_english_has_something_to_say() -> None:
    """The texts are found at all: a claim of completeness over nothing would hold too."""
    assert ("", "Sign in") in messages(extracted())


@every_language
def test_nothing_is_left_in_english(code: str) -> None:
    """Every text of pages, mails and code is translated, in every form; nobody's guess is among it."""
    known = messages(catalogue(code))
    missing = [key for key in messages(extracted()) if key not in known or not all(translations(known[key]))]
    assert not missing, "run `make texts`, then translate what is empty in the catalogue"
    assert not [message.id for message in known.values() if message.fuzzy]


@every_language
def test_nothing_is_kept_that_is_said_no_more(code: str) -> None:
    """The catalogues hold the texts there are and no others: `make texts` was run."""
    assert messages(catalogue(code)).keys() <= messages(extracted()).keys()
    assert not catalogue(code).obsolete


@every_language
def test_what_is_put_in_stays_in(code: str) -> None:
    """A translation has its English text's placeholders; one for a single thing may leave the number out."""
    for message in messages(catalogue(code)).values():
        wanted = set().union(*map(placeholders, sources(message)))
        for form, said in enumerate(translations(message)):
            spared = {"num"} if form == 0 and len(translations(message)) > 1 else set()
            assert wanted - spared <= placeholders(said) <= wanted, said


@every_language
def test_markup_stays_the_same(code: str) -> None:
    """A translation has the tags of its English text, no more and no fewer."""
    for english, said in _said(code):
        assert sorted(_TAG.findall(said)) == sorted(_TAG.findall(english)), said
        assert re.sub(r"[^<>]", "", said) == re.sub(r"[^<>]", "", english), said


@every_language
def test_a_text_ends_as_it_did(code: str) -> None:
    """A sentence stays a sentence, a label a label, a question a question; no space is lost at an end."""
    for english, said in _said(code):
        ends = [re.search(r"([.?!:…]?)(\s*)$", text) for text in (english, said)]
        assert ends[0] is not None
        assert ends[1] is not None
        assert ends[0].groups() == ends[1].groups(), said
        assert (english[:1].isspace(), said[:1].isspace()) == (english[:1].isspace(),) * 2, said


@every_language
def test_each_form_of_number_has_its_words(code: str) -> None:
    """A text with a number has as many translations as the language has forms."""
    known = catalogue(code)
    numbered = [message for message in messages(known).values() if len(sources(message)) > 1]
    assert all(len(translations(message)) == known.num_plurals for message in numbered)


@every_language
def test_customers_are_addressed_politely(code: str) -> None:
    """Sie, usted and vous throughout: these are letters between businesses."""
    if code not in _FAMILIAR:
        pytest.skip(f"there is no rule about {code}")
    familiar = re.compile(_FAMILIAR[code])
    assert not [said for _, said in _said(code) if familiar.search(said)]


@every_language
def test_a_text_is_right_for_every_name(code: str) -> None:
    """No sentence depends on what a name begins with, or on whether it is one or many."""
    bent = re.compile(_BENT[code])
    assert not [said for _, said in _said(code) if bent.search(said)]


def test_french_marks_do_not_stand_alone() -> None:
    """In French a mark of two parts is kept at its word by a space that does not break."""
    alone = re.compile(r"(?<![\u00a0\u202f])[?!:;»](?=\s|$)|«(?![\u00a0\u202f])")
    assert not [said for _, said in _said("fr") if alone.search(re.sub(r"https?://\S+", "", said))]


def test_spanish_questions_are_opened() -> None:
    """In Spanish a question and an exclamation begin with a mark too."""
    for _, said in _said("es"):
        assert said.count("?") == said.count("¿"), said
        assert said.count("!") == said.count("¡"), said


@every_language
def test_quotes_are_the_languages_own(code: str) -> None:
    """No typewriter quotes but in tags, and those that readers of the language expect."""
    wanted = _QUOTES.get(code)
    for _, said in _said(code):
        plain = _TAG.sub("", said)
        assert '"' not in plain, said
        assert wanted is None or not set("„“”«»") & set(plain) - set(wanted), said


def test_the_catalogues_are_read() -> None:
    """What the router speaks is what the folder holds, and English."""
    assert set(Languages.load().codes) == {*CODES, "en"}


def test_the_wheel_has_the_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs the wheel has every language."""
    build = pytest.importorskip("hatchling.build", reason="needs hatchling, the build backend")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as archive:
        names = set(archive.namelist())
    assert names >= {str(path.relative_to(ROOT)) for path in LOCALES.glob("*.po")}
