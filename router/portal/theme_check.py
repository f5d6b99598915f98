"""Whether a theme can be used: every page and mail is rendered with sample data, in every language.

What is found is told by file and line where that is known, each fault once.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Final

import jinja2
from jinja2 import meta

from router.errors import BadSettings
from router.languages.texts import Languages
from router.portal.languages import language_facts
from router.portal.mails import MAIL_KINDS, Mails, composed
from router.portal.rendering import Renderer
from router.portal.samples import TENANTS, mail_facts, page_samples
from router.portal.theme import DEFAULT, ancestry, read_theme, stock_folder, theme_folders
from router.portal.themes import Themes, compile_theme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router.languages.texts import Texts
    from router.portal.samples import Sample
    from router.portal.theme import Theme
    from router.tenants.tenant import Tenant

MAX_PAGE: Final = 30_000
"""Octets of a page with its style: what arrives in one or two round trips on a slow line."""

_FRAME: Final = "page.html"
_MAIL: Final = (".html", ".txt")
_FORM: Final = re.compile(r'<form[^>]*method="post".*?</form>', re.DOTALL)
_FORBIDDEN: Final = (
    (re.compile(r"<script\b", re.IGNORECASE), "has a script: the Content-Security-Policy does not run it"),
    (re.compile(r"<[^>]*\sstyle="), 'has a style="…": the Content-Security-Policy does not apply it'),
    (re.compile(r"<[^>]*\son[a-z]+="), "has an on…= attribute: the Content-Security-Policy does not run it"),
    (
        re.compile(r"""<(?:link|img|source|iframe|video|audio)\b[^>]*(?:src|href)=["'](?:https?:)?//"""),
        "loads something from another site: the Content-Security-Policy does not let it",
    ),
)
_NEEDED: Final = (
    (re.compile(r"<html[^>]* lang="), "does not say its language: <html lang=…>"),
    (re.compile(r"<title>[^<]"), "has no <title>"),
    (re.compile(r"<main\b"), "has no <main>"),
    (re.compile(r"<h1\b"), "has no <h1>"),
    (re.compile(r"<style>[^<]*--fill:"), "does not have look.style in a <style>"),
)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong, and where: a file and perhaps a line, or a page and its state."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found; ``rendered`` counts the pages and mails, ``largest`` is in octets."""

    theme: str
    rendered: int
    largest: int
    faults: tuple[Fault, ...]


def check_theme(name: str, own: Path | None, languages: Languages | None = None) -> Report:
    """Check the theme of a name, among those in ``own`` and the stock ones, in every one of the languages.

    Raises ``BadSettings("bad_theme")`` where ``own`` is not there; what is wrong with the theme itself is in
    the report.
    """
    stock_at = theme_folders(stock_folder())
    own_at = {} if own is None else theme_folders(own)
    languages = languages or Languages.load()
    try:
        theme = read_theme(name, ancestry(name, own_at, stock_at), languages)
        compile_theme(theme)
    except BadSettings as fault:
        return Report(name, 0, 0, (Fault(name, fault.sentence),))
    return _Check(theme, read_theme(DEFAULT, [stock_at[DEFAULT]], languages)).run()


