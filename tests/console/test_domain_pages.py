"""The way to a hostname of one's own, through the operators' pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.tenants.form import TenantForm
from router.tenants.story import tell
from tests.console.page_browser import database_away, signed_in

if TYPE_CHECKING:
    from router.tenants.claims import Claim
    from router.tenants.domains import Standing
    from tests.console.page_browser import PageBrowser, Shown
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE = "/tenants/acme/domain"
HOST = "billing.acme.test"
ONE = f"{PAGE}/{HOST}"


async def claim(stand: Stand) -> Standing:
    """Have Acme claim the hostname, not by a page."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    return await standing(stand)


async def standing(stand: Stand) -> Standing:
    """How the claim stands."""
    return await stand.use_cases.domains.status(HOST, slug="acme")


async def claims(stand: Stand) -> dict[str, Claim]:
    """Acme's claims to hostnames of its own."""
    record = await stand.registry.get("acme")
    return {str(each.hostname): each for each in record.claims if each.kind == "external"}


async def version(stand: Stand) -> str:
    """Acme's version."""
    return str((await stand.registry.get("acme")).tenant.version)


async def use(stand: Stand, browser: PageBrowser, hostname: str, **more: str) -> Shown:
    """Claim a hostname by the form."""
    return await browser.post(PAGE, {"hostname": hostname, "version": await version(stand)} | more)


async def test_from_nothing_to_an_active_hostname(stand: Stand) -> None:
    """Claimed; the record to create is shown; what was seen, and of whom; created; looked for; active."""
    browser = await signed_in(stand, stand.acme)
    assert "no hostname of its own" in (await browser.get(PAGE)).body
    claimed = await use(stand, browser, HOST)
    assert claimed.location == f"{PAGE}?done=claimed"
    page = await browser.get(claimed.location)
    target = (await stand.registry.get("acme")).cname_target
    for part in ("<code>CNAME</code>", HOST, target, (await claims(stand))[HOST].txt_token):
        assert part in page.body

    looked = await browser.post(f"{ONE}/verify")
    assert looked.location == f"{PAGE}?done=looked"
    missed = await browser.get(PAGE)
    story = (await standing(stand)).story
    assert (story.code, story.sentence in missed.body) == ("no_such_name", True)
    assert stand.dns.address in missed.body
    assert "no such name" in missed.body
    assert story.next_step in missed.body

    stand.dns.records[f"{HOST}."] = [f"CNAME {target}. 60"]
    await browser.post(f"{ONE}/verify")
    assert (await claims(stand))[HOST].state == "active"
    active = await browser.get(PAGE)
    assert "leads to the tenant&#39;s own target" in active.body
    assert "Earlier looks (1)" in active.body


@pytest.mark.parametrize(
    ("hostname", "code"),
    [
        ("", "hostname_missing"),
        ("192.0.2.1", "ip_address"),
        ("*.acme.test", "wildcard"),
        ("x.portal.example", "under_platform"),
        ("co.uk", "public_suffix"),
        ("a b", "bad_hostname"),
        ("router.local", "reserved_name"),
    ],
    ids=lambda value: value.replace("*", "star").replace(" ", "-"),
)
async def test_bad_hostnames_are_told_at_the_field(stand: Stand, hostname: str, code: str) -> None:
    """422 with the code, what was typed kept, nothing claimed."""
    browser = await signed_in(stand, stand.acme)
    shown = await use(stand, browser, hostname)
    assert (shown.status, shown.codes) == (422, [code])
    assert 'id="hostname-fault"' in shown.body
    assert shown.value("hostname") == hostname
    assert await claims(stand) == {}


async def test_behind_a_cdn_the_txt_record_is_wanted(stand: Stand) -> None:
    """Said by its button: the TXT record alone is wanted then, and found; and it can be taken back."""
    await claim(stand)
    browser = await signed_in(stand, stand.acme)
    noted = await browser.post(f"{ONE}/cdn", {"behind_cdn": "yes", "version": await version(stand)})
    assert noted.location == f"{PAGE}?done=cdn"
    page = await browser.get(PAGE)
    assert "<code>TXT</code>" in page.body
    assert "<code>CNAME</code>" not in page.body
    await browser.post(f"{ONE}/verify")
    assert f"CNAME {HOST}" not in (await browser.get(PAGE)).body  # nobody waits for that
    found = (await claims(stand))[HOST]
    stand.dns.records[f"{found.txt_name}."] = [f"TXT {found.txt_token} 60"]
    await browser.post(f"{ONE}/verify")
    assert ((await claims(stand))[HOST].state, (await claims(stand))[HOST].behind_cdn) == ("active", True)
    await browser.post(f"{ONE}/cdn", {"behind_cdn": "no", "version": await version(stand)})
    assert not (await claims(stand))[HOST].behind_cdn
    stale = await browser.post(f"{ONE}/cdn", {"behind_cdn": "yes", "version": "1"})
    assert (stale.status, stale.codes) == (409, ["changed_meanwhile"])


