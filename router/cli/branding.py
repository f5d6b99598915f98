"""The options of ``tenant add`` and ``tenant set`` that say how a tenant's portal looks and speaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from router.cli.forwarding import emptied
from router.cli.theme import load_themes
from router.errors import BadInput
from router.languages.choice import parse_language
from router.portal.theme import theme_exists
from router.tenants.branding import TEXTS, BrandingForm
from router.tenants.pictures import MAX_UPLOAD
from router.tenants.tenant import Branding, Image

if TYPE_CHECKING:
    from router.portal.themes import Themes

_THEME: Final = "theme"
"""Told beside the branding, not within."""


@Parameter(name="*")  # each field is an option of its own, without a prefix
@dataclass(frozen=True, slots=True, kw_only=True)
class BrandingOptions:
    """What an operator types; what is left out stays as it is, '' takes a text away."""

    theme: Annotated[str | None, Parameter(help="A theme: see 'tenant-router theme list'.")] = None
    portal_name: Annotated[
        str | None, Parameter(help="What the portal is called, if not as the company is.")
    ] = None
    greeting: Annotated[
        str | None, Parameter(help="A sentence on the sign-in page, 200 characters at most.")
    ] = None
    language: Annotated[
        str | None, Parameter(help="The language for whoever asks for none: en, de, fr, es.")
    ] = None
    support_email: Annotated[str | None, Parameter(help="Where customers get help, by e-mail.")] = None
    support_phone: Annotated[str | None, Parameter(help="The same, by telephone.")] = None
    support_url: Annotated[str | None, Parameter(help="The same, an https address.")] = None
    imprint_url: Annotated[str | None, Parameter(help="The https address of the imprint.")] = None
    privacy_url: Annotated[str | None, Parameter(help="The https address of the privacy policy.")] = None
    reply_to: Annotated[str | None, Parameter(help="Who gets the answers to the portal's mails.")] = None
    logo: Annotated[Path | None, Parameter(help="A logo: a PNG, JPEG, WebP or SVG file.")] = None
    no_logo: Annotated[bool, Parameter(negative=(), help="Show the name's initials instead.")] = False
    favicon: Annotated[Path | None, Parameter(help="The browser tab's icon: a file as for --logo.")] = None
    no_favicon: Annotated[bool, Parameter(negative=(), help="Draw the initials instead.")] = False

    def form(self, themes_dir: Path | None, languages_dir: Path | None) -> BrandingForm:
        """Fill in the form; the folders are those of own themes and own catalogues.

        Raises ``BadInput``: ``file_unreadable``, ``unknown_theme``, ``bad_theme``, ``unknown_language``.
        """
        if self.theme and not theme_exists(self.theme, themes_dir):
            raise BadInput(
                "unknown_theme", f"There is no theme “{self.theme[:60]}”: tenant-router theme list"
            )
        if self.theme or self.language:
            _check(self.theme, self.language, load_themes(themes_dir, languages_dir))
        pictures = self.pictures()
        return BrandingForm(**self.texts(), logo=pictures.get("logo"), favicon=pictures.get("favicon"))

    def texts(self) -> dict[str, str | None]:
        """Give what was typed, pictures aside."""
        return {name: getattr(self, name) for name in TEXTS}

    def pictures(self) -> dict[str, bytes]:
        """Read the pictures that are named; one that is to go is empty. Raises ``BadInput``."""
        logo = None if self.logo is None else _read(self.logo)
        favicon = None if self.favicon is None else _read(self.favicon)
        found = {
            "logo": emptied(logo, b"", empty=self.no_logo),
            "favicon": emptied(favicon, b"", empty=self.no_favicon),
        }
        return {kind: octets for kind, octets in found.items() if octets is not None}


def described(branding: Branding) -> dict[str, object]:
    """Describe how a tenant's portal looks and speaks, in the words of the options."""
    texts: dict[str, object] = {name: getattr(branding, name) for name in TEXTS if name != _THEME}
    return {**texts, "logo": _image(branding.logo), "favicon": _image(branding.favicon)}


def told(branding: Branding) -> dict[str, object]:
    """Tell people of what is there."""
    return {name: value for name, value in described(branding).items() if value}


def _check(theme: str | None, language: str | None, themes: Themes) -> None:
    if theme in themes.faults:
        raise BadInput(
            "bad_theme",
            f"The theme “{theme}” has a fault, so it is left out: tenant-router theme check {theme}",
        )
    if language:
        themes.offered.check({"language": parse_language(language)})


def _image(image: Image | None) -> str:
    if image is None:
        return ""
    return f"{image.fingerprint} ({image.content_type}, {image.width}x{image.height})"


def _read(path: Path) -> bytes:
    """Read a picture; one octet more than it may have is enough to see that it is too large."""
    try:
        with path.open("rb") as file:
            found = file.read(MAX_UPLOAD + 1)
    except OSError as fault:
        raise BadInput("file_unreadable", f"{path} cannot be read: {fault.strerror}.") from fault
    if not found:
        raise BadInput("file_unreadable", f"{path} is empty.")
    return found
