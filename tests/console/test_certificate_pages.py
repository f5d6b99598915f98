"""Certificates through the operators' pages: a tenant's, and the platform's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, FormData
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from router.tenants.form import TenantForm
from tests.certificates.maker import ROOT, Made, make, pem_key
from tests.console.page_browser import database_away, signed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.certificates.record import CertificateRecord
    from tests.console.page_browser import PageBrowser, Shown
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE = "/tenants/acme/certificate"
HOST = "billing.acme.test"
PHRASE = b"correct horse"
DAYS = (-10.0, 140.0)
"""From the maker's moment, so that it is valid at the stand's."""

INTERMEDIATE = make(subject="Trusty R3", issuer=ROOT, authority=True, slot=110, days=(-500, 1500))
LEAF = make(HOST, issuer=INTERMEDIATE, slot=111, days=DAYS)
NEXT = make(HOST, issuer=INTERMEDIATE, slot=112, days=DAYS)
PLATFORMS = make("*.portal.example", "portal.example", issuer=INTERMEDIATE, slot=113, days=DAYS)


def whole(made: Made) -> bytes:
    """One file with all of it."""
    return made.pem + INTERMEDIATE.pem + made.key_pem


async def with_host(stand: Stand) -> None:
    """Give Acme its own hostname."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    await stand.registry.activate_domain(HOST, reason="test", actor="test")


async def send(
    browser: PageBrowser, *files: bytes, path: str = PAGE, page: str = "/account", **fields: str
) -> Shown:
    """Send files, chosen in one field, and fields."""
    form = FormData(default_to_multipart=True)
    form.add_field("csrf", (await browser.get(page)).csrf)
    for number, body in enumerate(files):
        form.add_field("files", body, filename=f"file-{number}", content_type="application/octet-stream")
    for name, value in ({"do": "upload"} | fields).items():
        form.add_field(name, value)
    return await browser.send(path, form)


async def held(stand: Stand, *, platform: bool = False) -> Sequence[CertificateRecord]:
    """What is stored, the newest first."""
    return await stand.use_cases.vault.of(None if platform else stand.acme.id)


async def test_files_are_judged_without_being_stored(stand: Stand) -> None:
    """Three files in one field: names, dates, chain up to the root, what it waits for; nothing is kept."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    browser = await signed_in(stand, stand.acme)
    found = await send(browser, INTERMEDIATE.pem, LEAF.key_pem, LEAF.der, do="check")
    assert found.status == 200
    parts = ("It would be accepted", HOST, "Trusty R3", "Root of the tests", f"It waits for {HOST}")
    assert [part for part in parts if part not in found.body] == []
    assert await held(stand) == []


async def test_an_issuer_that_was_not_sent_is_not_called_a_root(stand: Stand) -> None:
    """Where the intermediate is missing, the chain names it, and promises nothing about browsers."""
    await stand.registry.change("acme", TenantForm(external_domain=HOST), actor="test")
    browser = await signed_in(stand, stand.acme)
    found = await send(browser, LEAF.pem, LEAF.key_pem, do="check")
    assert "missing_intermediate" in found.body
    assert "Trusty R3" in found.body
    assert "Its issuer, which is not sent" in found.body
    assert "Root, which" not in found.body


async def test_what_is_no_form_is_refused(stand: Stand) -> None:
    """A part whose head cannot be read is the sender's fault, not ours."""
    browser = await signed_in(stand, stand.acme)
    form = FormData(default_to_multipart=True)
    form.add_field("n" * 9000, "x")
    assert (await browser.send(PAGE, form)).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\r\n\r\n--B--\r\n", 400),
        (b"--Bx\r\n\r\n--B--\r\n", 400),
        (b"\r\n" * 200_000 + b"--B--\r\n", 413),
        (b"--B--\r\n", 403),
    ],
)
async def test_nothing_stands_before_a_forms_first_part(stand: Stand, body: bytes, status: int) -> None:
    """A stranger's megabytes of line ends are not searched for it; a form without parts lacks its token."""
    headers = {"X-Router-Host": "admin.portal.example", "Content-Type": "multipart/form-data; boundary=B"}
    async with (
        ClientSession() as session,
        session.post(f"{stand.url}/sign-in", data=body, headers=headers) as sent,
    ):
        assert sent.status == status


