from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.errors import NotFound
from router.hostname import Hostname
from router.portal.colour import contrast
from router.portal.mails import MAIL_KINDS, Mails
from router.portal.palette import TEXT_RATIO
from router.portal.rendering import Renderer
from router.portal.samples import PLAIN, RICH, mail_facts
from router.portal.themes import Themes
from router.tenants.tenant import Branding, Image
from tests.portal.test_themes import write

if TYPE_CHECKING:
    from pathlib import Path

    from router.tenants.tenant import Tenant

TENANTS = {tenant.id: tenant for tenant in (PLAIN, RICH)}


async def find(tenant_id: str) -> Tenant | None:
    """Find one of two tenants."""
    return TENANTS.get(tenant_id)


RENDERER = Renderer(Themes.load())
MAILS = Mails(RENDERER, find, public_port=443)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
@pytest.mark.parametrize("kind", MAIL_KINDS)
async def test_every_mail_speaks_every_language(kind: str, language: str) -> None:
    """Each kind of mail has a subject, a text and a page, which say the portal's name and hold the link."""
    mail = await MAILS.compose(RICH.id, kind, language, mail_facts())
    assert "Mein Stadtwerk" in mail.subject
    assert "\n" not in mail.subject
    assert f'<html lang="{language}">' in mail.html
    assert ("https://kunden.stadtwerke.example" + MAIL_KINDS[kind]) in mail.text
    assert (mail.name, mail.reply_to) == ("Mein Stadtwerk", "service@stadtwerke.example")
    for said in ("hilfe@stadtwerke.example", "+49 30 123 456-0", "https://stadtwerke.example/impressum"):
        assert said in mail.text
        assert said in mail.html
    assert max(len(line) for line in mail.text.splitlines() if "://" not in line) <= 76
    assert "\n\n\n" not in mail.text


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("invitation", "/-/invitation"),
        ("registration", "/-/confirm"),
        ("reset", "/-/reset"),
        ("confirm-email", "/-/confirm-email"),
    ],
)
def test_a_link_leads_to_the_tenants_own_hostname(kind: str, path: str) -> None:
    """A one-time link is made of the stored hostname and the public port, in text and page alike."""
    mails = Mails(RENDERER, find, public_port=8443)
    mail = mails.render(RICH, kind, "en", mail_facts())
    link = f"https://kunden.stadtwerke.example:8443{path}?t={'t' * 43}"
    assert link in mail.text.splitlines()
    assert f'href="{link}"' in mail.html


@pytest.mark.parametrize("kind", ["already-registered", "password-changed", "email-change-asked"])
def test_what_needs_no_token_has_none(kind: str) -> None:
    """A mail that only tells something leads to a page that anybody may open."""
    facts = {name: fact for name, fact in mail_facts().items() if name != "token"}
    mail = MAILS.render(RICH, kind, "en", facts)
    assert f"https://kunden.stadtwerke.example{MAIL_KINDS[kind]}\n" in mail.text
    assert "?t=" not in mail.text + mail.html


def test_nobody_knows_an_address_and_the_mail_says_none() -> None:
    """Where the client's address is unknown, the sentence does without."""
    mail = MAILS.render(PLAIN, "password-changed", "en", mail_facts() | {"address": ""})
    assert "internet address" not in mail.text


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (Image("0123456789abcdef", "image/png", 512, 160), True),
        (Image("0123456789abcdef", "image/jpeg", 512, 160), True),
        (Image("0123456789abcdef", "image/svg+xml", 512, 160), False),
        (None, False),
    ],
)
def test_the_logo_is_the_tenants(image: Image | None, shown: bool) -> None:  # noqa: FBT001 - a table
    """A mail is headed by the tenant's own logo where mail programs can show it, else by its name."""
    tenant = replace(RICH, branding=replace(RICH.branding, logo=image))
    html = MAILS.render(tenant, "reset", "en", mail_facts()).html
    address = "https://kunden.stadtwerke.example/-/image/0123456789abcdef"
    assert (f'src="{address}"' in html) is shown
    assert ('width="179" height="56"' in html or 'height="56" width="179"' in html) is shown
    assert "Mein Stadtwerk" in html


@pytest.mark.parametrize("theme", ["default", "ledger"])
@pytest.mark.parametrize("light", [False, True], ids=["dark logo", "light logo"])
def test_the_name_is_readable_where_the_logo_is_not_shown(theme: str, light: bool) -> None:  # noqa: FBT001 - a table
    """Most mail programs ask before they load pictures: the words in its stead stand out from its ground."""
    image = Image("0123456789abcdef", "image/png", 512, 160, light=light)
    tenant = replace(RICH, branding=replace(RICH.branding, theme=theme, logo=image))
    html = MAILS.render(tenant, "reset", "en", mail_facts()).html
    style = re.search(r'<img [^>]*style="([^"]*)"', html)
    assert style is not None
    colours = dict(part.split(":", 1) for part in style[1].split(";"))
    assert contrast(colours["color"], colours["background"]) >= TEXT_RATIO


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_that_is_filled_in_becomes_markup(name: str, email: str) -> None:
    """Neither a tenant's name nor an address adds an element to the page, or a line to the subject."""
    tenant = replace(PLAIN, branding=Branding(name or "x", "#0b6e4f"))
    for kind in MAIL_KINDS:
        plain, odd = _Words(), _Words()
        plain.feed(MAILS.render(PLAIN, kind, "en", mail_facts()).html)
        mail = MAILS.render(tenant, kind, "en", mail_facts() | {"new_email": email, "customer": email})
        odd.feed(mail.html)
        assert plain.tags == odd.tags
        assert "\n" not in mail.subject


