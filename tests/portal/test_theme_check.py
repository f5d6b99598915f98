from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings
from router.portal.samples import page_samples
from router.portal.theme import stock_folder
from router.portal.theme_check import MAX_PAGE, check_theme
from tests.portal.test_themes import write

if TYPE_CHECKING:
    from pathlib import Path

PARTS = {"page.html", "ornament.html", "foot.html", "forms.html"}
"""Templates that are no pages, but go into others."""

PAGE = (
    '<!doctype html><html lang="{{ language }}"><head><title>{% block title %}{% endblock %}</title>'
    "<style>{{ look.style }}</style></head><body>{% block shape %}{% endblock %}"
    "{% block greeting %}{% endblock %}{% block nav %}{% endblock %}"
    "<main>{% block room %}{% endblock %}</main></body></html>"
)


@pytest.mark.parametrize("name", ["default", "ledger"])
def test_the_stock_themes_have_no_faults(name: str) -> None:
    """Every page and mail of the themes that come with the router renders in every language, and is small."""
    report = check_theme(name, None)
    assert report.faults == ()
    assert 0 < report.largest < MAX_PAGE / 2
    assert report.rendered > 500


def test_every_page_has_samples() -> None:
    """No page of the stock theme is left out of the check."""
    pages = {path.name for path in (stock_folder() / "default" / "templates").glob("*.html")}
    assert {sample.template for sample in page_samples()} == pages - PARTS


@pytest.mark.parametrize(
    ("files", "where", "what"),
    [
        ({"templates/sign_in.html": "{% extends 'page.html' %}\n{% if %}"}, "spring", "sign_in.html, line 2"),
        (
            {"templates/reset.html": "{% extends 'page.html' %}{% block room %}\n{{ no }}{% endblock %}"},
            "reset.html, line 2",
            "UndefinedError: 'no' is undefined",
        ),
        ({"templates/foot.html": "\n\n{{ 1 / 0 }}"}, "foot.html, line 3", "ZeroDivisionError"),
        (
            {"templates/foot.html": "{{ look.theme.asset('no.svg') }}"},
            "foot.html, line 1",
            "the theme has no static file “no.svg”",
        ),
        (
            {"templates/page.html": PAGE.replace("{% block nav %}{% endblock %}", "")},
            "page.html",
            "has no block “nav”, which account.html fills",
        ),
        ({"templates/page.html": PAGE.replace("main", "div")}, "sign_in.html (fresh)", "has no <main>"),
        (
            {"templates/page.html": PAGE.replace(' lang="{{ language }}"', "")},
            "error.html (404)",
            "does not say its language",
        ),
        ({"templates/page.html": PAGE.replace("{{ look.style }}", "")}, "error.html (404)", "look.style"),
        ({"templates/foot.html": "<script>1</script>"}, "signed_out.html (fresh)", "has a script"),
        ({"templates/foot.html": '<p style="color:red">'}, "signed_out.html (fresh)", "does not apply it"),
        ({"templates/foot.html": '<p onclick="x()">'}, "signed_out.html (fresh)", "on…="),
        (
            {"templates/foot.html": '<img src="https://cdn.example/a.png">'},
            "signed_out.html (fresh)",
            "from another site",
        ),
        ({"templates/foot.html": '<form method="post"></form>'}, "signed_out.html (fresh)", "CSRF field"),
        ({"static/portal.css": "a{color:red}" * 3000}, "signed_out.html (fresh)", "larger than 30 KB"),
        ({"mails/reset.html": "Hello"}, "mails/reset.html", "does not hold the link"),
        ({"mails/reset.txt": "{{ link }}{{ no }}"}, "mails/reset.txt, line 1", "'no' is undefined"),
        ({"mails/email-changed.txt": "\n"}, "mails/email-changed.txt", "has no subject"),
        ({"templates/sign-in.html": "Hello"}, "templates/sign-in.html", "used by no page"),
        ({"mails/email_changed.txt": "Hello"}, "mails/email_changed.txt", "used by no page"),
        ({"theme.toml": 'title = "S"\nparent = "summer"'}, "spring", "no theme “summer”"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_each_fault_is_told(tmp_path: Path, files: dict[str, str], where: str, what: str) -> None:
    """What is wrong with a theme is told by file and line, or by page, in words that say what to do."""
    own = write(tmp_path, {"spring/theme.toml": 'title = "Spring"'})
    write(tmp_path, {f"spring/{name}": text for name, text in files.items()})
    faults = check_theme("spring", own).faults
    assert any(fault.where.endswith(where) and what in fault.what for fault in faults), faults


def test_a_fault_is_told_once(tmp_path: Path) -> None:
    """One mistake in the frame, met on a thousand pages, is one line."""
    own = write(
        tmp_path, {"spring/theme.toml": 'title = "S"', "spring/templates/foot.html": "{{ look.nothing }}"}
    )
    assert len(check_theme("spring", own).faults) == 1


def test_a_theme_that_changes_nothing_is_sound(tmp_path: Path) -> None:
    """A name alone makes a theme: all else is inherited."""
    own = write(tmp_path, {"spring/theme.toml": 'title = "Spring"\nparent = "ledger"'})
    assert check_theme("spring", own).faults == ()


@pytest.mark.parametrize("name", ["'flower.html'", "'flower' ~ '.html'"], ids=["plain", "made up"])
def test_a_part_of_a_themes_own_is_used(tmp_path: Path, name: str) -> None:
    """A file that the theme's own templates include is no mistyped one, however they name it."""
    files = {"foot.html": f"{{% include {name} %}}", "flower.html": "A flower"}
    own = write(tmp_path, {"spring/theme.toml": 'title = "Spring"'})
    write(tmp_path, {f"spring/templates/{file}": text for file, text in files.items()})
    assert check_theme("spring", own).faults == ()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A mistyped folder is an error and no sound theme."""
    with pytest.raises(BadSettings, match="does not exist"):
        check_theme("spring", tmp_path / "none")
