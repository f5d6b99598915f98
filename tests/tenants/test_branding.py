"""How a portal looks and speaks: what operators type, and how it is stored, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from router.errors import BadInput
from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.schema import audit, images, tenants
from router.tenants.branding import (
    BrandingForm,
    judge_branding,
    parse_email,
    parse_greeting,
    parse_phone,
    parse_url,
)
from router.tenants.form import TenantForm
from router.tenants.picture_rows import KEPT, find_picture
from router.tenants.registry import Registry
from router.tenants.tenant import Branding
from tests.tenants.drawing import drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.database import Database

FORM = TenantForm("Acme Tools", "#0B6E4F", ["http://1.1.1.1:8080"])
TEXTS = BrandingForm(
    theme="ledger",
    portal_name="  Mein   Acme ",
    greeting="Schön, dass Sie da sind!",
    language="DE",
    support_email="hilfe@Acme.example",
    support_phone="+49 30 123456-0",
    support_url="https://Acme.example/hilfe?a=b#c",
    imprint_url="https://acme.example",
    privacy_url="https://acme.example:8443/datenschutz",
    reply_to="service@acme.example",
)
EMPTY = BrandingForm(
    theme="",
    portal_name="",
    greeting="",
    language="",
    support_email="",
    support_phone="",
    support_url="",
    imprint_url="",
    privacy_url="",
    reply_to="",
    logo=b"",
    favicon=b"",
)


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry whose clock goes on by a second with each look."""
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    return Registry(
        database,
        PollBell(),
        platform_domain=Hostname("portal.example"),
        allow_private_upstreams=False,
        clock=lambda: next(seconds),
    )


async def test_a_branding_is_stored_as_it_was_read(registry: Registry) -> None:
    """Every text comes back in its plain spelling, and one that is set to nothing is gone."""
    record = await registry.add("acme", replace(FORM, branding=TEXTS), actor="test")
    expected = Branding(
        "Acme Tools",
        "#0b6e4f",
        theme="ledger",
        portal_name="Mein Acme",
        greeting="Schön, dass Sie da sind!",
        language="de",
        support_email="hilfe@acme.example",
        support_phone="+49 30 123456-0",
        support_url="https://acme.example/hilfe?a=b#c",
        imprint_url="https://acme.example/",
        privacy_url="https://acme.example:8443/datenschutz",
        reply_to="service@acme.example",
    )
    assert record.tenant.branding == expected
    assert (await registry.get("acme")).tenant.branding == expected
    gone = await registry.change("acme", TenantForm(branding=EMPTY), actor="test")
    assert gone.tenant.branding == Branding("Acme Tools", "#0b6e4f")


async def test_what_is_not_named_stays(registry: Registry) -> None:
    """A change of one text leaves the others, and the same again is no change."""
    before = await registry.add("acme", replace(FORM, branding=TEXTS), actor="test")
    form = TenantForm(branding=BrandingForm(greeting="Hello"))
    after = await registry.change("acme", form, actor="test")
    assert after.tenant.branding == replace(before.tenant.branding, greeting="Hello")
    assert (await registry.change("acme", form, actor="test")).tenant.version == after.tenant.version


async def test_only_what_is_said_is_stored(registry: Registry, database: Database) -> None:
    """The column holds what differs, and what a newer version wrote besides is no hindrance."""
    await registry.add("acme", FORM, actor="test")
    async with database.read() as connection:
        assert await connection.scalar(select(tenants.c.branding)) == {}
    async with database.write() as connection:
        await connection.execute(update(tenants).values(branding={"greeting": "Hi", "of_2030": [1]}))
    assert (await registry.get("acme")).tenant.branding.greeting == "Hi"


async def test_the_audit_says_what_changed(registry: Registry, database: Database) -> None:
    """A change of the branding is told field by field, and no picture's octets are in it."""
    await registry.add("acme", FORM, actor="test")
    form = TenantForm(branding=BrandingForm(greeting="Hi", logo=drawn()))
    await registry.change("acme", form, actor="test")
    async with database.read() as connection:
        detail = await connection.scalar(select(audit.c.detail).order_by(audit.c.sequence.desc()).limit(1))
    assert detail is not None
    assert detail["greeting"] == {"from": None, "to": "Hi"}
    assert set(detail) == {"greeting", "logo"}
    assert set(detail["logo"]["to"]) == {"fingerprint", "content_type", "width", "height", "light"}


async def test_a_logo_is_stored_with_the_change(registry: Registry, database: Database) -> None:
    """A picture is found by tenant and fingerprint, by nobody else's, and can be taken away."""
    acme = await registry.add("acme", replace(FORM, branding=BrandingForm(logo=drawn())), actor="test")
    globex = await registry.add("globex", FORM, actor="test")
    logo = acme.tenant.branding.logo
    assert logo is not None
    async with database.read() as connection:
        found = await find_picture(connection, acme.tenant.id, logo.fingerprint)
        assert found is not None
        assert (found[0], found[1][:4]) == ("image/png", b"\x89PNG")
        assert await find_picture(connection, globex.tenant.id, logo.fingerprint) is None
    gone = await registry.change("acme", TenantForm(branding=BrandingForm(logo=b"")), actor="test")
    assert gone.tenant.branding.logo is None


