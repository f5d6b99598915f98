from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from router.portal.assets import make_asset, read_assets
from router.portal.themes import Themes
from tests.portal.test_themes import write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "served"),
    [
        ("a { color : red ; }\n\n/* why */\nb { }", "a{color :red;}b{}"),
        ("a::before { content: '/* not a comment */  { ' }", "a::before{content:'/* not a comment */  { '}"),
        ('a::before { content: "a\\"/*" }  /* x */', 'a::before{content:"a\\"/*"}'),
        ("a :hover, b > c { margin: 0 calc(1px + 2px) }", "a :hover,b > c{margin:0 calc(1px + 2px)}"),
        ("@media (min-width: 50em) { a { color: red } }", "@media (min-width:50em){a{color:red}}"),
        (
            "a { background: url(data:image/png;base64,AA==) }",
            "a{background:url(data:image/png;base64,AA==)}",
        ),
        ("a { filter: url(#f) }", "a{filter:url(#f)}"),
    ],
)
def test_a_stylesheet_is_served_without_ballast(tmp_path: Path, written: str, served: str) -> None:
    """Comments and white space that mean nothing are not sent; texts in quotes are left as they are."""
    path = tmp_path / "a.css"
    path.write_text(written)
    assert read_assets("spring", {"a.css": path})["a.css"].body.decode() == served


def test_a_childs_picture_goes_into_the_inherited_stylesheet(tmp_path: Path) -> None:
    """A stylesheet names files by their fingerprinted addresses, in a child theme those of the child."""
    files = {
        "a/theme.toml": 'title = "A"',
        "a/static/portal.css": "b{background:url('flower.svg')}",
        "a/static/flower.svg": "<svg/>",
        "b/theme.toml": 'title = "B"\nparent = "a"',
        "b/static/flower.svg": "<svg>b</svg>",
    }
    themes = Themes.load(write(tmp_path, files))
    for name in ("a", "b"):
        theme = themes.find(name)
        assert f'url("{theme.asset("flower.svg")}")'.encode() in theme.assets["portal.css"].body
    assert themes.find("a").asset("flower.svg") != themes.find("b").asset("flower.svg")


def test_what_compresses_is_compressed_once() -> None:
    """A stylesheet is kept compressed too; a photograph, which is already, is not."""
    style, photo = make_asset("a/a.css", b"a{color:red}" * 100), make_asset("a/a.jpg", b"0" * 1000)
    assert style.gzipped is not None
    assert gzip.decompress(style.gzipped) == style.body
    assert photo.gzipped is None
    assert make_asset("a/a.css", b"a{}").gzipped is None  # it would grow


def test_each_process_makes_the_same_octets() -> None:
    """A compressed file has no time in it, so every worker of a fleet serves the same."""
    assert make_asset("a/a.css", b"a{color:red}" * 100) == make_asset("a/a.css", b"a{color:red}" * 100)