async def test_the_script_is_told_the_same(stand: Stand) -> None:
    """The check answers with the verdict as the page has it, or the fault and its field; nothing is kept."""
    browser = await signed_in(stand, stand.acme)
    good = await send(browser, whole(make("acme.portal.example", slot=111, days=DAYS)), path=f"{PAGE}/check")
    told = json.loads(good.body)
    assert (good.status, told["faults"]) == (200, {})
    assert "acme.portal.example" in told["verdict"]
    bad = await send(browser, LEAF.pem, path=f"{PAGE}/check")
    assert (bad.status, json.loads(bad.body)["faults"]["files"]["code"]) == (200, "no_private_key")
    assert await held(stand) == []


async def test_uploaded_replaced_gone_back_and_deleted(stand: Stand) -> None:
    """The life of two certificates by pages alone, each step told, and asked once more before the last."""
    await with_host(stand)
    browser = await signed_in(stand, stand.acme)
    for made in (LEAF, NEXT):
        answer = await send(browser, whole(made))
        assert answer.location == f"{PAGE}?done=uploaded"
        stand.now += 1
    new, old = await held(stand)
    page = await browser.get(f"{PAGE}?done=uploaded")
    assert "taken in" in page.notice
    assert "superseded" in page.body
    one = await browser.get(f"{PAGE}/{new.id}")
    assert [part for part in (HOST, "Trusty R3", new.fingerprint) if part not in one.body] == []

    back = await browser.post(f"{PAGE}/{new.id}/rollback")
    assert back.location == f"{PAGE}?done=rolled-back"
    assert {each.id: each.state for each in await held(stand)} == {new.id: "superseded", old.id: "active"}
    again = await browser.post(f"{PAGE}/{new.id}/rollback")
    assert (again.status, (await held(stand))[0].state) == (303, "active")

    asked = await browser.post(f"{PAGE}/{new.id}/delete")
    assert (asked.status, asked.codes) == (409, ["last_certificate"])
    assert HOST in asked.body
    assert f"This is the last certificate of {HOST}: upload another first, or tick the box" in asked.body
    deleted = await browser.post(f"{PAGE}/{new.id}/delete", {"even_the_last": "yes"})
    assert deleted.location == f"{PAGE}?done=deleted"
    assert [each.id for each in await held(stand)] == [old.id]


async def test_a_way_back_that_there_is_not(stand: Stand) -> None:
    """What took the place of none has no way back: no button, and a page that says so."""
    browser = await signed_in(stand, stand.acme)
    await with_host(stand)
    await send(browser, whole(LEAF))
    [only] = await held(stand)
    assert "rollback" not in (await browser.get(PAGE)).body
    shown = await browser.post(f"{PAGE}/{only.id}/rollback")
    assert (shown.status, shown.codes) == (409, ["nothing_to_roll_back"])


PFX = pkcs12.serialize_key_and_certificates(
    b"leaf",
    LEAF.key,
    LEAF.certificate,
    [INTERMEDIATE.certificate],
    BestAvailableEncryption(PHRASE),
)
LOCKED = LEAF.pem + pem_key(LEAF.key, PHRASE)
OTHERS = make("www.globex.test", slot=114, days=DAYS)


