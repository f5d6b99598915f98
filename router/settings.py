"""Settings: read once at start from the environment and files, validated, then frozen.

Where a value comes from, strongest first: the command line, ``ROUTER_*`` environment variables, ``.env`` in
the current folder, a TOML file (the one ``ROUTER_CONFIG`` names, else ``tenant-router.toml`` in the current
folder if there is one), the default. Every fault is collected and told in a sentence of its own.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from router.errors import BadInput, BadSettings
from router.hostname import MAX_NAME, Hostname

PREFIX: Final = "ROUTER_"
CONFIG_VARIABLE: Final = "ROUTER_CONFIG"
_NO_SETTINGS: Final = frozenset({CONFIG_VARIABLE, "ROUTER_SERVER", "ROUTER_TOKEN"})
"""Variables that say where settings are, and which router the command line is to talk to."""
CONFIG_FILE: Final = "tenant-router.toml"
KEY_BYTES: Final = 32
"""An encryption key is for AES-256."""

Network = IPv4Network | IPv6Network

_MAX_PORT: Final = 65535
_MOST_WORKERS_BY_DEFAULT: Final = 4
_UPSTREAM: Final = re.compile(r"(https?://[^\s@?#]+|unix:/[^\s]+)( +weight=[0-9]+)?", re.IGNORECASE)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_MAIL_WAY: Final = re.compile(r"smtps?://[^\s/?#]+/?(\?[^\s#]*)?|file:[^\s]+")
_EMAIL: Final = re.compile(r"[^<>@\s]+@[^<>@\s]+")
_SENDER: Final = re.compile(r"[^<>@\s]+@[^<>@\s]+|[^<>@]*<[^<>@\s]+@[^<>@\s]+>")
# Kubernetes sets these for a Service named “router”; they are nobody's typing error.
_KUBERNETES: Final = re.compile(r"ROUTER_(SERVICE_(HOST|PORT)\w*|PORT(_\d+_(TCP|UDP)\w*)?)")
# What asyncpg understands in a URL, and `sslmode`, which is what everybody else calls its `ssl`.
_POSTGRES_OPTIONS: Final = frozenset({"ssl", "sslmode", "host", "target_session_attrs"})


def _fault(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{sentence}", {"sentence": sentence})


def _as_hostname(raw: object) -> Hostname:
    try:
        return Hostname.parse(str(raw))
    except BadInput as fault:
        raise _fault(fault.sentence) from fault


def _as_label(raw: object) -> str:
    label = str(raw).strip().lower()
    if not _LABEL.fullmatch(label):
        raise _fault(f"“{label[:70]}” is not one label of a hostname: 1 to 63 of a-z, 0-9 and inner hyphens")
    return label


def _as_list(raw: object) -> object:
    """Read a comma-separated text, which is how a list is written in an environment variable."""
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw


def _as_network(raw: object) -> Network:
    if isinstance(raw, IPv4Network | IPv6Network):
        return raw
    try:
        return ip_network(str(raw))
    except ValueError as fault:
        raise _fault(f"“{raw}” is not an IP address or network such as 10.0.0.0/8") from fault


def _as_address(raw: object) -> str:
    try:
        return str(ip_address(str(raw)))
    except ValueError as fault:
        raise _fault(f"“{raw}” is not an IP address to listen on, such as 0.0.0.0 or ::") from fault


def _as_database_url(raw: object) -> str:
    """Check what an operator wrote; which driver speaks to it is storage/engines.py's business."""
    url = str(raw)
    scheme, separator, rest = url.partition("://")
    if separator and scheme.partition("+")[0] in {"postgresql", "postgres"}:
        _check_postgres(url)
    elif separator and scheme.partition("+")[0] == "sqlite":
        _check_sqlite(rest)
    else:
        raise _fault("the value must start with postgresql:// or sqlite:///")
    return url


