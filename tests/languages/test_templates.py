from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
import pytest

from router.languages.templates import install_texts
from router.languages.texts import Languages, Texts

if TYPE_CHECKING:
    from pathlib import Path

_GERMAN = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "Mail to <b>%(name)s</b>"
msgstr "Post an <b>%(name)s</b>"

msgid "%(num)s day"
msgid_plural "%(num)s days"
msgstr[0] "%(num)s Tag"
msgstr[1] "%(num)s Tage"

msgid "On two lines"
msgstr "Auf zwei Zeilen"

msgctxt "of a book"
msgid "Back"
msgstr "Rücken"

msgctxt "of a book"
msgid "a page"
msgid_plural "%(num)s pages"
msgstr[0] "eine Seite"
msgstr[1] "%(num)s Seiten"
"""


@pytest.fixture
def german(tmp_path: Path) -> Texts:
    """A few German texts."""
    (tmp_path / "de.po").write_text(_GERMAN, encoding="utf-8")
    return Languages.load(tmp_path).texts("de")


def _render(source: str, texts: Texts | None, **facts: object) -> str:
    macros = {"macros.html": '{% macro say() %}{{ _("On two lines") }}{% endmacro %}'}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.DictLoader(macros)
    )
    install_texts(environment)
    return environment.from_string(source).render(**facts, **({"texts": texts} if texts else {}))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{{ _("Mail to <b>%(name)s</b>", name=who) }}', "Post an <b>A &amp; B</b>"),
        ('{{ gettext("On two lines") }}', "Auf zwei Zeilen"),
        ("{% trans %}\n  On two\n  lines\n{% endtrans %}", "Auf zwei Zeilen"),
        ('{{ ngettext("%(num)s day", "%(num)s days", 1) }}', "1 Tag"),
        ('{{ ngettext("%(num)s day", "%(num)s days", 3) }}', "3 Tage"),
        ('{{ pgettext("of a book", "Back") }}', "Rücken"),
        ('{{ npgettext("of a book", "a page", "%(num)s pages", 7) }}', "7 Seiten"),
        ('{% from "macros.html" import say with context %}{{ say() }}', "Auf zwei Zeilen"),
        ("{{ 0 | date }}", "1. Januar 1970"),
        ("{{ 0 | date_time }}", "1. Januar 1970 um 00:00 UTC"),
        ("{{ 300 | ago }}", "vor 5 Minuten"),
    ],
    ids=[
        "text",
        "gettext",
        "block",
        "one",
        "many",
        "context",
        "both",
        "macro",
        "day",
        "hour",
        "ago",
    ],
)
def test_every_way_to_say_something(german: Texts, source: str, said: str) -> None:
    """Templates say texts, numbers and dates in the language they are rendered with."""
    assert _render(source, german, who="A & B") == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Acme", "Ask Acme. Ask Acme, or <b>Acme</b>."),
        ("Acme S.A.", "Ask Acme S.A. Ask Acme S.A., or <b>Acme S.A.</b>."),
        ("A & B Inc.", "Ask A &amp; B Inc. Ask A &amp; B Inc., or <b>A &amp; B Inc.</b>."),
    ],
)
def test_a_name_that_ends_with_a_full_stop_ends_the_sentence(german: Texts, name: str, said: str) -> None:
    """After “S.A.” and “Inc.” there is no second full stop, as in no language."""
    source = '{{ _("Ask %(who)s. Ask %(who)s, or <b>%(who)s</b>.", who=who) }}'
    assert _render(source, german, who=name) == said


@pytest.mark.parametrize("source", ['{{ _("Back") }}', '{% from "macros.html" import say %}{{ say() }}'])
def test_without_a_language_nothing_is_said(source: str, german: Texts) -> None:
    """Forgotten texts are a fault that tells what to do, not a page in English by chance."""
    with pytest.raises(jinja2.UndefinedError, match="no language is known here"):
        _render(source, german if "macros" in source else None)
