"""Customer access settings, through the operators' pages."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from router.tenants.form import TenantForm
from tests.console.page_browser import database_away, signed_in

if TYPE_CHECKING:
    from router.tenants.rows import TenantRecord
    from tests.console.page_browser import PageBrowser
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE = "/tenants/acme/settings"
HOST = "billing.acme.test"


async def acme(stand: Stand) -> TenantRecord:
    """Acme as it is stored."""
    return await stand.registry.get("acme")


async def form(stand: Stand, **typed: str) -> dict[str, str]:
    """Fill in the form as it is, but for what is typed; ``confirmed`` as the script does."""
    version = str((await acme(stand)).tenant.version)
    filled = {"version": version, "theme_colour": "#0b6e4f", "allow_registration": "yes", "confirmed": "yes"}
    return {name: value for name, value in (filled | typed).items() if value}


async def send(stand: Stand, browser: PageBrowser, **typed: str) -> tuple[int, list[str]]:
    """Send the form; the status and the codes of the faults."""
    shown = await browser.post(PAGE, await form(stand, **typed))
    return shown.status, shown.codes


async def test_the_form_has_the_products_fields(stand: Stand) -> None:
    """Address, own hostname, colour, registration, Save changes, each filled in as it is stored."""
    shown = await (await signed_in(stand, stand.acme)).get(PAGE)
    assert shown.status == 200
    assert shown.title == "Customer access settings"
    labels = (
        "Customer portal address",
        "Use external sub-domain",
        "Theme colour",
        "Allow customer registration",
    )
    assert [label for label in labels if label not in shown.body] == []
    assert "Save changes</button>" in shown.body
    assert 'value="https://acme.portal.example:8443"' in shown.body
    assert shown.value("theme_colour") == "#0b6e4f"
    assert (await acme(stand)).cname_target in shown.body


async def test_what_changes_is_shown_before_it_is_saved(stand: Stand) -> None:
    """Without the script a page lists field, from and to; nothing is stored until that is confirmed."""
    browser = await signed_in(stand, stand.acme)
    typed = await form(
        stand,
        confirmed="",
        external="yes",
        external_domain=HOST,
        theme_colour="#C2185B",
        allow_registration="",
    )
    asked = await browser.post(PAGE, typed)
    assert (asked.status, asked.title) == (200, "Save these changes?")
    for part in ("#0b6e4f", "#c2185b", HOST, "by invitation only", "as soon as its DNS record is found"):
        assert part in asked.body
    assert (await acme(stand)).tenant == stand.acme

    back = await browser.post(PAGE, typed | {"back": "yes"})
    assert (back.title, back.value("theme_colour")) == ("Customer access settings", "#C2185B")

    saved = await browser.post(PAGE, {name: asked.value(name) for name in typed} | {"confirmed": "yes"})
    assert (saved.status, saved.location) == (303, f"{PAGE}?done=saved")
    assert (await browser.get(saved.location)).notice == "The settings are saved, and apply at once."
    record = await acme(stand)
    assert record.tenant.branding.theme_colour == "#c2185b"
    assert not record.tenant.allow_registration
    assert [str(claim.hostname) for claim in record.claims if claim.kind == "external"] == [HOST]


async def test_saying_what_is_so_already_saves_nothing(stand: Stand) -> None:
    """The page says that there is nothing to save, and the version stays; capitals are no change."""
    browser = await signed_in(stand, stand.acme)
    shown = await browser.post(PAGE, await form(stand, theme_colour="#0B6E4F"))
    assert shown.location == f"{PAGE}?done=same"
    assert (await acme(stand)).tenant.version == stand.acme.version


@pytest.mark.parametrize(
    ("typed", "field", "code"),
    [
        ({"theme_colour": "green"}, "theme_colour", "bad_colour"),
        ({"theme_colour": " "}, "theme_colour", "theme_colour_missing"),
        ({"external": "yes"}, "external_domain", "external_domain_missing"),
        ({"external": "yes", "external_domain": "192.0.2.1"}, "external_domain", "ip_address"),
        ({"external": "yes", "external_domain": "*.acme.test"}, "external_domain", "wildcard"),
        ({"external": "yes", "external_domain": "co.uk"}, "external_domain", "public_suffix"),
        ({"external": "yes", "external_domain": "x.portal.example"}, "external_domain", "under_platform"),
        ({"external": "yes", "external_domain": "https://a.test/"}, "external_domain", "bad_hostname"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_input_is_told_at_its_field(
    stand: Stand, typed: dict[str, str], field: str, code: str
) -> None:
    """422, the code in the summary and at the field, what was typed kept, nothing saved; the check agrees."""
    browser = await signed_in(stand, stand.acme)
    shown = await browser.post(PAGE, await form(stand, **typed))
    assert (shown.status, shown.codes) == (422, [code])
    assert f'id="{field}-fault"' in shown.body
    assert shown.value("external_domain") == typed.get("external_domain", "")
    assert (await acme(stand)).tenant.version == stand.acme.version
    query = urlencode({"theme_colour": "#0b6e4f"} | typed)
    checked = json.loads((await browser.get(f"{PAGE}/check?{query}")).body)
    # What the script says of an empty field is said of it as a value: one is on the way to typing there.
    assert checked["faults"][field]["code"] == code.replace("theme_colour_missing", "bad_colour")


async def test_the_check_tells_what_saving_would_change(stand: Stand) -> None:
    """While one types, the page's script is told the same changes, and nothing is saved."""
    browser = await signed_in(stand, stand.acme)
    shown = await browser.get(f"{PAGE}/check?theme_colour=%23c2185b&allow_registration=yes")
    told = json.loads(shown.body)
    assert told["faults"] == {}
    assert "#c2185b" in told["changes"]
    assert "Allow customer registration" not in told["changes"]
    assert (await acme(stand)).tenant == stand.acme


