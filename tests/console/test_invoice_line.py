"""The wording of the line: both forms of it, in every language, whatever the names in it are."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.console.invoice_line import Way, as_html, as_text
from router.languages.texts import Languages

LANGUAGES = Languages.load()
PORTAL = "https://acme.portal.example/"
LINK = "https://acme.portal.example/-/register?t=reg_1.s&x=1"
EXPIRES = 1_803_000_000  # 2027-02-19


class Parsed(HTMLParser):
    """What a mail program sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and where it leads."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data


@pytest.mark.parametrize("code", LANGUAGES.codes)
def test_every_language_says_it_in_its_own_words(code: str) -> None:
    """Both sentences are translated, with everything in its place."""
    texts, english = LANGUAGES.texts(code), LANGUAGES.texts("en")
    way = Way("Acme", PORTAL, LINK, EXPIRES)
    text, html = as_text(way, texts), as_html(way, texts)
    where, how = text.splitlines()
    assert where.endswith(PORTAL)
    assert how.endswith(LINK)
    assert texts.date(EXPIRES) in how
    assert "%(" not in text + html
    if code != "en":
        assert not set(text.splitlines()) & set(as_text(way, english).splitlines())


def test_without_a_link_it_is_one_sentence() -> None:
    """It says where the portal is."""
    way = Way("Acme", PORTAL)
    assert as_text(way, LANGUAGES.texts("en")).count("\n") == 0
    assert Parsed(as_html(way, LANGUAGES.texts("en"))).links == [PORTAL]


@given(st.text(min_size=1, max_size=80), st.sampled_from(LANGUAGES.codes))
def test_whatever_the_company_is_called(company: str, code: str) -> None:
    """No name becomes markup or takes a placeholder's place; a mail program reads what the text says."""
    way = Way(company, PORTAL, LINK, EXPIRES)
    html = as_html(way, LANGUAGES.texts(code))
    parsed = Parsed(html)
    assert parsed.tags == ["p", "a", "br", "a"]
    assert parsed.links == [PORTAL, LINK]
    assert company in as_text(way, LANGUAGES.texts(code))