async def test_a_hostname_is_given_up_after_asking_once_more(stand: Stand) -> None:
    """A page says what comes of it; sent, the claim is released."""
    await claim(stand)
    browser = await signed_in(stand, stand.acme)
    asked = await browser.get(f"{ONE}/release")
    assert "stops answering" in asked.body
    assert (await browser.post(f"{ONE}/release")).location == f"{PAGE}?done=released"
    assert (await claims(stand))[HOST].state == "released"
    assert (await browser.get(f"{ONE}/release")).status == 404


async def test_a_platform_operator_vouches_with_a_reason(stand: Stand) -> None:
    """Without a reason 422 at the field; with one the hostname is active, and the page says by whose word."""
    await claim(stand)
    browser = await signed_in(stand)
    bare = await browser.post(f"{ONE}/vouch", {"reason": " "})
    assert (bare.status, bare.codes) == (422, ["reason_missing"])
    odd = await browser.post(f"{ONE}/vouch", {"reason": "a\x00b"})
    assert (odd.status, odd.codes) == (422, ["bad_reason"])
    vouched = await browser.post(f"{ONE}/vouch", {"reason": "Contract 4711"})
    assert vouched.location == f"{PAGE}?done=vouched"
    assert (await claims(stand))[HOST].state == "active"
    page = await browser.get(PAGE)
    assert "Contract 4711" in page.body
    assert "A platform operator vouched for it." in page.body


async def test_a_platform_operator_refuses_and_switches_off(stand: Stand) -> None:
    """Refused and taken back, vouched for, switched off and on again, each by its page or button."""
    await claim(stand)
    browser, reason = await signed_in(stand), {"reason": "Not theirs"}
    steps: tuple[tuple[str, dict[str, str], str], ...] = (
        ("block", reason, "blocked"),
        ("unblock", {}, "pending"),
        ("vouch", reason, "active"),
        ("suspend", reason, "suspended"),
        ("resume", {}, "active"),
    )
    for word, sent, state in steps:
        answer = await browser.post(f"{ONE}/{word}", sent)
        assert (answer.status, (await claims(stand))[HOST].state) == (303, state), word
        assert (await browser.get(answer.location)).notice
    impossible = await browser.post(f"{ONE}/unblock")
    assert (impossible.status, impossible.codes) == (409, ["claim_state"])


async def test_who_may_do_what(stand: Stand) -> None:
    """A reader sees no button; a tenant's operator cannot decide; what is sent all the same is a 403."""
    await claim(stand)
    reader = await signed_in(stand, stand.acme, read_only=True)
    page = await reader.get(PAGE)
    assert (page.status, HOST in page.body) == (200, True)
    assert f"{ONE}/" not in page.body
    assert "Use another hostname" not in page.body
    operator = await signed_in(stand, stand.acme)
    assert "vouch" not in (await operator.get(PAGE)).body
    changing = ("verify", "cdn", "release")
    deciding = ("vouch", "block", "suspend", "unblock", "resume")
    for browser, words in ((reader, (*changing, *deciding)), (operator, deciding)):
        for word in words:
            assert (await browser.post(f"{ONE}/{word}", {"reason": "x"})).status == 403, word
    assert (await use(stand, reader, "other.acme.test")).status == 403
    assert list(await claims(stand)) == [HOST]


async def test_anothers_domain_does_not_exist(stand: Stand) -> None:
    """Every page and button of another tenant's, and those of a hostname that is not claimed, are a 404."""
    await claim(stand)
    globex = await signed_in(stand, stand.globex)
    assert (await globex.get(PAGE)).status == 404
    for word in ("verify", "cdn", "release"):
        assert (await globex.post(f"{ONE}/{word}")).status == 404
    acme, other = await signed_in(stand, stand.acme), f"{PAGE}/www.globex.test"
    assert (await acme.get(f"{other}/release")).status == 404
    for word in ("verify", "cdn", "release"):
        assert (await acme.post(f"{other}/{word}", {"version": "1"})).status == 404, word


async def test_two_who_claim_at_once(stand: Stand) -> None:
    """The form of who looked before the other saved is a conflict, and claims nothing."""
    browser = await signed_in(stand, stand.acme)
    before = await version(stand)
    await use(stand, browser, HOST)
    late = await browser.post(PAGE, {"hostname": "late.acme.test", "version": before})
    assert (late.status, late.codes) == (409, ["changed_meanwhile"])
    assert "late.acme.test" in late.body
    assert list(await claims(stand)) == [HOST]


async def test_no_sentence_speaks_of_commands(stand: Stand) -> None:
    """What the page advises is what it has itself; the words are else those of the command line."""
    found = await claim(stand)
    browser = await signed_in(stand)
    await browser.post(f"{ONE}/block", {"reason": "Not theirs"})
    page = await browser.get(PAGE)
    assert "tenant-router domain" not in page.body
    assert "“Take the refusal back”" in page.body
    assert tell((await claims(stand))[HOST], found.target).sentence in page.body


async def test_while_the_database_is_away(stand: Stand) -> None:
    """The page is a 503 that says when to try again."""
    browser = await signed_in(stand, stand.acme)
    with database_away(stand):
        shown = await browser.get(PAGE)
    assert (shown.status, "Retry-After" in shown.headers) == (503, True)
