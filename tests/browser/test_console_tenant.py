"""A tenant's settings, domain and certificate in a real browser, and the way through all three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from router.tenants.form import TenantForm
from tests.browser.console_window import window
from tests.browser.page import accessible
from tests.certificates.maker import ROOT, make
from tests.console.page_browser import PASSWORD, signed_in

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.console.stand import Stand

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

INTERMEDIATE = make(subject="Trusty R3", issuer=ROOT, authority=True, slot=120, days=(-500, 1500))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(console: Stand) -> str:
    """Sign an operator of the platform in."""
    return (await signed_in(console)).cookies["__Host-console-session"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """What an authority sends for a hostname, and its key, each a file of its own."""
    made = make("shop.umbrella.test", issuer=INTERMEDIATE, slot=121, days=(-10, 140))
    contents = {"cert.crt": made.der, "chain.pem": INTERMEDIATE.pem, "private.key": made.key_pem}
    for name, octets in contents.items():
        (tmp_path / name).write_bytes(octets)
    return [str(tmp_path / name) for name in contents]


async def accessible_on_both(page: Page) -> None:
    """Judge the page on a desktop and on a phone; the portal's pages shown in it are judged elsewhere."""
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        await accessible(page, iframes=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible(
    console: Stand, console_port: int, chromium: Browser, session: str, files: list[str], scheme: str
) -> None:
    """With content and without, with faults, on a desktop and a phone, by day and night: axe is content."""
    host = f"{scheme}.initech.test"
    form = TenantForm("Initech", "#7a1fa2", ["http://127.0.0.1:9"])
    await console.registry.add(f"initech-{scheme}", form, actor="test")
    below = f"/tenants/initech-{scheme}"
    async with window(chromium, console_port, f"{below}/settings", session=session, scheme=scheme) as page:

        async def at(path: str) -> None:
            await page.goto(page.url.split(f"{below}/")[0] + below + path)

        await accessible_on_both(page)
        await page.check("#external")
        await page.fill("#external_domain", "192.0.2.1")
        await page.fill("#theme_colour", "green")
        await page.wait_for_selector("#external_domain-fault")
        await accessible_on_both(page)
        await page.fill("#external_domain", host)
        await page.fill("#theme_colour", "#00695c")
        await page.wait_for_selector("#changes table")
        await accessible_on_both(page)
        for path in ("/domain", "/certificate"):
            await at(path)
            await accessible_on_both(page)
        await console.registry.change(f"initech-{scheme}", TenantForm(external_domain=host), actor="test")
        for _ in range(2):
            await console.use_cases.domains.verify(host, actor="test")
        await at("/domain")
        for summary in await page.query_selector_all("main summary"):
            await summary.click()
        await accessible_on_both(page)
        await at(f"/domain/{host}/release")
        await accessible_on_both(page)
        await at(f"/domain/{host}/vouch")
        await page.click("form.card button")
        await page.wait_for_selector("#reason-fault")
        await accessible_on_both(page)
        await at("/certificate")
        await page.set_input_files("#files", files[:2])
        await page.wait_for_selector("#files-fault")
        await accessible_on_both(page)
    for days in (66, 70):
        made = make(host, issuer=INTERMEDIATE, slot=days, days=(-10, days))
        await console.use_cases.uploads.upload(
            made.pem + INTERMEDIATE.pem,
            made.key_pem,
            passphrase=None,
            tenant_id=(await console.registry.get(f"initech-{scheme}")).tenant.id,
            actor="test",
        )
    async with window(chromium, console_port, f"{below}/certificate", session=session, scheme=scheme) as page:
        await accessible_on_both(page)
        await page.click("tbody th a >> nth=0")
        await page.wait_for_selector("text=Its chain")
        await accessible_on_both(page)
        await page.goto(f"{page.url}/delete")
        async with page.expect_navigation():
            await page.click("form.card button")
        await accessible_on_both(page)


async def test_the_settings_tell_while_one_types(
    console: Stand, console_port: int, chromium: Browser, session: str
) -> None:
    """Faults at their fields, colour and picker in step, record and preview as typed, changes as a list."""
    async with window(chromium, console_port, "/tenants/globex/settings", session=session) as page:
        assert not await page.is_visible("#external_domain")
        await page.check("#external")
        assert await page.is_visible("#external_domain")
        await page.fill("#external_domain", "co.uk")
        await page.wait_for_selector("#external_domain-fault >> text=public_suffix")
        await page.fill("#external_domain", "pay.globex.test")
        await page.wait_for_selector("#external_domain-fault", state="detached")
        record = await console.registry.get("globex")
        told = await page.inner_text(".dns")
        assert "pay.globex.test" in told
        assert record.cname_target in told

        await page.fill("#theme_colour", "#C21")
        assert await page.input_value("#theme_picker") == "#cc2211"
        await page.wait_for_selector("#changes >> text=#cc2211")
        await page.eval_on_selector(
            "#theme_picker",
            """picker => {
              picker.value = "#123456";
              picker.dispatchEvent(new Event("input", {bubbles: true}));
            }""",
        )
        assert await page.input_value("#theme_colour") == "#123456"
        await page.wait_for_selector("#changes >> text=#123456")
        for scheme in ("light", "dark"):
            frame = next(each for each in page.frames if f"scheme={scheme}" in each.url)
            await frame.wait_for_url("**%23123456**")
            assert "color-scheme:" + scheme in await frame.content()
        assert (await console.registry.get("globex")).tenant == record.tenant  # nothing is saved so far

        async with page.expect_navigation(url="**/settings?done=saved"):
            await page.click("text=Save changes")
        saved = (await console.registry.get("globex")).tenant
        assert saved.branding.theme_colour == "#123456"


async def test_a_file_is_judged_as_it_is_dropped(
    console: Stand, console_port: int, chromium: Browser, session: str, files: list[str], tmp_path: Path
) -> None:
    """Dropped anywhere on the form it is judged, and nothing is stored; the fault is told at the field."""
    async with window(chromium, console_port, "/tenants/acme/certificate", session=session) as page:
        await page.evaluate(
            """() => {
              const dropped = new DataTransfer();
              dropped.items.add(new File(["no certificate"], "notes.txt"));
              document.querySelector("form[data-check]").dispatchEvent(
                new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
            }"""
        )
        await page.wait_for_selector("#files-fault >> text=unreadable")
        film = tmp_path / "film.pem"
        film.write_bytes(b"x" * 2_000_000)
        await page.set_input_files("#files", film)
        await page.wait_for_selector("#files-fault >> text=too_large")
        await page.set_input_files("#files", files)
        await page.wait_for_selector("#files-fault >> text=hostname_not_covered")
    assert await console.use_cases.vault.of(console.acme.id) == []


async def test_what_is_wrong_with_a_pasted_certificate_is_told_at_the_text(
    console_port: int, chromium: Browser, session: str
) -> None:
    """With the page's script as well as by its form; what was chosen as files is not blamed."""
    async with window(chromium, console_port, "/tenants/acme/certificate", session=session) as page:
        await page.click("text=Or paste it")
        await page.fill("#pasted", "no certificate")
        await page.wait_for_selector("#pasted-fault >> text=unreadable")
        assert await page.locator("#files-fault").count() == 0
        await page.click("text=Check only")
        await page.wait_for_selector(".summary a[href='#pasted']")
        assert await page.is_visible("#pasted-fault")
        assert await page.locator("#files-fault").count() == 0


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no-scripts"])
async def test_a_new_operator_sets_up_a_tenant(
    console: Stand,
    console_port: int,
    chromium: Browser,
    files: list[str],
    javascript: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """From the link to a tenant with its own domain and certificate, by what the pages say alone."""
    slug = f"umbrella-{javascript}".lower()
    email = f"eve-{javascript}@example.com".lower()
    token, _ = await console.use_cases.operators.add(email, tenant_id=None, read_only=False, actor="test")
    async with window(chromium, console_port, f"/welcome?t={token}", javascript=javascript) as page:
        await page.fill("#password", PASSWORD)
        await page.fill("#again", PASSWORD)
        await page.click("main button")

        await page.click("nav >> text=Tenants")
        await page.click("text=New tenant")
        await page.fill("#portal_address", slug)
        await page.fill("#name", "Umbrella")
        await page.fill("#theme_colour", "#B71C1C")
        await page.fill("#upstreams", "http://127.0.0.1:9")
        await page.click("main form button")

        await page.wait_for_selector("h1 >> text=Customer access settings")
        await page.check("#external")
        await page.fill("#external_domain", "shop.umbrella.test")
        target = await page.inner_text(".dns code[aria-label=Value]")
        if javascript:
            await page.wait_for_selector("#changes table")
        await page.click("text=Save changes")
        if not javascript:
            await page.wait_for_selector("h1 >> text=Save these changes?")
            await page.click("text=Save changes")
        await page.wait_for_selector("[role=status]")

        await page.click("nav >> text=Domain")
        console.dns.records["shop.umbrella.test."] = [f"CNAME {target}. 60"]  # as the page says
        await page.click("text=Look again now")
        await page.wait_for_selector(".badge.good >> text=active")

        await page.click("nav >> text=Certificate >> nth=-1")
        await page.set_input_files("#files", files)
        if javascript:
            await page.wait_for_selector(".verdict >> text=It serves shop.umbrella.test at once.")
        await page.click("text=Upload and activate")
        await page.wait_for_selector("tbody >> text=shop.umbrella.test")

        await page.click("nav >> text=Domain")
        assert await page.locator(".steps > li.done").count() == 3
        await page.click("text=Give it up…")  # so that the other of the two may have it
        await page.click("main button >> text=Give it up")
        await page.wait_for_selector("[role=status]")
    record = await console.registry.get(slug)
    [certificate] = await console.use_cases.vault.of(record.tenant.id)
    assert certificate.names == ("shop.umbrella.test",)