def test_an_apostrophe_in_a_text_is_one() -> None:
    """The text of a mail is no HTML: nothing in it is escaped."""
    tenant = replace(PLAIN, branding=Branding("Müller & Söhne's", "#0b6e4f"))
    mail = MAILS.render(tenant, "reset", "en", mail_facts())
    assert "Müller & Söhne's" in mail.text
    assert "Müller & Söhne's" in mail.subject
    assert "Müller &amp; Söhne&#39;s" in mail.html


def test_an_unknown_language_is_the_tenants_source() -> None:
    """A language that is not spoken any more is no reason not to send a mail."""
    assert '<html lang="en">' in MAILS.render(PLAIN, "reset", "xx", mail_facts()).html


async def test_who_is_not_there_gets_no_mail() -> None:
    """A tenant that was deleted, and a kind that nobody knows, are said."""
    with pytest.raises(NotFound, match="no tenant"):
        await MAILS.compose("tnt_gone", "reset", "en", {})
    with pytest.raises(NotFound, match="no mail"):
        await MAILS.compose(PLAIN.id, "newsletter", "en", {})


def test_a_theme_whose_mail_breaks_sends_the_stock_one(tmp_path: Path) -> None:
    """A mail goes out whatever the theme does, and the log says what broke, once."""
    own = write(tmp_path, {"a/theme.toml": 'title = "A"', "a/mails/reset.html": "{{ 1 / 0 }}"})
    mails = Mails(Renderer(Themes.load(own)), find, public_port=443)
    tenant = replace(PLAIN, hostname=Hostname("a.example"), branding=replace(PLAIN.branding, theme="a"))
    with capture_logs() as lines:
        pages = {mails.render(tenant, "reset", "en", mail_facts()).html for _ in range(3)}
    assert len(pages) == 1
    assert "https://a.example/-/reset" in pages.pop()
    assert [line["event"] for line in lines] == ["theme_failed"]


def test_a_themes_own_words_go_into_its_mails(tmp_path: Path) -> None:
    """A theme may say a mail's text differently in a language, by its own catalogue."""
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    po = head + 'msgid "Choose a new password"\nmsgstr "Los"\n'
    own = write(tmp_path, {"a/theme.toml": 'title = "A"', "a/locales/de.po": po})
    mails = Mails(Renderer(Themes.load(own)), find, public_port=443)
    tenant = replace(PLAIN, branding=replace(PLAIN.branding, theme="a"))
    assert re.search(
        r"<a class=\"button\"[^>]*>Los</a>", mails.render(tenant, "reset", "de", mail_facts()).html
    )


@pytest.mark.parametrize("kind", [kind for kind in MAIL_KINDS if kind.startswith("domain-")])
def test_a_mail_about_a_hostname_names_it(kind: str) -> None:
    """Text, page and subject say which hostname it is about."""
    mail = MAILS.render(RICH, kind, "en", mail_facts())
    for said in (mail.subject, mail.text, mail.html):
        assert "rechnungen.stadtwerke.example" in said


@pytest.mark.parametrize("kind", ["domain-unproved", "domain-lost", "domain-released", "domain-displaced"])
def test_a_mail_about_missing_proof_holds_the_record(kind: str) -> None:
    """What to create stands there as the forms of DNS providers ask for it: behind a CDN, a TXT record."""
    facts = mail_facts()
    lines = MAILS.render(PLAIN, kind, "en", facts).text.splitlines()
    assert {f"Name: {facts['hostname']}", "Type: CNAME", f"Value: {facts['target']}"} <= set(lines)
    behind = MAILS.render(PLAIN, kind, "en", facts | {"behind_cdn": 1})
    wanted = {f"Name: {facts['txt_name']}", "Type: TXT", f"Value: {facts['txt_token']}"}
    assert wanted <= set(behind.text.splitlines())
    assert all(line in behind.html for line in wanted)


def test_the_end_of_a_hostname_is_told_with_its_date() -> None:
    """Subject and text say until when the portal answers there."""
    mail = MAILS.render(PLAIN, "domain-lost", "en", mail_facts())
    assert "29 November 2026" in mail.subject
    assert "29 November 2026" in " ".join(mail.text.split())
