"""``domain`` through the API, told in the words of the commands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from router.cli.output import Exit, Usage, answer, show_list, show_record
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given, spoken, tenant_path
from router.cli.tenant import tell_given_up
from router.errors import Conflict
from router.tenants.claims import ClaimState

_LOOKED_EVERY: Final = 2.0
_HOPELESS: Final = frozenset({ClaimState.RELEASED, ClaimState.BLOCKED, ClaimState.SUSPENDED})
_SHARED: Final = (
    "proof",
    "proved_at",
    "lost_at",
    "serves_until",
    "checks",
    "checked_at",
    "next_check_at",
    "reason",
)


def add(client: Client, given: Given) -> None:
    """Do ``domain add``."""
    wish = {"hostname": given["host"]}
    if given["behind_cdn"] is not None:
        wish["behind_cdn"] = given["behind_cdn"]
    path = f"{tenant_path(given['slug'])}/domains"
    before = {each["hostname"] for each in client.all(path)}
    told = client.post(path, wish)
    gone = sorted(before - {each["hostname"] for each in client.all(path)})
    _show(told, given["slug"], given, gone=gone)


def verify(client: Client, given: Given) -> Exit:
    """Do ``domain verify``."""
    told = client.post(f"{_path(given)}/check")
    _show(told, given["tenant"], given, with_evidence=True)
    return Exit.OK if told["state"] == ClaimState.ACTIVE else Exit.WRONG


def status(client: Client, given: Given) -> None:
    """Do ``domain status``."""
    _show(client.get(_path(given)), given["tenant"], given, with_evidence=True)


def wait(client: Client, given: Given) -> Exit:
    """Do ``domain wait``."""
    until = time.monotonic() + given["timeout"]
    while (told := client.get(_path(given)))["state"] != ClaimState.ACTIVE:
        if told["state"] in _HOPELESS:
            raise Conflict("claim_state", f"{told['hostname']} is {told['state']}. {told['sentence']}")
        if time.monotonic() > until:
            break
        time.sleep(_LOOKED_EVERY)
    _show(told, given["tenant"], given)
    return Exit.OK if told["state"] == ClaimState.ACTIVE else Exit.TIMED_OUT


def release(client: Client, given: Given) -> None:
    """Do ``domain release``."""
    _show(client.delete(_path(given)), given["tenant"], given)


def list_all(client: Client, given: Given) -> None:
    """Do ``domain list``, of one tenant."""
    slug = given["tenant"]
    if slug is None:
        raise Usage("usage", "Through the API, say whose domains are meant: --tenant SLUG.")
    rows = [_described(told, slug) for told in client.all(f"{tenant_path(slug)}/domains")]
    columns = ("hostname", "tenant", "state", "code", "next_check_at")
    hint = f"tenant-router domain add {slug} billing.example.com"
    none = f"There are no claims to external hostnames: {hint}"
    show_list(rows, columns, as_json=given["as_json"], none=none)


def activate(client: Client, given: Given) -> None:
    """Do ``domain activate``."""
    told = client.post(f"{_path(given)}/vouch", {"reason": given["reason"]})
    record = {
        "tenant": given["tenant"],
        "hostname": told["hostname"],
        "kind": "external",
        "state": told["state"],
        "reason": told["reason"],
    }
    said = f"{told['hostname']} is active for tenant {given['tenant']}."
    answer(record, said, as_json=given["as_json"])


def block(client: Client, given: Given) -> None:
    """Do ``domain block``."""
    _show(client.post(f"{_path(given)}/block", {"reason": given["reason"]}), given["tenant"], given)


def unblock(client: Client, given: Given) -> None:
    """Do ``domain unblock``."""
    _show(client.post(f"{_path(given)}/unblock"), given["tenant"], given)


def suspend(client: Client, given: Given) -> None:
    """Do ``domain suspend``."""
    _show(client.post(f"{_path(given)}/suspend", {"reason": given["reason"]}), given["tenant"], given)


def resume(client: Client, given: Given) -> None:
    """Do ``domain resume``."""
    _show(client.post(f"{_path(given)}/resume"), given["tenant"], given)


def _path(given: Given) -> str:
    if given["tenant"] is None:
        raise Usage("usage", "Through the API, say whose claim is meant: --tenant SLUG.")
    return f"{tenant_path(given['tenant'])}/domains/{escaped(given['host'])}"


def _described(told: Told, slug: str) -> dict[str, Any]:
    records = {each["type"]: each for each in told["records"]}
    said = ("state", "code", "sentence", "next_step", "behind_cdn")
    return {
        "hostname": told["hostname"],
        "tenant": slug,
        **{name: told[name] for name in said},
        "cname_target": records["CNAME"]["value"] if "CNAME" in records else None,
        "txt_name": records["TXT"]["name"] if "TXT" in records else None,
        "txt_token": records["TXT"]["value"] if "TXT" in records else None,
        **{name: told[name] for name in _SHARED},
    }


def _show(
    told: Told,
    slug: str,
    given: Given,
    *,
    with_evidence: bool = False,
    gone: Sequence[str] | None = None,
) -> None:
    """Show a claim; ``gone`` are the hostnames that were given up for it."""
    record = _described(told, slug)
    shown = {name: value for name, value in record.items() if value not in (None, "", 0, False)}
    for name in ("sentence", "next_step"):
        shown.pop(name, None)
    if with_evidence:
        record["evidence"] = told["evidence"]
        newest = told["evidence"][0]["at"] if told["evidence"] else None
        lines = [each for each in told["evidence"] if each["at"] == newest]
        asked = [f"{each['asked']} of {each['resolver'] or 'nobody'}: {each['answer']}" for each in lines]
        shown |= {"asked": asked, "expected": [each["expected"] for each in lines]} if lines else {}
    if gone is not None:
        record["given_up"] = list(gone)
    show_record(record, as_json=given["as_json"], told=shown)
    if not given["as_json"]:
        print(spoken(told), *tell_given_up(gone or ()), sep="\n")
