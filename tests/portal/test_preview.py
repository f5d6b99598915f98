from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import pytest

from router.portal.palette import make_palette
from router.portal.preview import Preview, Scheme
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.tenants.branding import BrandingForm
from router.tenants.form import TenantForm
from tests.tenants.drawing import drawn

if TYPE_CHECKING:
    from router.tenants.tenant import Tenant
    from tests.portal.stand import Stand

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """What renders the stock themes."""
    return Renderer(Themes.load())


def coloured(tenant: Tenant, colour: str) -> Tenant:
    """A tenant as it would be in another colour."""
    return replace(tenant, branding=replace(tenant.branding, theme_colour=colour))


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_it_is_the_page_in_the_scheme_that_is_asked_for(
    stand: Stand, renderer: Renderer, scheme: Scheme
) -> None:
    """The colours are those of the tenant as it would be, and the browser is not asked which it prefers."""
    text, _ = await Preview(renderer, stand.database).page(coloured(stand.acme, "#c2185b"), scheme)
    assert f"--page:{make_palette('#c2185b').light.page};" in text  # light stands first, dark after it
    assert "prefers-color-scheme" not in re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    dark_applies = "@media (min-width:0){:root{" in text
    assert dark_applies is (scheme == "dark")
    assert f"color-scheme:{scheme}" in text


async def test_it_is_dead(stand: Stand, renderer: Renderer) -> None:
    """Nothing in it can be clicked or sent, nothing runs or is fetched; only its own style applies."""
    text, policy = await Preview(renderer, stand.database).page(stand.acme, "light")
    assert "<body inert" in text
    assert "autofocus" not in text
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; font-src data:; "
        "form-action 'none'; frame-ancestors 'self'; base-uri 'none'; sandbox"
    )


async def test_its_pictures_stand_in_it(stand: Stand, renderer: Renderer) -> None:
    """The logo is there though nothing is fetched; no address of the portal's files is left."""
    form = TenantForm(branding=BrandingForm(logo=drawn()))
    tenant = (await stand.registry.change("acme", form, actor="test")).tenant
    text, _ = await Preview(renderer, stand.database).page(tenant, "dark")
    assert '<img src="data:image/png;base64,' in text
    assert "/-/image/" not in text
    assert "/-/static/" not in text
