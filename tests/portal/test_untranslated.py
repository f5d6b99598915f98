"""Every page and mail in a language of signs: whatever is readable in it was not translated.

The signs are letters of full width; so what stands in ASCII letters came past the catalogues, or is a fact
(a name, an address, a number) that belongs on the page as it is.
"""

from __future__ import annotations

import re
from dataclasses import asdict, is_dataclass
from gettext import NullTranslations
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from router.languages.texts import Languages
from router.portal.form_page import Form
from router.portal.languages import language_facts
from router.portal.mails import MAIL_KINDS, Mails
from router.portal.rendering import Renderer
from router.portal.samples import RICH, TENANTS, Sample, mail_facts, page_samples
from router.portal.theme import stock_folder
from router.portal.themes import Themes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.tenants.tenant import Tenant

_KEPT = re.compile(r"(%\(\w+\)[sd]|%%|<[^>]*>|&\w+;)")
_WORD = re.compile(r"[A-Za-z]{2,}")
_SPOKEN = ("alt", "aria-label", "content", "placeholder", "title")
_NOT_SPOKEN = ("width=device-width", "noindex", "telephone=no", "light dark", "#")
_OF_NO_LANGUAGE = re.compile(r"https?://\S+|\bUTC\b|\bEnglish\b")


def signs(text: str) -> str:
    """Write a text in signs, all but what is put in and its markup."""
    parts = _KEPT.split(text)
    parts[::2] = [re.sub("[!-~]", lambda match: chr(ord(match[0]) + 0xFEE0), part) for part in parts[::2]]
    return "".join(parts)


class Signs(NullTranslations):
    """Translations into signs."""

    def gettext(self, message: str) -> str:
        """Write it in signs."""
        return signs(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Write the form for ``n`` in signs."""
        return signs(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:  # noqa: ARG002 - gettext's own signature
        """Write it in signs."""
        return signs(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 - the same
        """Write the form for ``n`` in signs."""
        return self.ngettext(msgid1, msgid2, n)


class _Spoken(HTMLParser):
    """Collects what a page says to people, attributes that are read out included."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent = tag == "style"
        self.said += [value or "" for name, value in attrs if name in _SPOKEN]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser's own signature
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)


def readable(page: str, facts: set[str], *, html: bool = True) -> set[str]:
    """Give the ASCII words that a page or a mail's text says, without the facts on it."""
    parser = _Spoken()
    if html:
        parser.feed(page)
    said = [part for part in (parser.said if html else [page]) if not part.startswith(_NOT_SPOKEN)]
    text = " ".join(_OF_NO_LANGUAGE.sub(" ", "\n".join(said)).split())  # a mail's lines break anywhere
    for fact in sorted(facts, key=len, reverse=True):
        text = text.replace(fact, " ")
    return set(_WORD.findall(text))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, SimpleNamespace):
        yield from _strings(vars(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _strings(asdict(value))
    elif isinstance(value, dict):
        yield from _strings(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)


def _facts(*values: object) -> set[str]:
    """Collect what a page may say as it is; a code such as ``used`` in the facts is nothing to say."""
    return {text for text in _strings(list(values)) if text and not re.fullmatch(r"[a-z_-]+", text)}


# Russian lends the signs its dates, whose months are not in ASCII letters.
SIGNS = Languages({"ru": Signs()})
RENDERER = Renderer(Themes.load(languages=SIGNS))
THEMES = sorted(path.parent.name for path in stock_folder().glob("*/theme.toml"))
STATES = [pytest.param(sample, id=f"{sample.template}-{sample.state}") for sample in page_samples()]
FORMS = (stock_folder() / "default" / "templates" / "forms.html").read_text(encoding="utf-8")
TOLD = " ".join(re.findall(r"if code (?:==|in) (.*?)%}", FORMS))
FAULT_CODES = sorted(set(re.findall(r'"([a-z_]+)"', TOLD)))


def _page(theme: str, tenant: Tenant, sample: Sample) -> str:
    facts = {**language_facts(SIGNS.texts("ru"), SIGNS), **sample.facts}
    found = next(each for each in RENDERER.themes if each.name == theme)
    return RENDERER.render_in(found, tenant, sample.template, facts).text


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sample", STATES)
def test_no_page_has_an_untranslated_word(sample: Sample, theme: str) -> None:
    """Whatever state a page is in, in every stock theme and for every tenant, all of it was translated."""
    for tenant in TENANTS:
        page = _page(theme, tenant, sample)
        assert not readable(page, _facts(sample.facts, tenant))
        assert signs("Customer portal") in page


@pytest.mark.parametrize("code", [*FAULT_CODES, "any_other"])
def test_no_fault_has_an_untranslated_word(code: str) -> None:
    """Every fault that a form can have is told in the visitor's language."""
    form = Form({}, {"form": code})
    sample = next(sample for sample in page_samples() if sample.template == "sign_in.html")
    page = _page("default", RICH, Sample("sign_in.html", code, {**sample.facts, "form": form}))
    assert not readable(page, _facts(RICH))
    assert 'role="alert"' in page


@pytest.mark.parametrize("kind", MAIL_KINDS)
@pytest.mark.parametrize("address", ["203.0.113.7", ""], ids=["from-somewhere", "from-nowhere"])
def test_no_mail_has_an_untranslated_word(kind: str, address: str) -> None:
    """Subject, text and HTML of every mail are translated."""

    async def nobody(_tenant_id: str) -> None:
        return None

    mails = Mails(RENDERER, nobody, public_port=443)
    for tenant in TENANTS:
        told = {**mail_facts(), "address": address}
        mail = mails.render(tenant, kind, "ru", told)
        facts = _facts(told, tenant)
        assert not readable(mail.subject, facts, html=False)
        assert not readable(mail.text, facts, html=False)
        assert not readable(mail.html, facts)


def test_an_untranslated_word_is_found() -> None:
    """The search finds what it is for: in text, in what is read out, beside facts, and not in facts."""
    page = '<p title="Close">Sign in, {}</p><img alt="logo"><style>p{{color:red}}</style>'.format(
        signs("now")
    )
    assert readable(page, {"Sign"}) == {"Close", "in", "logo"}
