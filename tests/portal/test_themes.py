from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.errors import BadSettings
from router.hostname import Hostname
from router.portal.error_pages import ErrorPages
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.tenants.tenant import Branding, Tenant

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, files: dict[str, str]) -> Path:
    """Make a folder of themes."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def tenant(theme: str) -> Tenant:
    """Make a tenant that chose a theme."""
    return Tenant("tnt_1", "acme", Hostname("acme.example"), Branding("Acme", "#0b6e4f", theme), ())


def test_the_stock_theme_is_complete() -> None:
    """The theme that everybody starts with has its stylesheet and a title."""
    theme = Themes.load().find("default")
    assert theme.title
    assert theme.asset("portal.css").startswith("/-/static/default/portal-")


def test_a_theme_holds_only_what_it_does_differently(tmp_path: Path) -> None:
    """What a theme of one's own lacks comes from the default theme, templates and files alike."""
    own = write(
        tmp_path,
        {
            "spring/theme.toml": 'title = "Spring"',
            "spring/templates/page.html": "SPRING {% block room %}{% endblock %}",
            "spring/static/flower.svg": "<svg/>",
        },
    )
    themes = Themes.load(own)
    spring, stock = themes.find("spring"), themes.find("default")
    assert spring.title == "Spring"
    assert spring.assets["portal.css"].body == stock.assets["portal.css"].body
    assert themes.assets.find(spring.asset("flower.svg")) is not None
    pages = ErrorPages(Renderer(themes))
    body = pages.render(tenant("spring"), 404).body
    assert body.startswith(b"SPRING")
    assert b"There is nothing here" in body
    assert pages.render(None, 404).body.startswith(b"<!doctype html>")


def test_a_theme_of_ones_own_may_replace_the_stock_one(tmp_path: Path) -> None:
    """A folder named default wins over the stock theme of that name, and needs to be whole."""
    own = write(
        tmp_path,
        {
            "default/theme.toml": 'title = "Ours"',
            "default/static/portal.css": "body{}",
            "default/templates/error.html": "OURS {{ status }}",
        },
    )
    page = ErrorPages(Renderer(Themes.load(own))).render(None, 404)
    assert page.body == b"OURS 404"


def test_a_theme_that_has_gone_is_the_default_one() -> None:
    """A tenant whose theme was removed keeps a page, and the log says so once."""
    themes = Themes.load()
    with capture_logs() as lines:
        assert {themes.find("gone").name for _ in range(3)} == {"default"}
    assert [line["event"] for line in lines] == ["theme_missing"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a/theme.toml": "title ="}, "not valid TOML"),
        ({"a/theme.toml": ""}, "has no title"),
        ({"a/theme.toml": "title = 3"}, "has no title"),
        ({"A b/theme.toml": 'title = "A"'}, "cannot be a theme's name"),
        ({"a/theme.toml": 'title = "A"', "a/templates/sign_in.html": "\n{% if %}"}, "sign_in.html, line 2"),
        ({"a/theme.toml": 'title = "A"', "a/static/app.js": "alert(1)"}, "app.js cannot be served"),
        ({"a/theme.toml": 'title = "A"', "a/static/a/b.css": ""}, "cannot be served"),
        ({"a/theme.toml": 'title = "A"', "a/static/a b.css": ""}, "cannot be served"),
        ({"a/theme.toml": 'title = "A"', "a/static/a.css": "</style>"}, "would end the style"),
        ({"a/theme.toml": 'title = "A"', "a/static/a.css": "@import 'b.css'"}, "imports another"),
        ({"a/theme.toml": 'title = "A"', "a/static/a.css": "b{background:url(no.svg)}"}, "“no.svg”"),
        ({"a/theme.toml": 'title = "A"\ncolour = 1'}, "has no “colour”"),
        ({"a/theme.toml": 'title = "A"\nparent = "none"'}, "no theme “none”"),
        ({"a/theme.toml": 'title = "A"\nparent = "a"'}, "inherits from itself"),
        ({"a/theme.toml": 'title = "A"', "a/locales/de.po": "nonsense"}, "cannot be read"),
        ({"a/theme.toml": 'title = "A"', "a/static/a.svg": " " * (1 << 20) + "x"}, "larger than 1 MiB"),
    ],
)
def test_a_faulty_theme_is_left_out(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """Each fault of a theme is a sentence in the log that names the file, and the other themes serve on."""
    files |= {"good/theme.toml": 'title = "Good"', "bad-child/theme.toml": 'title = "C"\nparent = "a"'}
    with capture_logs() as lines:
        themes = Themes.load(write(tmp_path, files))
    assert {line["event"] for line in lines} == {"theme_left_out"}
    assert any(said in line["fault"] for line in lines)
    assert {theme.name for theme in themes} >= {"default", "good"}
    with capture_logs():
        assert themes.find(next(iter(files)).partition("/")[0]).name == "default"


def test_a_folder_of_themes_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A mistyped folder is an error and not an absence of themes."""
    with pytest.raises(BadSettings, match="does not exist"):
        Themes.load(tmp_path / "none")


def test_an_address_changes_with_the_content(tmp_path: Path) -> None:
    """Two versions of a file have two addresses, so neither is ever served for the other from a cache."""
    files = {"a/theme.toml": 'title = "A"', "a/static/a.css": "a{}"}
    before = Themes.load(write(tmp_path, files)).find("a").asset("a.css")
    after = Themes.load(write(tmp_path, {"a/static/a.css": "b{}"})).find("a").asset("a.css")
    assert before != after
