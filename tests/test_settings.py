"""Settings: gathered from the environment and files, each fault a sentence, each value's origin known."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from router.edge.limits import Limits
from router.errors import BadSettings
from router.hostname import Hostname
from router.settings import Settings, load_settings

DOMAIN = {"ROUTER_PLATFORM_DOMAIN": "portal.example"}
DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def faults(environment: dict[str, str], folder: Path) -> list[str]:
    """Load, expect it to be refused, and give the sentences."""
    with pytest.raises(BadSettings) as fault:
        load_settings(environment, folder=folder)
    return fault.value.sentence.splitlines()


def test_only_the_platform_domain_is_needed(tmp_path: Path) -> None:
    """With one setting the router starts: embedded database, no Redis, the documented ports."""
    settings = load_settings(DOMAIN, folder=tmp_path)
    assert settings.platform_domain == Hostname("portal.example")
    assert settings.database_url == "sqlite:///data/router.db"
    assert settings.redis_url is None
    assert (settings.https_port, settings.http_port, settings.health_port) == (8443, 8080, 8081)
    assert 1 <= settings.workers <= 4
    assert settings.key_file == Path("data/encryption.key")


def test_every_kind_of_value_is_read_from_the_environment(tmp_path: Path) -> None:
    """Lists are comma-separated, switches are words, numbers are numbers."""
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    settings = load_settings(
        {
            "ROUTER_PLATFORM_DOMAIN": "Portal.Example.",
            "ROUTER_DATA_DIR": "/srv/router",
            "ROUTER_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32,192.0.2.1",
            "ROUTER_ENCRYPTION_KEYS": f"{key}, {key.rstrip('=')}",
            "ROUTER_ALLOW_PRIVATE_UPSTREAMS": "true",
            "ROUTER_SESSION_IDLE": "600",
            "ROUTER_ANSWER_TIMEOUT": "2.5",
            "ROUTER_DEFAULT_UPSTREAMS": "http://erp.example:8080/app weight=3, unix:/run/erp.sock",
            "ROUTER_MIN_BODY_RATE": "1000",
        },
        folder=tmp_path,
    )
    assert settings.platform_domain == "portal.example"
    assert settings.database_url == "sqlite:////srv/router/router.db"
    assert settings.trusted_proxies == tuple(
        ip_network(network) for network in ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")
    )
    assert settings.sealing_keys == (bytes(range(32)), bytes(range(32)))
    assert settings.allow_private_upstreams
    assert (settings.session_idle, settings.answer_timeout) == (600, 2.5)
    assert settings.default_upstreams == ("http://erp.example:8080/app weight=3", "unix:/run/erp.sock")
    assert settings.min_body_rate == 1000


def test_the_admin_hostname_is_below_the_platform(tmp_path: Path) -> None:
    """The API answers at a name that the platform's wildcard certificate covers."""
    assert load_settings(DOMAIN, folder=tmp_path).admin_hostname == "admin.portal.example"
    named = load_settings(DOMAIN | {"ROUTER_ADMIN_NAME": "Ops"}, folder=tmp_path)
    assert named.admin_hostname == "ops.portal.example"


def test_the_console_is_where_customers_are_unless_it_has_a_port_of_its_own(tmp_path: Path) -> None:
    """Its address bears the port that customers see, or its own, by the same number."""
    seen = DOMAIN | {"ROUTER_PUBLIC_PORT": "9443"}
    assert load_settings(seen, folder=tmp_path).console_port == 9443
    assert load_settings(seen | {"ROUTER_ADMIN_PORT": "9444"}, folder=tmp_path).console_port == 9444


def test_the_edge_and_the_settings_agree_on_the_defaults(tmp_path: Path) -> None:
    """A limit that nobody set is the one that is documented."""
    settings = load_settings(DOMAIN, folder=tmp_path)
    limits = {field.name: field.default for field in fields(Limits) if field.name in Settings.model_fields}
    assert {name: getattr(settings, name) for name in limits} == limits
    assert {"min_body_rate", "max_connections", "upstream_queue"} <= set(limits)


