"""``theme``, and the options of ``tenant set`` that say how a portal looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from tests.portal.test_themes import write
from tests.tenants.drawing import drawn

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_the_stock_themes_are_listed(shell: Shell) -> None:
    """Whoever chooses a theme sees what there is, and in which languages."""
    rows = {row["name"]: row for row in shell("theme", "list", "--json").answer}
    assert rows["default"]["title"] == "Doorway"
    assert rows["ledger"]["languages"] == ["de", "en", "es", "fr"]
    assert "letterhead" in shell("theme", "list").out


def test_a_faulty_theme_is_listed_with_its_fault(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A theme that was left out is not missing without a word."""
    write(shell.folder / "themes", {"spring/theme.toml": "title ="})
    monkeypatch.setenv("ROUTER_THEMES_DIR", str(shell.folder / "themes"))
    rows = {row["name"]: row for row in shell("theme", "list", "--json").answer}
    assert "not valid TOML" in rows["spring"]["fault"]
    assert "not valid TOML" in " ".join(shell("theme", "list").out.split())


def test_a_faulty_theme_is_given_to_nobody(acme: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages would be in the default theme's look, without a word to who has chosen another one."""
    write(acme.folder / "themes", {"spring/theme.toml": "title =", "summer/theme.toml": 'title = "Summer"'})
    monkeypatch.setenv("ROUTER_THEMES_DIR", str(acme.folder / "themes"))
    refused = acme("tenant", "set", "acme", "--theme", "spring", "--json")
    assert (refused.code, refused.error) == (Exit.BAD_INPUT, "bad_theme")
    assert acme("tenant", "set", "acme", "--theme", "summer").code == Exit.OK


def test_a_theme_is_checked_by_path_and_by_name(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound theme is said to be, a faulty one is told fault by fault and with exit code 1."""
    own = write(shell.folder / "themes", {"spring/theme.toml": 'title = "Spring"'})
    sound = shell("theme", "check", f"{own}/spring")
    assert (sound.code, "No faults." in sound.out) == (Exit.OK, True)
    write(own, {"spring/templates/foot.html": "\n{{ nothing }}"})
    monkeypatch.setenv("ROUTER_THEMES_DIR", str(own))
    faulty = shell("theme", "check", "spring", "--json")
    assert faulty.code == Exit.WRONG
    (fault,) = faulty.answer["faults"]
    assert fault["where"].endswith("spring/templates/foot.html, line 2")
    assert "1 fault." in shell("theme", "check", "spring").out


def test_a_theme_that_is_not_there_is_said(shell: Shell) -> None:
    """A mistyped name is not found to be sound."""
    ran = shell("theme", "check", "sprnig", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "unknown_theme")


def test_a_branding_is_typed_and_shown(acme: Shell) -> None:
    """Every text comes back in the words of the options, and '' takes one away."""
    logo = acme.folder / "logo.png"
    logo.write_bytes(drawn())
    record = acme(
        *("tenant", "set", "acme", "--theme", "ledger", "--portal-name", "My Acme", "--greeting", "Hello!"),
        *("--language", "DE", "--support-email", "help@acme.com", "--support-phone", "+1 202 555 0100"),
        *("--imprint-url", "https://acme.com/imprint", "--logo", str(logo), "--json"),
    ).answer
    assert record["theme"] == "ledger"
    branding = record["branding"]
    assert branding.pop("logo").endswith("(image/png, 201x101)")
    assert branding == {
        "portal_name": "My Acme",
        "greeting": "Hello!",
        "language": "de",
        "support_email": "help@acme.com",
        "support_phone": "+1 202 555 0100",
        "support_url": "",
        "imprint_url": "https://acme.com/imprint",
        "privacy_url": "",
        "reply_to": "",
        "favicon": "",
    }
    assert "My Acme" in acme("tenant", "show", "acme").out
    gone = acme("tenant", "set", "acme", "--greeting", "", "--no-logo", "--json").answer["branding"]
    assert (gone["greeting"], gone["logo"]) == ("", "")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--theme", "sprnig"], "unknown_theme"),
        (["--language", "it"], "unknown_language"),
        (["--language", "klingon"], "bad_language"),
        (["--logo", "none.png"], "file_unreadable"),
        (["--logo", "empty.png"], "file_unreadable"),
        (["--favicon", "text.png"], "bad_picture"),
        (["--imprint-url", "acme.com"], "bad_url"),
        (["--registration-check", "https://10.0.0.1/"], "bad_registration_check"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_what_cannot_be_is_refused(
    acme: Shell, monkeypatch: pytest.MonkeyPatch, options: list[str], code: str
) -> None:
    """Each field is refused with a code of its own, and nothing is changed."""
    monkeypatch.chdir(acme.folder)
    (acme.folder / "empty.png").touch()
    (acme.folder / "text.png").write_text("Hello")
    before = acme("tenant", "show", "acme", "--json").answer
    ran = acme("tenant", "set", "acme", *options, "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, code)
    assert acme("tenant", "show", "acme", "--json").answer == before


def test_a_logo_and_none_contradict_each_other(acme: Shell) -> None:
    """Which of the two is meant is anybody's guess."""
    logo = acme.folder / "logo.png"
    logo.write_bytes(drawn())
    assert acme("tenant", "set", "acme", "--logo", str(logo), "--no-logo").code == Exit.USAGE