async def test_two_who_save_at_once_lose_nothing(stand: Stand) -> None:
    """The first is saved, the second gets the conflict page with what was typed by its name."""
    browsers = [await signed_in(stand, stand.acme, email=f"{name}@acme.example") for name in ("ann", "bob")]
    forms = [await form(stand, theme_colour=colour) for colour in ("#111111", "#222222")]
    answers = await asyncio.gather(
        *(browser.post(PAGE, typed) for browser, typed in zip(browsers, forms, strict=True))
    )
    assert sorted(answer.status for answer in answers) == [303, 409]
    [refused] = [answer for answer in answers if answer.status == 409]
    assert refused.codes == ["changed_meanwhile"]
    assert "Theme colour" in refused.body
    lost = forms[answers.index(refused)]["theme_colour"]
    assert lost in refused.body
    assert (await acme(stand)).tenant.branding.theme_colour != lost


async def test_an_own_hostname_is_given_up_by_unticking(stand: Stand) -> None:
    """Ticked and saved, then unticked: the page says what that means first, and the claim is released."""
    browser = await signed_in(stand, stand.acme)
    assert await send(stand, browser, external="yes", external_domain=HOST) == (303, [])
    assert (await browser.get(PAGE)).value("external_domain") == HOST
    asked = await browser.post(PAGE, await form(stand, confirmed="", external_domain=HOST))
    assert "is given up and stops answering at once" in asked.body
    assert await send(stand, browser, external_domain=HOST) == (303, [])
    states = {claim.hostname: claim.state for claim in (await acme(stand)).claims if claim.kind == "external"}
    assert states == {HOST: "released"}


async def test_behind_a_cdn_the_txt_record_is_shown(stand: Stand) -> None:
    """Where a CDN stands before the hostname, the record to create is the one that proves it there."""
    form = TenantForm(external_domain=HOST, behind_cdn=True)
    record = await stand.registry.change("acme", form, actor="test")
    [claim] = [each for each in record.claims if each.kind == "external"]
    shown = await (await signed_in(stand, stand.acme)).get(PAGE)
    assert claim.txt_name in shown.body
    assert claim.txt_token in shown.body
    assert "<code>CNAME</code>" not in shown.body


async def test_a_reader_looks_and_changes_nothing(stand: Stand) -> None:
    """No form for whoever may only read; sending one all the same is a 403, and so is the check."""
    for tenant in (stand.acme, None):
        reader = await signed_in(stand, tenant, read_only=True)
        shown = await reader.get(PAGE)
        assert shown.status == 200
        assert "<button>Save changes" not in shown.body
        assert "#0b6e4f" in shown.body
        assert (await send(stand, reader, theme_colour="#c2185b"))[0] == 403
        assert (await reader.get(f"{PAGE}/check?theme_colour=%23c2185b")).status == 403
    assert (await acme(stand)).tenant == stand.acme


async def test_anothers_settings_do_not_exist(stand: Stand) -> None:
    """Page, check, preview and form of another tenant are the 404 of one that there never was."""
    browser = await signed_in(stand, stand.globex)
    for path in (PAGE, f"{PAGE}/check", f"{PAGE}/preview", "/tenants/acme"):
        answers = [await browser.get(path), await browser.get(path.replace("acme", "nobody"))]
        assert [answer.status for answer in answers] == [404, 404]
        assert answers[0].body == answers[1].body
    assert (await send(stand, browser, theme_colour="#c2185b"))[0] == 404


async def test_the_preview_is_the_page_as_it_would_be(stand: Stand) -> None:
    """In the colour typed and the scheme asked for; it stands in frames of ours alone, and is dead."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    for scheme in ("light", "dark"):
        shown = await browser.get(f"{PAGE}/preview?theme_colour=%23c2185b&scheme={scheme}")
        assert "--fill:#c2185b" in shown.body
        assert f"color-scheme:{scheme}" in shown.body
        policy = shown.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in policy
        assert policy.endswith("sandbox")
        assert "script" not in policy
        assert shown.headers["X-Frame-Options"] == "SAMEORIGIN"
    saved = await browser.get(f"{PAGE}/preview?theme_colour=%3Cb%3E&scheme=light")
    assert "--fill:#0b6e4f" in saved.body  # what is no colour leaves the saved one
    assert (await acme(stand)).tenant == stand.acme


async def test_a_tenants_address_leads_to_its_settings(stand: Stand) -> None:
    """``/tenants/acme`` is where they begin, and so is the front page for an operator of one tenant."""
    browser = await signed_in(stand, stand.acme)
    assert (await browser.get("/tenants/acme")).location == PAGE
    assert (await browser.get("/")).location == PAGE


async def test_while_the_database_is_away_nothing_is_lost(stand: Stand) -> None:
    """503 with Retry-After for page and form; afterwards all is as it was."""
    browser = await signed_in(stand, stand.acme)
    typed = await form(stand, theme_colour="#c2185b") | {"csrf": (await browser.get(PAGE)).csrf}
    with database_away(stand):
        answers = [await browser.get(PAGE), await browser.post(PAGE, typed, page="/static/mark.svg")]
    assert [answer.status for answer in answers] == [503, 503]
    assert all("Retry-After" in answer.headers for answer in answers)
    assert (await acme(stand)).tenant == stand.acme
