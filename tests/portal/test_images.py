from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.errors import Unavailable
from router.portal.images import Images
from router.storage.database import Database
from router.tenants.branding import BrandingForm
from router.tenants.form import TenantForm
from tests.portal.stand import Browser, Stand, serving
from tests.storage.statements import statements
from tests.tenants.drawing import drawn

if TYPE_CHECKING:
    from pathlib import Path

    from router.tenants.tenant import Image, Tenant

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><path d="M0 0h9v9z"/></svg>'


async def branded(stand: Stand, **pictures: bytes) -> tuple[Image | None, Image | None]:
    """Give Acme a logo and a favicon."""
    form = TenantForm(branding=BrandingForm(**pictures))  # type: ignore[arg-type]
    branding = (await stand.registry.change("acme", form, actor="test")).tenant.branding
    await stand.settled()
    return branding.logo, branding.favicon


async def named(stand: Stand) -> Tenant:
    """Acme as it is now."""
    return (await stand.registry.get("acme")).tenant


def of_pictures(asked: list[str]) -> int:
    """How often the database was asked about pictures."""
    return sum("FROM images" in statement for statement in asked)


async def test_addresses_that_were_made_up_cost_the_database_nothing(stand: Stand) -> None:
    """A thousand random addresses ask it once; a second later it is asked again, once."""
    await branded(stand, logo=drawn())
    acme, now = await named(stand), [1_000.0]
    images = Images(stand.database, clock=lambda: now[0])
    with statements(stand.database) as asked:
        for turn in range(1_000):
            assert await images._find(acme, f"{turn:016x}") is None  # noqa: SLF001 - what it asks is the claim
        assert of_pictures(asked) == 1
        now[0] += 1
        assert await images._find(acme, "0" * 16) is None  # noqa: SLF001 - as above
        assert of_pictures(asked) == 2


async def test_a_picture_of_before_is_served_on(stand: Stand) -> None:
    """A mail that names the former logo shows it, and the present logo needs no list."""
    former, _ = await branded(stand, logo=drawn())
    assert former is not None
    images = Images(stand.database, clock=lambda: 1_000.0)
    assert await images._find(await named(stand), "0" * 16) is None  # noqa: SLF001 - as above
    logo, _ = await branded(stand, logo=drawn(size=90))
    assert logo is not None
    assert logo != former
    acme = await named(stand)
    assert await images._find(acme, logo.fingerprint) is not None  # noqa: SLF001 - named, and newer than the list
    assert await images._find(acme, former.fingerprint) is not None  # noqa: SLF001 - listed


async def test_an_outage_is_not_remembered_as_a_list(stand: Stand, tmp_path: Path) -> None:
    """What could not be read is no empty list: an address is looked for again as soon as that works."""
    database = Database(f"sqlite:///{tmp_path}/none/at/all.db")
    images = Images(database, clock=lambda: 1_000.0)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await images._find(stand.acme, "0" * 16)  # noqa: SLF001 - as above


async def test_a_logo_is_shown_and_served(stand: Stand, browser: Browser) -> None:
    """The page names the logo with its size and the favicon; both are kept by browsers for ever."""
    logo, favicon = await branded(stand, logo=drawn(), favicon=SVG)
    assert logo is not None
    assert favicon is not None
    page = await browser.get("/-/sign-in")
    image = f'<img src="/-/image/{logo.fingerprint}" width="201" height="101" alt="Acme Energy">'
    assert image in page.text
    assert f'<link rel="icon" href="/-/image/{favicon.fingerprint}">' in page.text
    for found, kind in ((logo, "image/png"), (favicon, "image/svg+xml")):
        answer = await browser.send("GET", f"/-/image/{found.fingerprint}", headers={})
        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert policy.endswith("; sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


async def test_a_square_logo_stands_beside_the_name(stand: Stand, browser: Browser) -> None:
    """A logo that cannot hold the name is ornament to whoever does not see it; the name is there."""
    await branded(stand, logo=drawn(width=200, height=200, mode="RGB"))
    page = await browser.get("/-/sign-in")
    assert 'alt=""' in page.text
    assert "<strong>Acme Energy</strong>" in page.text


async def test_a_picture_is_its_tenants_alone(stand: Stand) -> None:
    """At another tenant's hostname there is no such picture, and no way to ask for anything else."""
    logo, _ = await branded(stand, logo=drawn())
    assert logo is not None
    async with serving(stand) as client:
        acme, globex = Browser(client, stand.acme), Browser(client, stand.globex)
        assert (await globex.get(f"/-/image/{logo.fingerprint}")).status == 404
        for path in ("0123456789abcdef", "", logo.fingerprint.upper(), logo.fingerprint + "0", "%2e%2e"):
            assert (await acme.get(f"/-/image/{path}")).status == 404


async def test_a_closed_portal_has_the_monogram(stand: Stand, browser: Browser) -> None:
    """A suspended tenant's page stands alone, for nothing else is served at its hostname."""
    await branded(stand, logo=drawn())
    await stand.registry.suspend("acme", actor="test")
    await stand.settled()
    page = await browser.get("/-/sign-in")
    assert "<img" not in page.text
    assert 'class="monogram"' in page.text


async def test_memory_is_bounded(stand: Stand) -> None:
    """Pictures beyond the capacity are forgotten, the one not asked for the longest first, and read again."""
    logo, favicon = await branded(stand, logo=drawn(), favicon=drawn(width=300, height=300))
    assert logo is not None
    assert favicon is not None
    acme = await named(stand)
    images = Images(stand.database, capacity=1)
    first = await images._find(acme, logo.fingerprint)  # noqa: SLF001 - what is remembered is the claim
    second = await images._find(acme, favicon.fingerprint)  # noqa: SLF001 - as above
    assert first is not None
    assert second is not None
    assert not images._pictures  # noqa: SLF001 - one picture is more than the one octet
    images = Images(stand.database, capacity=max(len(first[1]), len(second[1])))
    await images._find(acme, logo.fingerprint)  # noqa: SLF001 - as above
    await images._find(acme, favicon.fingerprint)  # noqa: SLF001 - as above
    assert list(images._pictures) == [(stand.acme.id, favicon.fingerprint)]  # noqa: SLF001 - as above
    assert await images._find(acme, logo.fingerprint) == first  # noqa: SLF001 - as above


@pytest.mark.parametrize(("accepted", "coded"), [("gzip, br", "gzip"), ("gzip;q=0", None), ("", None)])
async def test_static_files_are_compressed_for_whoever_takes_that(
    browser: Browser, accepted: str, coded: str | None
) -> None:
    """The answer says by what it differs, and each browser reads the same stylesheet."""
    path = "/-/static/default/portal.css"
    answer = await browser.get(path, {"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == coded
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "var(--fill)" in answer.text