def test_the_stronger_source_wins_and_is_named(tmp_path: Path) -> None:
    """Command line over environment over .env over the TOML file over the default."""
    (tmp_path / "tenant-router.toml").write_text(
        'platform_domain = "toml.example"\nhttps_port = 1\nhttp_port = 2\nhealth_port = 3\nworkers = 1\n'
    )
    (tmp_path / ".env").write_text(
        "ROUTER_HTTPS_PORT=11\nROUTER_HTTP_PORT=12\nROUTER_HEALTH_PORT=13\nOTHER=x\n"
    )
    environment = {"ROUTER_HTTPS_PORT": "21", "ROUTER_HTTP_PORT": "22", "ROUTER_DATA_DIR": ""}
    settings = load_settings(environment, folder=tmp_path, https_port=31, log_level=None)
    assert (settings.https_port, settings.http_port, settings.health_port) == (31, 22, 13)
    origins = settings.origins
    assert origins["https_port"] == "command line"
    assert origins["http_port"] == "environment"
    assert origins["health_port"] == ".env"
    assert origins["platform_domain"] == str(tmp_path / "tenant-router.toml")
    assert origins["data_dir"] == "default"
    assert set(origins) == set(Settings.model_fields)


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    """ROUTER_CONFIG points to the TOML file, wherever that is; lists in it are arrays."""
    path = tmp_path / "own.toml"
    path.write_text('platform_domain = "toml.example"\ntrusted_proxies = ["10.0.0.0/8"]\n')
    settings = load_settings({"ROUTER_CONFIG": str(path)}, folder=tmp_path / "elsewhere")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ROUTER_PLATFORM_DOMAIN", "portal..example", "not a hostname"),
        ("ROUTER_PLATFORM_DOMAIN", "192.0.2.1", "not a hostname"),
        ("ROUTER_ADMIN_NAME", "ops.admin", "not one label"),
        ("ROUTER_ADMIN_NAME", "-admin", "not one label"),
        ("ROUTER_ADMIN_NAME", "a" * 64, "not one label"),
        ("ROUTER_HTTPS_PORT", "0", "greater than or equal to 1"),
        ("ROUTER_HTTPS_PORT", "65536", "less than or equal to 65535"),
        ("ROUTER_HTTPS_PORT", "https", "valid integer"),
        ("ROUTER_ADMIN_PORT", "0", "greater than or equal to 1"),
        ("ROUTER_WORKERS", "65", "less than or equal to 64"),
        ("ROUTER_BIND", "example.com", "not an IP address"),
        ("ROUTER_DATABASE_URL", "mysql://h/d", "postgresql:// or sqlite:///"),
        ("ROUTER_DATABASE_URL", "router.db", "postgresql:// or sqlite:///"),
        ("ROUTER_DATABASE_URL", "sqlite://", "name a file"),
        ("ROUTER_DATABASE_URL", "sqlite:///:memory:", "name a file"),
        ("ROUTER_DATABASE_URL", "postgresql://h", "names no database"),
        (
            "ROUTER_DATABASE_URL",
            "postgresql://h/d?channel_binding=require",
            "“channel_binding” is not understood",
        ),
        ("ROUTER_DATABASE_URL", "postgresql://[::1/d", "not a URL"),
        ("ROUTER_REDIS_URL", "localhost:6379", "redis://HOST:6379/0"),
        ("ROUTER_REDIS_URL", "http://h", "redis://HOST:6379/0"),
        ("ROUTER_SMTP_URL", "mail.example.com", "smtp://USER:PASSWORD@HOST:587"),
        ("ROUTER_SMTP_URL", "smtp://", "smtp://USER:PASSWORD@HOST:587"),
        ("ROUTER_SMTP_URL", "smtps://mail.example.com/folder", "smtp://USER:PASSWORD@HOST:587"),
        ("ROUTER_SMTP_URL", "file:", "file:/FOLDER"),
        ("ROUTER_MAIL_FROM", "portal", "portal@example.com"),
        ("ROUTER_MAIL_FROM", "Portal <portal@example.com", "portal@example.com"),
        ("ROUTER_MAIL_FROM", "portal@example.com, other@example.com", "portal@example.com"),
        ("ROUTER_TRUSTED_PROXIES", "10.0.0.1/8", "not an IP address or network"),
        ("ROUTER_RESOLVERS", "dns.example", "not a name server"),
        ("ROUTER_RESOLVERS", "10.0.0.2:0", "not a name server"),
        ("ROUTER_RESOLVERS", "10.0.0.2:65536", "not a name server"),
        ("ROUTER_RESOLVERS", "10.0.0.2, [fd00::2]:x", "not a name server"),
        ("ROUTER_TRUSTED_PROXIES", "10.0.0.0/8,lb.example", "not an IP address or network"),
        ("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "perhaps", "valid boolean"),
        ("ROUTER_SESSION_IDLE", "59", "greater than or equal to 60"),
        ("ROUTER_HEAD_TIMEOUT", "0", "greater than 0"),
        ("ROUTER_HEAD_TIMEOUT", "nan", "less than or equal to 86400"),
        ("ROUTER_DRAIN_GRACE", "-1", "greater than or equal to 0"),
        ("ROUTER_DEFAULT_UPSTREAMS", "erp.example", "http://HOST:PORT"),
        ("ROUTER_DEFAULT_UPSTREAMS", "http://a,ftp://b", "http://HOST:PORT"),
        ("ROUTER_DEFAULT_UPSTREAMS", "http://user:hush@erp.example", "http://HOST:PORT"),
        ("ROUTER_DEFAULT_UPSTREAMS", "http://a weight=x", "http://HOST:PORT"),
        ("ROUTER_MIN_BODY_RATE", "0", "greater than or equal to 1"),
        ("ROUTER_MAX_REQUESTS_PER_CONNECTION", "0", "greater than or equal to 1"),
        ("ROUTER_MAX_CONNECTIONS", "0", "greater than or equal to 1"),
        ("ROUTER_MAX_UPSTREAM_CONNECTIONS", "0", "greater than or equal to 1"),
        ("ROUTER_UPSTREAM_QUEUE", "-1", "greater than or equal to 0"),
        ("ROUTER_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_it(
    variable: str,
    value: str,
    words: str,
    tmp_path: Path,
) -> None:
    """The sentence names the variable, where it was set, and what would be right."""
    (sentence,) = faults(DOMAIN | {variable: value}, tmp_path)
    assert sentence.startswith(f"{variable} (from environment): ")
    assert words in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("given_as", "meant"),
    [
        ("10.0.0.2", ("10.0.0.2:53",)),
        ("10.0.0.2:5353, fd00::2", ("10.0.0.2:5353", "[fd00::2]:53")),
        ("[fd00::2]", ("[fd00::2]:53",)),
        ("[FD00:0::2]:0053", ("[fd00::2]:53",)),
        ("", ()),
    ],
)
def test_a_name_server_has_a_port(given_as: str, meant: tuple[str, ...], tmp_path: Path) -> None:
    """The usual one goes without saying; an IPv6 address with a port stands in brackets."""
    assert load_settings(DOMAIN | {"ROUTER_RESOLVERS": given_as}, folder=tmp_path).resolvers == meant


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Nobody has to mend one fault to hear of the next."""
    found = faults(
        {"ROUTER_HTTPS_PORT": "x", "ROUTER_BIND": "x", "ROUTER_WORKER": "2", "ROUTER_DATA_DIR": "d"}, tmp_path
    )
    assert [sentence.split()[0] for sentence in found] == [
        "“ROUTER_WORKER”",
        "ROUTER_PLATFORM_DOMAIN",
        "ROUTER_BIND",
        "ROUTER_HTTPS_PORT",
    ]
    assert found[0] == "“ROUTER_WORKER” (from environment) is not a setting. Did you mean ROUTER_WORKERS?"
    assert "is missing" in found[1]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"ROUTER_HTTP_PORT": "8443"}, "three different ports"),
        ({"ROUTER_ADMIN_PORT": "8443"}, "admin_port must be none of"),
        ({"ROUTER_ADMIN_PORT": "9000", "ROUTER_HEALTH_PORT": "9000"}, "admin_port must be none of"),
        ({"ROUTER_PLATFORM_DOMAIN": ".".join(["a" * 60] * 4), "ROUTER_ADMIN_NAME": "a" * 63}, "too long"),
        ({"ROUTER_SESSION_IDLE": "7200", "ROUTER_SESSION_LIFE": "3600"}, "session_idle"),
        ({"ROUTER_MAX_CONNECTIONS": "10"}, "max_connections_per_address"),
        ({"ROUTER_PROXY_PROTOCOL": "true"}, "proxy_protocol needs trusted_proxies"),
    ],
)
def test_values_that_contradict_one_another_are_refused(
    pair: dict[str, str], words: str, tmp_path: Path
) -> None:
    """Each value alone is fine; together they are not."""
    (sentence,) = faults(DOMAIN | pair, tmp_path)
    assert words in sentence


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("platform_domain = ", "settings_not_toml", "is not TOML"),
        ("platform_domain = 'a.example'\nhtps_port = 1", "bad_settings", "Did you mean ROUTER_HTTPS_PORT?"),
        ("platform_domain = 'a.example'\nhttps_port = 'x'", "bad_settings", "own.toml): "),
    ],
)
def test_a_fault_in_the_file_names_the_file(content: str, code: str, words: str, tmp_path: Path) -> None:
    """A TOML file is held to the same rules as the environment."""
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(BadSettings) as fault:
        load_settings({"ROUTER_CONFIG": str(path)}, folder=tmp_path)
    assert fault.value.code == code
    assert words in fault.value.sentence
    assert str(path) in fault.value.sentence


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A missing file is no fault unless somebody named it."""
    load_settings(DOMAIN, folder=tmp_path)
    (sentence,) = faults(DOMAIN | {"ROUTER_CONFIG": str(tmp_path / "none.toml")}, tmp_path)
    assert "cannot be read" in sentence


