"""Which router is meant: the options before the command, and what the environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from router.cli.output import Usage
from router.errors import BadInput

OPTIONS: Final = ("--server", "--token-file", "--ca-file")
SERVER: Final = "ROUTER_SERVER"
TOKEN: Final = "ROUTER_TOKEN"  # noqa: S105 - the variable's name

_MAX_TOKEN: Final = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where the API is: ``https://HOST[:PORT]``; who verifies it, and whose token is shown."""

    host: str
    port: int
    token_file: Path | None = None
    ca_file: Path | None = None

    def token(self, environment: Mapping[str, str] = os.environ) -> str:
        """Read the token. Raises ``BadInput`` with ``token_missing`` or ``file_unreadable``."""
        raw = environment.get(TOKEN, "")
        if self.token_file is not None:
            try:
                with self.token_file.open(encoding="ascii") as file:
                    raw = file.read(_MAX_TOKEN)
            except (OSError, UnicodeError) as fault:
                raise BadInput("file_unreadable", f"{self.token_file} cannot be read as a token.") from fault
        token = raw.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            sentence = f"There is no token: --token-file FILE, or {TOKEN} in the environment."
            raise BadInput("token_missing", sentence)
        return token


def find_place(
    tokens: Sequence[str], environment: Mapping[str, str] = os.environ
) -> tuple[Place | None, list[str]]:
    """Take the options before the command off what was typed; no place is this machine's own database.

    Raises ``Usage``.
    """
    rest, given = list(tokens), dict[str, str]()
    while rest and rest[0].partition("=")[0] in OPTIONS:
        name, equals, value = rest.pop(0).partition("=")
        if not equals:
            if not rest:
                raise Usage("usage", f"{name} needs a value.")
            value = rest.pop(0)
        given[name] = value
    server = given.get("--server") or environment.get(SERVER, "")
    if not server:
        if given:
            raise Usage("usage", f"{next(iter(given))} goes with --server https://HOST.")
        return None, rest
    host, port = _read_server(server)
    token_file, ca_file = given.get("--token-file"), given.get("--ca-file")
    return Place(
        host, port, Path(token_file) if token_file else None, Path(ca_file) if ca_file else None
    ), rest


def _read_server(raw: str) -> tuple[str, int]:
    """Read the address; only https, for a token goes there."""
    try:
        url = urlsplit(raw)
        port = url.port or 443
    except ValueError:
        url, port = urlsplit(""), 0
    odd = url.username or url.query or url.fragment or url.path not in ("", "/")
    if url.scheme != "https" or not url.hostname or odd:
        raise Usage("usage", "--server is where the console is: https://HOST or https://HOST:PORT.")
    return url.hostname, port
