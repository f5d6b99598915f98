"""``settings`` and ``migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.settings import Settings

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_every_setting_is_shown_with_its_origin(bare: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that was set says where; the rest say “default”."""
    monkeypatch.setenv("ROUTER_HTTPS_PORT", "9443")
    (bare.folder / ".env").write_text("ROUTER_TRUSTED_PROXIES=10.0.0.0/8\n")
    shown = {row["setting"]: row for row in bare("settings", "--json").answer}
    assert set(shown) == {f"ROUTER_{name.upper()}" for name in Settings.model_fields}
    assert shown["ROUTER_HTTPS_PORT"] == {
        "setting": "ROUTER_HTTPS_PORT",
        "value": 9443,
        "from": "environment",
    }
    assert shown["ROUTER_TRUSTED_PROXIES"]["value"] == ["10.0.0.0/8"]
    assert shown["ROUTER_TRUSTED_PROXIES"]["from"] == ".env"
    assert shown["ROUTER_HTTP_PORT"]["from"] == "default"


@pytest.mark.parametrize(
    ("variable", "value", "left"),
    [
        (
            "ROUTER_DATABASE_URL",
            "postgresql://router:geheim@db:5432/router?sslmode=require",
            "router:********@db:5432",
        ),
        ("ROUTER_DATABASE_URL", "postgresql://router:ge@he:im@db/router", "router:********@db/router"),
        ("ROUTER_REDIS_URL", "redis://:geheim@cache:6379/0", "redis://:********@cache:6379/0"),
        ("ROUTER_REDIS_URL", "redis://cache:6379/0?password=geheim&db=1", "password=********&db=1"),
        ("ROUTER_ENCRYPTION_KEYS", "Z2VoZWltZ2VoZWltZ2VoZWltZ2VoZWltZ2VoZWltMTI=", "********"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_secret_is_shown(
    variable: str, value: str, left: str, form: tuple[str, ...], bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords in URLs and keys are masked; the rest of a URL stays readable."""
    monkeypatch.setenv(variable, value)
    ran = bare("settings", *form)
    assert ran.code == 0
    assert left in ran.out
    for secret in ("geheim", "ge@he", "he:im", "Z2VoZWlt"):
        assert secret not in ran.out + ran.err


def test_settings_as_a_process(bare: Shell) -> None:
    """The real program prints a table that nobody's window cuts."""
    ran = bare.process("settings")
    assert (ran.code, ran.err) == (0, "")
    assert "ROUTER_MAX_CONNECTIONS_PER_ADDRESS" in ran.out


def test_migrating_twice_is_migrating_once(bare: Shell) -> None:
    """The first time applies the revisions, the second has nothing to do."""
    first, second = bare("migrate", "--json"), bare("migrate", "--json")
    assert first.answer["applied"][0] == "0001"
    assert second.answer == {"applied": []}
    assert "Nothing to do" in bare("migrate").out


def test_migrate_as_a_process(bare: Shell) -> None:
    """The real program makes the database with its own revisions."""
    ran = bare.process("migrate")
    assert (ran.code, ran.err) == (0, "")
    assert (bare.folder / "data" / "router.db").stat().st_mode & 0o077 == 0
    assert bare.process("tenant", "list", "--json").answer == []