@pytest.mark.parametrize(
    ("files", "fields", "field", "code"),
    [
        ((), {}, "files", "files_missing"),
        ((b"hello",), {}, "files", "unreadable"),
        ((b" ",), {}, "files", "empty"),
        ((LEAF.pem,), {}, "files", "no_private_key"),
        ((LEAF.pem, NEXT.key_pem), {}, "files", "key_mismatch"),
        ((LOCKED,), {}, "passphrase", "passphrase_needed"),
        ((LOCKED,), {"passphrase": "battery staple"}, "passphrase", "wrong_passphrase"),
        ((PFX,), {"passphrase": "battery staple"}, "passphrase", "wrong_passphrase"),
        ((whole(OTHERS),), {}, "files", "hostname_not_covered"),
        ((b"x" * (256 * 1024 + 1),), {}, "files", "too_large"),
        ((b"x" * 900_000,), {}, "files", "too_large"),
        ((), {"pasted": LEAF.pem.decode()}, "pasted", "no_private_key"),
        ((), {"pasted": "garbage"}, "pasted", "unreadable"),
        ((LEAF.pem,), {"pasted": "garbage"}, "pasted", "unreadable"),
        ((b"garbage",), {"pasted": LEAF.pem.decode()}, "files", "unreadable"),
        ((), {"pasted": LOCKED.decode()}, "passphrase", "passphrase_needed"),
    ],
    ids=[
        "nothing",
        "no-certificate",
        "blank",
        "no-key",
        "other-key",
        "locked",
        "wrong-phrase",
        "pkcs12-wrong-phrase",
        "others-name",
        "too-large",
        "far-too-large",
        "pasted-without-key",
        "pasted-garbage",
        "garbage-beside-a-file",
        "garbage-file-beside-the-pasted",
        "pasted-locked",
    ],
)
async def test_what_is_refused_is_told_at_its_field(
    stand: Stand, files: tuple[bytes, ...], fields: dict[str, str], field: str, code: str
) -> None:
    """422 with the code and a sentence, by the button and by the check; nothing is stored or shown again."""
    browser = await signed_in(stand, stand.acme)
    shown = await send(browser, *files, **fields)
    assert (shown.status, shown.codes) == (422, [code])
    assert f'id="{field}-fault"' in shown.body
    assert ("<details open>" in shown.body) is (field == "pasted")
    assert "-----BEGIN" not in shown.body
    assert fields.get("passphrase", "-----") not in shown.body
    checked = json.loads((await send(browser, *files, path=f"{PAGE}/check", **fields)).body)
    assert checked["faults"][field]["code"] == code
    assert await held(stand) == []


@pytest.mark.parametrize("way", ["pasted", "pkcs12", "locked"])
async def test_other_ways_in(stand: Stand, way: str) -> None:
    """Pasted, as PKCS#12, and with a protected key: all are taken in, and no answer has the key in it."""
    await with_host(stand)
    browser, phrase = await signed_in(stand, stand.acme), PHRASE.decode()
    match way:
        case "pasted":
            answer = await send(browser, pasted=whole(LEAF).decode())
        case "pkcs12":
            answer = await send(browser, PFX, passphrase=phrase)
        case _:
            answer = await send(browser, LOCKED, INTERMEDIATE.pem, passphrase=phrase)
    assert answer.status == 303
    [record] = await held(stand)
    for path in (PAGE, f"{PAGE}/{record.id}"):
        assert "PRIVATE KEY" not in (await browser.get(path)).body


async def test_the_platforms_certificates(stand: Stand) -> None:
    """The same for the platform: taken in, listed, shown, deleted; for its own operators alone."""
    browser = await signed_in(stand)
    answer = await send(browser, whole(PLATFORMS), path="/certificates")
    assert answer.location == "/certificates?done=uploaded"
    [record] = await held(stand, platform=True)
    for path in ("/certificates", f"/certificates/{record.id}"):
        assert "*.portal.example" in (await browser.get(path)).body
    tenants = await signed_in(stand, stand.acme)
    for path in ("/certificates", f"/certificates/{record.id}"):
        assert (await tenants.get(path)).status == 403
    assert (await send(tenants, whole(PLATFORMS), path="/certificates")).status == 403
    assert (await browser.get(f"{PAGE}/{record.id}")).status == 404  # not this tenant's
    gone = await browser.post(f"/certificates/{record.id}/delete", {"even_the_last": "yes"})
    assert gone.location == "/certificates?done=deleted"


