"""``user`` and ``token`` through the API, told in the words of the commands."""

from __future__ import annotations

from typing import Any

from router.cli.output import answer, show_list, show_record
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given, tenant_path
from router.console.scopes import Scope
from router.errors import NotFound


def list_users(client: Client, given: Given) -> None:
    """Do ``user list``."""
    rows = list(client.all(f"{tenant_path(given['slug'])}/users"))
    none = "There are no users yet: tenant-router user invite --help"
    show_list(rows, ("email", "customers", "disabled", "id"), as_json=given["as_json"], none=none)


def show_user(client: Client, given: Given) -> None:
    """Do ``user show``."""
    user = _find(client, given)
    held = list(client.all(f"{_path(given, user)}/sessions"))
    show_record(user | {"sessions": len(held)}, as_json=given["as_json"])


def join(client: Client, given: Given) -> None:
    """Do ``user join``."""
    path = f"{_path(given, _find(client, given))}/customers"
    user = client.post(path, {"customer": given["customer"]})
    answer(user, f"{user['email']} acts for {', '.join(user['customers'])}.", as_json=given["as_json"])


def leave(client: Client, given: Given) -> None:
    """Do ``user leave``."""
    path = _path(given, _find(client, given))
    client.delete(f"{path}/customers/{escaped(given['customer'])}")
    user = client.get(path)
    left = ", ".join(user["customers"]) or "no customer"
    answer(user, f"{user['email']} acts for {left}.", as_json=given["as_json"])


def disable(client: Client, given: Given) -> None:
    """Do ``user disable``."""
    user = client.post(f"{_path(given, _find(client, given))}/disable")
    said = f"{user['email']} cannot sign in to {given['slug']} any more."
    answer(user, said, as_json=given["as_json"])


def enable(client: Client, given: Given) -> None:
    """Do ``user enable``."""
    user = client.post(f"{_path(given, _find(client, given))}/enable")
    answer(user, f"{user['email']} can sign in to {given['slug']} again.", as_json=given["as_json"])


def sessions(client: Client, given: Given) -> None:
    """Do ``user sessions``."""
    user = _find(client, given)
    rows = list(client.all(f"{_path(given, user)}/sessions"))
    columns = ("id", "customer", "address", "signed_in_at", "seen_at", "remembered")
    show_list(rows, columns, as_json=given["as_json"], none=f"{user['email']} is signed in nowhere.")


def end_sessions(client: Client, given: Given) -> None:
    """Do ``user end-sessions``."""
    user = _find(client, given)
    path = f"{_path(given, user)}/sessions"
    ended = [each["id"] for each in client.all(path) if given["session"] in (None, each["id"])]
    if given["session"] is None:
        client.delete(path)
    else:
        client.delete(f"{path}/{escaped(given['session'])}")
    told = "1 session" if len(ended) == 1 else f"{len(ended)} sessions"
    record = {"email": user["email"], "ended": ended}
    answer(record, f"{told} of {user['email']} ended.", as_json=given["as_json"])


def invite(client: Client, given: Given) -> None:
    """Do ``user invite``."""
    wish = {"email": given["email"], "customer": given["customer"]}
    if given["language"] is not None:
        wish["language"] = given["language"]
    made = client.post(f"{tenant_path(given['slug'])}/invitations", wish)
    until = f"The link in the mail is good until {made['expires_at']}."
    answer(made, f"{made['email']} was invited.", until, as_json=given["as_json"])


def list_invitations(client: Client, given: Given) -> None:
    """Do ``user invitations``."""
    rows = list(client.all(f"{tenant_path(given['slug'])}/invitations"))
    columns = ("id", "email", "customer", "status", "sent_at", "expires_at", "invited_by")
    none = "Nobody was invited yet: tenant-router user invite --help"
    show_list(rows, columns, as_json=given["as_json"], none=none)


def add_token(client: Client, given: Given) -> None:
    """Do ``token add``."""
    wish = {"name": given["name"], "scopes": given["scope"] or [Scope.INVOICE_LINE], "days": given["expires"]}
    if given["tenant"] is not None:
        wish["tenant"] = given["tenant"]
    made = client.post("/tokens", wish)
    whose = f"tenant {made['tenant']}" if made["tenant"] else "all tenants"
    said = f"For {whose}, until {made['expires_at']}. Keep it safe: it is shown this once."
    record = {"token": made["token"], **_token(made)}
    answer(record, made["token"], said, as_json=given["as_json"])


def list_tokens(client: Client, given: Given) -> None:
    """Do ``token list``."""
    found = [_token(told) for told in client.all("/tokens")]
    rows = [each for each in found if given["tenant"] in (None, each["tenant"])]
    columns = ("id", "name", "tenant", "scopes", "state", "expires_at", "last_used_at")
    none = "There are none yet: tenant-router token add --help"
    show_list(rows, columns, as_json=given["as_json"], none=none)


def revoke_token(client: Client, given: Given) -> None:
    """Do ``token revoke``."""
    token_id = given["token_id"]
    client.delete(f"/tokens/{escaped(token_id)}")
    record = {"id": token_id, "state": "revoked"}
    answer(record, f"{token_id} opens nothing any more.", as_json=given["as_json"])


def _token(told: Told) -> dict[str, Any]:
    named = {name: value for name, value in told.items() if name != "token"}
    return named | {"tenant": told["tenant"] or "(all)"}


def _find(client: Client, given: Given) -> Told:
    """Find a user by e-mail address."""
    slug, email = given["slug"], given["email"].strip()
    for user in client.all(f"{tenant_path(slug)}/users", search=email):
        if user["email"].casefold() == email.casefold():
            return user
    raise NotFound("no_such_user", f"{slug} has no user {email[:254]}.")


def _path(given: Given, user: Told) -> str:
    return f"{tenant_path(given['slug'])}/users/{escaped(user['id'])}"