def test_what_kubernetes_adds_is_no_fault(tmp_path: Path) -> None:
    """A Kubernetes Service named “router” puts its own ROUTER_ variables into every container."""
    environment = DOMAIN | {
        "ROUTER_SERVICE_HOST": "10.0.0.1",
        "ROUTER_SERVICE_PORT_HTTPS": "443",
        "ROUTER_PORT": "tcp://10.0.0.1:443",
        "ROUTER_PORT_443_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(environment, folder=tmp_path).https_port == 8443


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused_without_being_shown(length: int, tmp_path: Path) -> None:
    """The sentence about a bad key never holds any of it."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(length)).decode() or "hush-hush"
    (sentence,) = faults(DOMAIN | {"ROUTER_ENCRYPTION_KEYS": key}, tmp_path)
    assert "32 random bytes" in sentence
    assert key not in sentence


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_read_in_either_alphabet_padded_or_not(key: bytes) -> None:
    """What `openssl rand -base64 32` prints works as well as base64url."""
    spelled = [base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()]
    text = ",".join([*spelled, *(spelling.rstrip("=") for spelling in spelled)])
    assert load_settings(DOMAIN | {"ROUTER_ENCRYPTION_KEYS": text}).sealing_keys == (key,) * 4


def test_secrets_are_in_no_representation(tmp_path: Path) -> None:
    """Neither passwords in URLs nor keys are in what a traceback or a log would show."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    settings = load_settings(
        DOMAIN
        | {
            "ROUTER_DATABASE_URL": "postgresql://router:hush@db/router",
            "ROUTER_REDIS_URL": "redis://:hush@cache:6379/0",
            "ROUTER_SMTP_URL": "smtp://router:hush@mail.example.com:587",
            "ROUTER_ENCRYPTION_KEYS": key,
        },
        folder=tmp_path,
    )
    assert "hush" not in repr(settings)
    assert key not in repr(settings)


def test_settings_never_change(tmp_path: Path) -> None:
    """Frozen: a part that wants another value has to be given another object."""
    settings = load_settings(DOMAIN, folder=tmp_path)
    with pytest.raises(ValidationError):
        settings.https_port = 1


def test_the_document_lists_every_setting() -> None:
    """docs/settings.md has one line for each setting, with its default and what it decides."""
    written = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| `ROUTER_")]
    assert written == [documented(name) for name in Settings.model_fields]


def documented(name: str) -> str:
    """Write the line of the document for one setting."""
    field = Settings.model_fields[name]
    if field.is_required():
        default = "none: required"
    elif name == "database_url":
        default = "`sqlite:///DATA_DIR/router.db`"
    elif name == "workers":
        default = "CPUs, at most 4"
    else:
        default = _spelled(field.default)
    return f"| `ROUTER_{name.upper()}` | {default} | {field.description} |"


def _spelled(default: object) -> str:
    if default in (None, ()):
        return "none"
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`"


def test_each_description_is_a_sentence() -> None:
    """What the document says about a setting starts with a capital and ends with a full stop."""
    for name, field in Settings.model_fields.items():
        assert re.fullmatch(r"(?:[A-Z]|`).*\.", field.description or ""), name
