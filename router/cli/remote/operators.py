"""``operator`` through the API, told in the words of the commands."""

from __future__ import annotations

from typing import Any, Final

from router.cli.operator import COLUMNS, NONE_YET, no_such_operator, with_tokens
from router.cli.output import answer, show_list
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given

_TOLD: Final = ("id", "email", "role", "tenant", "state", "tokens", "created_at")


def add(client: Client, given: Given) -> None:
    """Do ``operator add``."""
    wish = {"email": given["email"], "read_only": given["read_only"]}
    if given["tenant"] is not None:
        wish["tenant"] = given["tenant"]
    _show_link(client.post("/operators", wish), given)


def list_all(client: Client, given: Given) -> None:
    """Do ``operator list``."""
    rows = [_described(told) for told in client.all("/operators", tenant=given["tenant"])]
    show_list(rows, COLUMNS, as_json=given["as_json"], none=NONE_YET)


def role(client: Client, given: Given) -> None:
    """Do ``operator role``."""
    changed = _change(client, given, {"read_only": given["read_only"]})
    _answer(changed, f"{changed['email']} is a {changed['role']} now.", given)


def disable(client: Client, given: Given) -> None:
    """Do ``operator disable``."""
    changed = _change(client, given, {"disabled": True})
    said = with_tokens(f"{changed['email']} cannot sign in any more.", changed["tokens"], "stopped")
    _answer(changed, said, given)


def enable(client: Client, given: Given) -> None:
    """Do ``operator enable``."""
    changed = _change(client, given, {"disabled": False})
    said = with_tokens(f"{changed['email']} can sign in again.", changed["tokens"], "going on")
    _answer(changed, said, given)


def remove(client: Client, given: Given) -> None:
    """Do ``operator remove``."""
    found = _find(client, given)
    client.delete(_path(found))
    said = with_tokens(f"{found['email']} is no operator any more.", found["tokens"], "revoked")
    _answer(found, said, given)


def link(client: Client, given: Given) -> None:
    """Do ``operator link``."""
    _show_link(client.post(f"{_path(_find(client, given))}/link"), given)


def _change(client: Client, given: Given, wish: dict[str, bool]) -> Told:
    found = _find(client, given)
    return client.patch(_path(found), wish, version=found["version"])


def _find(client: Client, given: Given) -> Told:
    """Find an operator by e-mail address."""
    wanted = given["email"].strip().casefold()
    for told in client.all("/operators"):
        if told["email"].casefold() == wanted:
            return told
    raise no_such_operator()


def _path(told: Told) -> str:
    return f"/operators/{escaped(told['id'])}"


def _described(told: Told) -> dict[str, Any]:
    return {name: told[name] for name in _TOLD} | {"tenant": told["tenant"] or "(all)"}


def _answer(told: Told, said: str, given: Given) -> None:
    answer(_described(told), said, as_json=given["as_json"])


def _show_link(told: Told, given: Given) -> None:
    said = f"For {told['email']}, a {told['role']}: it works once, within a day. It is shown this once."
    record = {"link": told["link"], **_described(told)}
    answer(record, told["link"], said, as_json=given["as_json"])
