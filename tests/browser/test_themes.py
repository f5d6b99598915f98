"""Every page of the stock themes in a real browser, with the sample data of ``theme check``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.async_playwright import Axe

from router.portal.languages import language_facts
from router.portal.mails import MAIL_KINDS, Mails
from router.portal.rendering import Renderer
from router.portal.samples import PLAIN, RICH, Sample, mail_facts, page_samples
from router.portal.themes import Themes
from router.tenants.tenant import Image
from tests.browser.page import accessible
from tests.tenants.drawing import drawn

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

    from router.tenants.tenant import Tenant

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

RENDERER = Renderer(Themes.load())
LOGO = drawn()
READABLE = {"runOnly": {"type": "rule", "values": ["color-contrast", "image-alt", "link-name"]}}
PHONE, DESKTOP = 375, 1280
_ALIKE = ("link.html", "error.html")
"""Pages whose states differ by their words alone: two of each are enough."""


def shown() -> list[Sample]:
    """Choose the pages that look different from one another."""
    samples = page_samples()
    alike = [[each for each in samples if each.template == template][:2] for template in _ALIKE]
    return [each for each in samples if each.template not in _ALIKE] + [each for two in alike for each in two]


def page_of(tenant: Tenant, sample: Sample, language: str = "en") -> tuple[str, str]:
    """Render a page; its HTML and its Content-Security-Policy."""
    languages = RENDERER.languages(tenant)
    texts = languages.texts(language)
    known: dict[str, object] = {"texts": texts, "language": language}
    if sample.template != "error.html":
        known = language_facts(texts, languages)
    page = RENDERER.render(tenant, sample.template, known | dict(sample.facts))
    return page.text, page.csp


def themed(tenant: Tenant, theme: str, colour: str) -> Tenant:
    """Give a tenant another look."""
    return replace(tenant, branding=replace(tenant.branding, theme=theme, theme_colour=colour))


@pytest.mark.parametrize("theme", ["default", "ledger"])
@pytest.mark.parametrize("shape", [(512, 26), (26, 512), None], ids=["wide", "tall", "none"])
async def test_an_extreme_logo_breaks_no_word(
    chromium: Browser, theme: str, shape: tuple[int, int] | None
) -> None:
    """Beside any logo, or below it, “Kundenportal” is one word, and a name of 80 characters fits a phone."""
    name = "Donaudampfschifffahrtsgesellschaftsbetriebe und Söhne Versorgungswerke GmbH & Co"
    logo = Image("0" * 16, "image/png", *shape) if shape else None
    tenant = themed(RICH, theme, "#f2b705")
    branding = replace(tenant.branding, name=name, portal_name="", logo=logo)
    sample = next(each for each in page_samples() if each.template == "sign_in.html")
    html, csp = page_of(replace(tenant, branding=branding), sample, "de")
    drawing = drawn(width=shape[0], height=shape[1], size=10) if shape else LOGO
    for width in (320, 375, 1280):
        page = await chromium.new_page(viewport={"width": width, "height": 640})
        await put(page, html, csp, drawing)
        assert await page.evaluate("document.querySelector('.whose span').getClientRects().length") == 1
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.close()


async def put(page: Page, html: str, csp: str, logo: bytes = LOGO) -> None:
    """Show a page as if a portal had sent it, with the logo it asks for."""

    async def answer(route: Route) -> None:
        if "/-/image/" in route.request.url:
            await route.fulfill(body=logo, content_type="image/png")
        else:
            headers = {"Content-Security-Policy": csp}
            await route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=headers)

    await page.unroute_all()
    await page.route("**/*", answer)
    await page.goto("https://portal.example/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("theme", "colour"),
    [("default", "#ffff00"), ("ledger", "#8a1c7c"), ("ledger", "#ffff00")],
)
async def test_every_page_is_accessible(chromium: Browser, theme: str, colour: str, scheme: str) -> None:
    """Axe finds nothing on any page, by day and by night, on a phone and on a desk; and all of it fits."""
    context = await chromium.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for number, sample in enumerate(shown()):
        tenant = themed((PLAIN, RICH)[number % 2], theme, colour)
        await page.set_viewport_size({"width": (PHONE, DESKTOP)[number // 2 % 2], "height": 800})
        await put(page, *page_of(tenant, sample, language=("en", "de", "fr", "es")[number % 4]))
        await accessible(page)
        for width in (320, PHONE, 900, DESKTOP):
            await page.set_viewport_size({"width": width, "height": 800})
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (sample.template, sample.state, width)
    assert not [text for text in complaints if "Security" in text]
    await context.close()


@pytest.mark.parametrize("theme", ["default", "ledger"])
async def test_every_mail_is_readable(chromium: Browser, theme: str) -> None:
    """Axe finds no text of a mail that cannot be read, by day and by night, in a colour that is hard."""
    for scheme in ("light", "dark"):
        context = await chromium.new_context(color_scheme="dark" if scheme == "dark" else "light")
        page = await context.new_page()
        for tenant in (themed(PLAIN, theme, "#ffff00"), themed(RICH, theme, "#000000")):
            mails = Mails(RENDERER, _find, public_port=443)
            for kind in list(MAIL_KINDS)[:3]:
                await put(page, mails.render(tenant, kind, "de", mail_facts()).html, "img-src *")
                results = await Axe().run(page, options=READABLE)
                assert results.violations_count == 0, results.generate_report()
        await context.close()


async def _find(_tenant_id: str) -> None:
    """Find nobody: the tenants are at hand."""