async def test_the_nodes_files_are_told_of(stand: Stand) -> None:
    """What a node serves from its folder is listed apart: all, and what failed, for the platform alone."""
    (stand.certs / "wildcard.pem").write_bytes(whole(PLATFORMS))
    (stand.certs / "other.pem").write_bytes(whole(OTHERS))
    (stand.certs / "broken.pem").write_bytes(LEAF.pem)
    folder = stand.use_cases.certificate_folder
    for _ in range(2):  # settled is what two looks saw alike
        await folder.look()
    platform = await (await signed_in(stand)).get("/certificates")
    parts = ("*.portal.example", "www.globex.test", "broken", "The private key is missing")
    assert [part for part in parts if part not in platform.body] == []
    browser = await signed_in(stand, stand.acme)
    tenants = await browser.get(PAGE)
    assert "*.portal.example" in tenants.body
    assert [part for part in parts[1:] if part in tenants.body] == []

    await with_host(stand)
    assert "One that covers" not in (await browser.get("/tenants/acme/domain")).body
    (stand.certs / "billing.pem").write_bytes(whole(LEAF))
    for _ in range(2):
        await folder.look()
    assert f"One that covers {HOST} is here" in (await browser.get("/tenants/acme/domain")).body


async def test_a_reader_sees_no_buttons(stand: Stand) -> None:
    """Lists and single ones are shown without form or buttons; what is sent all the same is a 403."""
    await with_host(stand)
    operator = await signed_in(stand, stand.acme)
    for made in (LEAF, NEXT):
        await send(operator, whole(made))
        stand.now += 1
    [new, _] = await held(stand)
    reader = await signed_in(stand, stand.acme, read_only=True)
    for path in (PAGE, f"{PAGE}/{new.id}"):
        shown = await reader.get(path)
        assert (shown.status, HOST in shown.body) == (200, True)
        assert [word for word in ("/rollback", "/delete", 'type="file"') if word in shown.body] == []
    assert (await send(reader, whole(LEAF))).status == 403
    assert (await send(reader, whole(LEAF), path=f"{PAGE}/check")).status == 403
    assert (await reader.get(f"{PAGE}/{new.id}/delete")).status == 403
    for word in ("rollback", "delete"):
        assert (await reader.post(f"{PAGE}/{new.id}/{word}", {"even_the_last": "yes"})).status == 403
    assert [each.state for each in await held(stand)] == ["active", "superseded"]


async def test_anothers_certificates_do_not_exist(stand: Stand) -> None:
    """Another tenant's page is a 404, and so is its certificate below one's own address."""
    await with_host(stand)
    await send(await signed_in(stand, stand.acme), whole(LEAF))
    [record] = await held(stand)
    globex = await signed_in(stand, stand.globex)
    for path in (PAGE, f"{PAGE}/{record.id}", f"/tenants/globex/certificate/{record.id}"):
        assert (await globex.get(path)).status == 404
    for below in (PAGE, "/tenants/globex/certificate"):
        for word in ("rollback", "delete"):
            path = f"{below}/{record.id}/{word}"
            assert (await globex.post(path, {"even_the_last": "yes"})).status == 404
    assert (await send(globex, whole(LEAF))).status == 404
    assert (await globex.get("/tenants/globex/certificate/a%0Ab")).status == 404
    assert len(await held(stand)) == 1


async def test_while_the_database_is_away(stand: Stand) -> None:
    """503 with Retry-After, for the page and for an upload, of which nothing is kept."""
    browser = await signed_in(stand, stand.acme)
    with database_away(stand):
        answers = [await browser.get(PAGE), await send(browser, whole(LEAF), page="/static/mark.svg")]
    assert [answer.status for answer in answers] == [503, 503]
    assert all("Retry-After" in answer.headers for answer in answers)
    assert await held(stand) == []
