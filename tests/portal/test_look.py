from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.hostname import Hostname
from router.portal.look import look_of, monogram
from router.portal.themes import Themes
from router.tenants.tenant import Branding, Tenant


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Acme Energy GmbH", "AE"),
        ("acme", "A"),
        ("Müller & Söhne", "MS"),
        ("(The) Company", "TC"),
        ("ßtraße 24", "S2"),
        ("日本電力", "日"),
        ("— & —", ""),
        ("", ""),
        ("<b>", "B"),
    ],
)
def test_a_monogram_is_made_of_initials(name: str, letters: str) -> None:
    """Two initials stand for a name, in whatever script, and none where there are none."""
    assert monogram(name) == letters


@pytest.fixture(scope="module")
def themes() -> Themes:
    """Read the stock themes, once for this file."""
    return Themes.load()


@given(name=st.text(min_size=1, max_size=80), colour=st.integers(0, 0xFFFFFF).map("#{:06x}".format))
def test_the_icon_is_always_an_image(themes: Themes, name: str, colour: str) -> None:
    """No name makes the icon anything but a well-formed image that fits into an attribute."""
    tenant = Tenant("tnt_1", "acme", Hostname("acme.example"), Branding(name, colour), ())
    icon = look_of(tenant, themes.stock).icon
    assert icon.isascii()
    assert '"' not in icon
    image = unquote(icon.removeprefix("data:image/svg+xml,"))
    assert ET.fromstring(image).tag.endswith("svg")  # noqa: S314 - our own image, parsed to prove that it is one


def test_nobody_has_a_neutral_look(themes: Themes) -> None:
    """A page that belongs to no tenant names none."""
    look = look_of(None, themes.stock)
    assert (look.name, look.monogram, look.logo) == ("", "", None)