class _Check:
    """One theme's check."""

    def __init__(self, theme: Theme, stock: Theme) -> None:
        self._theme = theme
        self._themes = Themes([theme], stock, {})
        self._renderer = Renderer(self._themes)
        self._tenants = [
            replace(tenant, branding=replace(tenant.branding, theme=theme.name)) for tenant in TENANTS
        ]
        self._faults: dict[Fault, None] = {}
        self._rendered = self._largest = 0

    def run(self) -> Report:
        self._blocks()
        self._unused()
        for code in self._theme.languages.codes:
            texts = self._theme.languages.texts(code)
            for tenant in self._tenants:
                for sample in page_samples():
                    self._page(tenant, sample, texts)
            for tenant, kind in product(self._tenants, MAIL_KINDS):
                self._mail(tenant, kind, code)
        faults = tuple(sorted(self._faults))
        return Report(self._theme.name, self._rendered, self._largest, faults)

    def _blocks(self) -> None:
        """Report each block that a page fills and the theme's frame does not have."""
        environment = self._themes.environment
        frame = set(environment.get_template(f"{self._theme.name}/{_FRAME}").blocks)
        for template in sorted({sample.template for sample in page_samples()}):
            filled = environment.get_template(f"{self._theme.name}/{template}").blocks
            for block in sorted(set(filled) - frame):
                self._note(_FRAME, f"has no block “{block}”, which {template} fills")

    def _unused(self) -> None:
        """Report each template of the theme's own that nothing asks for: its name is mistyped, mostly."""
        own, used = self._theme.folders[0], self._used()
        pages = {path.name: path for path in (own / "templates").glob("*.html")}
        mails = {f"mails/{path.name}": path for path in (own / "mails").glob("*.*") if path.suffix in _MAIL}
        for name, path in sorted((pages | mails).items()):
            if None not in used and name not in used:
                self._note(
                    str(path), f"is used by no page and no mail: the stock ones are in {stock_folder()}"
                )

    def _used(self) -> set[str | None]:
        """Find the templates of pages and mails, and all that they extend, include or import.

        None stands for a name that is only known once the page is rendered.
        """
        used: set[str | None] = set()
        waiting: list[str | None] = [sample.template for sample in page_samples()]
        waiting += [f"mails/{kind}{suffix}" for kind, suffix in product(MAIL_KINDS, _MAIL)]
        while waiting:
            name = waiting.pop()
            if name not in used:
                used.add(name)
                waiting += [] if name is None else self._named_in(name)
        return used

    def _named_in(self, template: str) -> list[str | None]:
        environment = self._themes.environment
        loader = environment.loader
        try:
            source = loader.get_source(environment, f"{self._theme.name}/{template}")[0] if loader else ""
        except jinja2.TemplateNotFound:  # rendering tells of it where it is not optional
            return []
        return list(meta.find_referenced_templates(environment.parse(source)))

    def _page(self, tenant: Tenant, sample: Sample, texts: Texts) -> None:
        if sample.template == "error.html":
            known: dict[str, object] = {"texts": texts, "language": texts.code}
        else:
            known = language_facts(texts, self._theme.languages)
        where = f"{sample.template} ({sample.state})"
        try:
            page = self._renderer.render_in(
                self._theme, tenant, sample.template, known | dict(sample.facts)
            ).text
        except Exception as fault:  # noqa: BLE001 - whatever a template raises is what we are here to tell
            self._note(_place(fault, self._theme) or where, _told(fault))
            return
        self._rendered += 1
        self._largest = max(self._largest, len(page.encode()))
        for what in _judge_page(page, str(sample.facts.get("csrf", ""))):
            self._note(where, what)

    def _mail(self, tenant: Tenant, kind: str, language: str) -> None:
        known = Mails(self._renderer, _nobody, public_port=443).facts(tenant, kind, language, mail_facts())
        try:
            html, text = (
                self._renderer.render_in(self._theme, tenant, f"mails/{kind}.{part}", known).text
                for part in ("html", "txt")
            )
        except Exception as fault:  # noqa: BLE001 - as above
            self._note(_place(fault, self._theme) or f"mails/{kind}", _told(fault))
            return
        mail = composed(tenant, html, text)
        self._rendered += 1
        link = f"https://{tenant.hostname}{MAIL_KINDS[kind]}" if MAIL_KINDS[kind] else ""
        for part, text in (("html", mail.html), ("txt", mail.text)):
            if link not in text:
                self._note(f"mails/{kind}.{part}", "does not hold the link that the mail is about")
        if not mail.subject:
            self._note(f"mails/{kind}.txt", "has no subject: its first line is the subject")

    def _note(self, where: str, what: str) -> None:
        self._faults[Fault(where, what)] = None


def _judge_page(page: str, csrf: str) -> Iterator[str]:
    if len(page.encode()) > MAX_PAGE:
        yield f"is larger than {MAX_PAGE // 1000} KB with its style"
    for pattern, what in _NEEDED:
        if pattern.search(page) is None:
            yield what
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for pattern, what in _FORBIDDEN:
        if pattern.search(without_style) is not None:
            yield what
    for form in _FORM.findall(without_style):
        if csrf not in form:
            yield "has a form without its CSRF field, which would be refused"


def _place(fault: BaseException, theme: Theme) -> str:
    """Find the line of a template that a fault came from: the last one of the theme's own files."""
    frames = traceback.extract_tb(fault.__traceback__)
    roots = tuple(str(folder) for folder in theme.folders)
    found = [frame for frame in frames if frame.filename.startswith(roots)]
    return f"{found[-1].filename}, line {found[-1].lineno}" if found else ""


def _told(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"


async def _nobody(_tenant_id: str) -> None:
    """Find no tenant: the check has its own."""