async def test_few_pictures_are_kept(registry: Registry, database: Database) -> None:
    """The latest of each kind stay, the present one among them; one uploaded again is the latest."""
    first = await registry.add("acme", replace(FORM, branding=BrandingForm(favicon=drawn())), actor="test")
    last = first
    for size in (*range(10, 20), 10):
        form = TenantForm(branding=BrandingForm(logo=drawn(size=size)))
        last = await registry.change("acme", form, actor="test")
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(images)) == KEPT + 1
        for image in (first.tenant.branding.favicon, last.tenant.branding.logo):
            assert image is not None
            assert await find_picture(connection, first.tenant.id, image.fingerprint) is not None


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (BrandingForm(theme="../x"), "bad_theme"),
        (BrandingForm(portal_name="x" * 81), "bad_portal_name"),
        (BrandingForm(greeting="x" * 201), "bad_greeting"),
        (BrandingForm(greeting="a\x00b"), "bad_greeting"),
        (BrandingForm(language="klingon"), "bad_language"),
        (BrandingForm(support_email="nobody"), "bad_email"),
        (BrandingForm(reply_to="a@b.example\r\nBcc: c@d.example"), "bad_email"),
        (BrandingForm(support_phone="call me"), "bad_phone"),
        (BrandingForm(support_url="javascript:alert(1)"), "bad_url"),
        (BrandingForm(imprint_url="http://acme.example/"), "bad_url"),
        (BrandingForm(logo=b"GIF89a"), "bad_picture"),
        (BrandingForm(favicon=b"<svg/>"), "bad_svg"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_fault_changes_nothing(registry: Registry, form: BrandingForm, code: str) -> None:
    """What cannot be is refused with the code of its field, and the tenant stays as it was."""
    before = await registry.add("acme", FORM, actor="test")
    with pytest.raises(BadInput) as caught:
        await registry.change("acme", TenantForm(name="Other", branding=form), actor="test")
    assert caught.value.code == code
    assert await registry.get("acme") == before


@pytest.mark.parametrize(
    ("read", "typed"),
    [
        (parse_email, "a@b@c.example"),
        (parse_email, "a b@c.example"),
        (parse_email, "<a@c.example>"),
        (parse_email, "a@-c.example"),
        (parse_email, "ä@c.example"),
        (parse_email, f"{'a' * 65}@c.example"),
        (parse_url, "https://"),
        (parse_url, "https://user:pass@acme.example/"),
        (parse_url, "https://acme.example\\@evil.example/"),
        (parse_url, "https://acme.example/a b"),
        (parse_url, 'https://acme.example/"><script>'),
        (parse_url, "https://acme.example/\n"),
        (parse_url, "//acme.example/"),
        (parse_url, "https://acme.example/" + "x" * 500),
        (parse_phone, "12"),
        (parse_phone, "0" * 41),
        (parse_phone, "++1 23"),
    ],
)
def test_what_is_odd_is_refused(read: Callable[[str], str], typed: str) -> None:
    """Addresses go into links and heads of mails: only plain ones do."""
    if typed.endswith(("\n", '"><script>')):
        assert parse_url(typed).isascii()  # trimmed, or escaped wherever it is shown
        return
    with pytest.raises(BadInput):
        read(typed)


def test_a_greeting_is_one_paragraph() -> None:
    """Lines and runs of spaces become single spaces."""
    assert parse_greeting("  Hello,\n  you. ") == "Hello, you."


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("ftp://erp.example/", "bad_url"),
        ("http://127.0.0.1/check", "bad_registration_check"),
        ("https://169.254.169.254/latest", "bad_registration_check"),
    ],
)
async def test_the_registration_check_is_no_way_inside(registry: Registry, typed: str, code: str) -> None:
    """The URL that the router asks may not be where an upstream may not be."""
    with pytest.raises(BadInput) as caught:
        await registry.add("acme", replace(FORM, registration_check=typed), actor="test")
    assert caught.value.code == code


async def test_the_registration_check_is_set_and_taken_away(registry: Registry) -> None:
    """A URL comes back as it was typed, and an empty one is none."""
    form = replace(FORM, registration_check="https://1.1.1.1/belongs?to=us")
    record = await registry.add("acme", form, actor="test")
    assert record.tenant.registration_check == "https://1.1.1.1/belongs?to=us"
    gone = await registry.change("acme", TenantForm(registration_check=""), actor="test")
    assert gone.tenant.registration_check == ""


async def test_nothing_typed_is_nothing_judged() -> None:
    """An empty form changes no field and decodes no picture."""
    values: tuple[dict[str, Any], object] = await judge_branding(BrandingForm())
    assert values == ({}, {})