def _check_postgres(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as fault:
        raise _fault("the value is not a URL") from fault
    if not parts.path.strip("/"):
        raise _fault("the URL names no database: write postgresql://USER:PASSWORD@HOST:5432/DATABASE")
    for option, _ in parse_qsl(parts.query):
        if option not in _POSTGRES_OPTIONS:
            raise _fault(f"the URL's option “{option}” is not understood; leave it out")


def _check_sqlite(rest: str) -> None:
    if not rest.startswith("/") or rest.strip("/") in {"", ":memory:"}:
        raise _fault("the value must name a file, as in sqlite:///data/router.db: workers share it")


def _as_redis_url(raw: object) -> str:
    url = str(raw)
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"redis", "rediss", "unix"} or not rest.strip("/"):
        raise _fault("the value must look like redis://HOST:6379/0, rediss://HOST:6379/0 or unix:///PATH")
    return url


def _as_upstream(raw: object) -> str:
    """Check the looks of an upstream; all of it is read by tenants/upstream_address.py."""
    text = str(raw).strip()
    if not _UPSTREAM.fullmatch(text):
        raise _fault("each upstream must look like http://HOST:PORT, https://HOST:PORT/PATH or unix:/PATH")
    return text


def _as_resolver(raw: object) -> str:
    """Read a name server's address, with or without its port, as ``IP:port``."""
    text = str(raw).strip()
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, "53"
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]") if text.startswith("[") else host)
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
            raise ValueError(port)  # noqa: TRY301 - told below, as what is no address is
    except ValueError as fault:
        raise _fault(f"“{raw}” is not a name server such as 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53") from fault
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"  # noqa: PLR2004 - IPv6


def _as_smtp_url(raw: object) -> str:
    """Check the looks of where mails go; all of it is read by mail/transports.py."""
    url = str(raw).strip()
    if not _MAIL_WAY.fullmatch(url):
        raise _fault("it must look like smtp://USER:PASSWORD@HOST:587, smtps://HOST:465 or file:/FOLDER")
    return url


def _as_sender(raw: object) -> str:
    """Check the looks of whom mails are from; all of it is read by mail/message.py."""
    text = str(raw).strip()
    if not _SENDER.fullmatch(text):
        raise _fault("the value must look like portal@example.com or Portal <portal@example.com>")
    return text


def _as_email(raw: object) -> str:
    """Check the looks of an address that is written to."""
    text = str(raw).strip()
    if not _EMAIL.fullmatch(text):
        raise _fault("the value must look like operators@example.com")
    return text


def _as_key(raw: object) -> object:
    text = raw.get_secret_value() if isinstance(raw, SecretStr) else raw
    if not isinstance(text, str) or len(_key_bytes(text)) != KEY_BYTES:
        sentence = (
            f"each key must be {KEY_BYTES} random bytes in base64url, as `openssl rand -base64 32` prints"
        )
        raise _fault(sentence)
    return text


def _key_bytes(text: str) -> bytes:
    """Decode base64url or base64, padded or not; empty for anything else."""
    alphabet = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(alphabet + "=" * (-len(alphabet) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _default_database(data: dict[str, Any]) -> str:
    return f"sqlite:///{data.get('data_dir', 'data')}/router.db"


def _default_workers() -> int:
    return min(_MOST_WORKERS_BY_DEFAULT, len(os.sched_getaffinity(0)))


Port = Annotated[int, Field(ge=1, le=_MAX_PORT)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseModel):
    """What an operator decides before the router starts; made by :func:`load_settings`.

    The constructor reads neither environment nor files, so that a test says all it means.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    platform_domain: Annotated[Hostname, PlainValidator(_as_hostname)] = Field(
        description="The domain under which tenants get portal addresses, such as `portal.example.com`.",
    )
    admin_name: Annotated[str, BeforeValidator(_as_label)] = Field(
        "admin",
        description="The name under the platform's domain at which the console and the API answer.",
    )
    admin_networks: Annotated[
        tuple[Annotated[Network, BeforeValidator(_as_network)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description="Comma-separated networks from which that name is answered; else, from everywhere.",
    )
    admin_port: Port | None = Field(
        None,
        description="A port of the console's own, the same number for operators; without it, the console "
        "answers on the HTTPS port.",
    )
    data_dir: Path = Field(
        Path("data"),
        description="The folder that holds the embedded database and the generated encryption key.",
    )
    database_url: Annotated[str, BeforeValidator(_as_database_url)] = Field(
        default_factory=_default_database,
        repr=False,
        description="`postgresql://…` for a fleet; without it, SQLite in the data folder.",
    )
    redis_url: Annotated[str, BeforeValidator(_as_redis_url)] | None = Field(
        None,
        repr=False,
        description="`redis://`, `rediss://` or `unix://`; without it, each worker caches in its own memory.",
    )
    bind: Annotated[str, BeforeValidator(_as_address)] = Field(
        "0.0.0.0",  # noqa: S104 - a front door listens to the world; a setting narrows it
        description="The address to listen on; `::` takes IPv4 and IPv6.",
    )
    https_port: Port = Field(8443, description="The port on which the router speaks TLS.")
    http_port: Port = Field(8080, description="The port that redirects to HTTPS.")
    health_port: Port = Field(8081, description="The port of `/healthz` and `/readyz`, for load balancers.")
    public_port: Port = Field(443, description="The HTTPS port that customers see, whatever maps it to ours.")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=_default_workers,
        description="How many worker processes share the ports; by default one for each CPU, at most 4.",
    )
    certs_dir: Path = Field(Path("certs"), description="The folder of drop-in certificates, watched.")
    themes_dir: Path | None = Field(
        None,
        description="A folder of own themes; without it, the themes that come with the router.",
    )
    languages_dir: Path | None = Field(
        None,
        description="A folder of own catalogues, which add languages or say things differently.",
    )
    encryption_keys: Annotated[
        tuple[Annotated[SecretStr, BeforeValidator(_as_key)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description=(
            "Comma-separated keys of 32 bytes in base64url that encrypt private keys at rest; the first "
            "encrypts, all decrypt. Without them, one is generated into the data folder."
        ),
    )
    trusted_proxies: Annotated[
        tuple[Annotated[Network, BeforeValidator(_as_network)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description="Comma-separated networks of load balancers that are believed when they say for whom "
        "they connect.",
    )
    proxy_protocol: bool = Field(
        default=False,
        description="Whether they say so in a PROXY header, which each of their connections then begins "
        "with; else in `X-Forwarded-For`.",
    )
    allow_private_upstreams: bool = Field(
        default=False,
        description="Whether a tenant's upstream may be a loopback or private address; link-local and "
        "metadata addresses never may.",
    )
    default_upstreams: Annotated[
        tuple[Annotated[str, BeforeValidator(_as_upstream)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description="Comma-separated upstreams for tenants that name none, such as `http://erp.example.com:8080`.",
    )
    resolvers: Annotated[
        tuple[Annotated[str, BeforeValidator(_as_resolver)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description="Comma-separated name servers (`IP:port`) that are asked where upstreams are; by default "
        "the system's.",
    )
    domain_resolvers: Annotated[
        tuple[Annotated[str, BeforeValidator(_as_resolver)], ...], BeforeValidator(_as_list)
    ] = Field(
        (),
        description="Comma-separated name servers (`IP:port`) that are asked for the proof of domains; by "
        "default those of ROUTER_RESOLVERS, or the system's.",
    )
    session_idle: Annotated[int, Field(ge=60)] = Field(
        12 * 3600,
        description="Seconds without a visit after which a session ends.",
    )
    session_life: Annotated[int, Field(ge=60)] = Field(
        30 * 86_400,
        description="Seconds after sign-in at which a session ends, whatever was used in between.",
    )
    smtp_url: Annotated[str, BeforeValidator(_as_smtp_url)] | None = Field(
        None,
        repr=False,
        description="`smtp://USER:PASSWORD@HOST:587` (STARTTLS), `smtps://…` (TLS) or `file:/FOLDER`; "
        "without it, mails wait.",
    )
    mail_from: Annotated[str, BeforeValidator(_as_sender)] | None = Field(
        None,
        description="Whom mails are from, such as `Portal <portal@example.com>`; without it, `portal@` the "
        "platform's domain.",
    )
    operators_email: Annotated[str, BeforeValidator(_as_email)] | None = Field(
        None,
        description="Whom to tell, besides each tenant's own contact, what needs an operator: domains that "
        "lose their proof, certificates that run out.",
    )
    head_timeout: Seconds = Field(10, description="Seconds for a TLS handshake, and for a request's head.")
    idle_timeout: Seconds = Field(
        75, description="Seconds a kept-alive connection may wait for its next request."
    )
    connect_timeout: Seconds = Field(3, description="Seconds to reach an upstream.")
    answer_timeout: Seconds = Field(60, description="Seconds for the first byte of an upstream's answer.")
    min_body_rate: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        240,
        description="Octets a second below which a body, either way, is taken for stalled and cut off.",
    )
    stall_timeout: Seconds = Field(
        60,
        description="Seconds over which that rate is reckoned, and an upstream may take nothing of a body.",
    )
    drain_grace: Annotated[float, Field(ge=0, le=3600)] = Field(
        5,
        description="Seconds of saying “not ready” before the ports close, for load balancers to notice.",
    )
    drain_timeout: Seconds = Field(
        30, description="Seconds that requests in flight get to finish on shutdown."
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        10_000,
        description="Client connections that one worker holds at once.",
    )
    max_connections_per_address: Annotated[int, Field(ge=1)] = Field(
        1000,
        description="Client connections that one worker holds from one address, of IPv6 from one /64 "
        "(trusted proxies excepted).",
    )
    max_handshakes: Annotated[int, Field(ge=1)] = Field(
        1000,
        description="Connections that one worker holds before their TLS handshake is through; when there are "
        "more, the one that has taken longest goes.",
    )
    max_requests_per_connection: Annotated[int, Field(ge=1)] = Field(
        1000,
        description="Requests on one client connection, after which it is closed in good order.",
    )
    max_upstream_connections: Annotated[int, Field(ge=1)] = Field(
        512,
        description="Connections that one worker holds to one upstream.",
    )
    upstream_queue: Annotated[int, Field(ge=0)] = Field(
        1024,
        description="Visits that may wait for a connection to one upstream; the next is answered 503.",
    )
    tls_profile: Literal["intermediate", "modern"] = Field(
        "intermediate",
        description="Mozilla's “intermediate” (TLS 1.2 and 1.3) or “modern” (TLS 1.3 alone).",
    )
    keyring_capacity: Annotated[int, Field(ge=1)] = Field(
        2048,
        description="Certificates that one worker keeps ready for use.",
    )
    audit_days: Annotated[int, Field(ge=30, le=36_500)] = Field(
        400,
        description="Days for which the audit tells who did what; older lines are forgotten.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    access_log: bool = Field(default=True, description="Whether each visit is a line in the log.")

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: “command line”, “environment”, “.env”, a file's path, or “default”."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}

    @property
    def admin_hostname(self) -> Hostname:
        """Where the console and the API answer, and no tenant."""
        return Hostname.parse(f"{self.admin_name}.{self.platform_domain}")

    @property
    def console_port(self) -> int:
        """The port of the console's address as operators see it: its own, else the one customers see."""
        return self.admin_port or self.public_port

    @property
    def sealing_keys(self) -> tuple[bytes, ...]:
        """The encryption keys as bytes, the one that encrypts first; empty when none is set."""
        return tuple(_key_bytes(key.get_secret_value()) for key in self.encryption_keys)

    @property
    def sender(self) -> str:
        """Whom mails are from."""
        return self.mail_from or f"portal@{self.platform_domain}"

    @property
    def key_file(self) -> Path:
        """Where the generated encryption key is, when none is set."""
        return self.data_dir / "encryption.key"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(f"{self.admin_name}.{self.platform_domain}") > MAX_NAME:
            raise _fault("admin_name and platform_domain together are too long for a hostname")
        ports = (self.https_port, self.http_port, self.health_port)
        if len(set(ports)) < len(ports):
            raise _fault("https_port, http_port and health_port must be three different ports")
        if self.admin_port in ports:
            raise _fault("admin_port must be none of https_port, http_port and health_port")
        if self.session_idle > self.session_life:
            raise _fault("session_idle must not be longer than session_life")
        if self.max_connections_per_address > self.max_connections:
            raise _fault("max_connections_per_address must not be more than max_connections")
        if self.proxy_protocol and not self.trusted_proxies:
            raise _fault("proxy_protocol needs trusted_proxies: name the load balancers that send the header")
        return self


def load_settings(
    environment: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    **overrides: object,
) -> Settings:
    """Gather, validate and freeze the settings.

    ``environment`` is the process's own unless given, ``folder`` (of ``.env`` and the TOML file) the current
    one; ``overrides`` are what the command line said, None meaning nothing. Raises :class:`BadSettings` with
    one line for each fault.
    """
    environment = os.environ if environment is None else environment
    folder = folder or Path()
    faults: list[str] = []
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for origin, read in _sources(environment, folder, overrides):
        found, unknown = read()
        faults += [_unknown(name, origin) for name in unknown]
        values.update(found)
        origins.update(dict.fromkeys(found, origin))
    return _validated(values, origins, faults)


_Read = Callable[[], tuple[dict[str, object], list[str]]]


def _sources(
    environment: Mapping[str, str],
    folder: Path,
    overrides: Mapping[str, object],
) -> list[tuple[str, _Read]]:
    """Name each source and how it is read, the weakest first."""
    config = environment.get(CONFIG_VARIABLE) or str(folder / CONFIG_FILE)
    given = {name: value for name, value in overrides.items() if value is not None}
    return [
        (config, lambda: _read_toml(Path(config), wanted=bool(environment.get(CONFIG_VARIABLE)))),
        (".env", lambda: _from_variables(_read_dotenv(folder / ".env"))),
        ("environment", lambda: _from_variables(environment)),
        ("command line", lambda: (given, [])),
    ]


def _from_variables(variables: Mapping[str, str | None]) -> tuple[dict[str, object], list[str]]:
    found: dict[str, object] = {}
    unknown: list[str] = []
    for variable, value in variables.items():
        name = variable.upper().removeprefix(PREFIX).lower()
        if not variable.upper().startswith(PREFIX) or not value or variable.upper() in _NO_SETTINGS:
            continue
        if name in Settings.model_fields:
            found[name] = value
        elif not _KUBERNETES.fullmatch(variable):
            unknown.append(variable)
    return found, unknown


def _read_dotenv(path: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(path, interpolate=False)
    except (OSError, UnicodeError) as fault:
        raise BadSettings("settings_unreadable", f"{path} cannot be read: {fault}.") from fault


def _read_toml(path: Path, *, wanted: bool) -> tuple[dict[str, object], list[str]]:
    if not wanted and not path.exists():
        return {}, []
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeError) as fault:
        raise BadSettings("settings_unreadable", f"{path} cannot be read: {fault}.") from fault
    except tomllib.TOMLDecodeError as fault:
        raise BadSettings("settings_not_toml", f"{path} is not TOML: {fault}.") from fault
    found = {name: value for name, value in table.items() if name in Settings.model_fields}
    return found, [name for name in table if name not in Settings.model_fields]


def _validated(values: dict[str, object], origins: dict[str, str], faults: list[str]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_input=False)
        # A default made from other values is not made when one of those is at fault: no news.
        told = [detail for detail in details if detail["type"] != "default_factory_not_called"]
        faults = [*faults, *(_sentence(detail, origins) for detail in told)]
    else:
        settings._origins = origins  # noqa: SLF001 - this function is its constructor
        if not faults:
            return settings
    raise BadSettings("bad_settings", "\n".join(dict.fromkeys(faults)))


def _sentence(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    """Tell one of pydantic's faults to a person, without the value (it may be a secret)."""
    message = detail["msg"].removesuffix(".")
    if not detail["loc"]:
        return f"{message}."
    name = str(detail["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    if detail["type"] == "missing":
        where = f"set it, or put {name} into tenant-router.toml in the folder where this runs"
        return f"{variable} is missing: {where}. {Settings.model_fields[name].description}"
    return f"{variable} (from {origins.get(name, 'default')}): {message[:1].lower()}{message[1:]}."


def _unknown(name: str, origin: str) -> str:
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    wanted = name.upper() if name.upper().startswith(PREFIX) else f"{PREFIX}{name.upper()}"
    close = difflib.get_close_matches(wanted, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"“{name}” (from {origin}) is not a setting.{hint}"
