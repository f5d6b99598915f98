"""``certificate`` through the API, told in the words of the commands."""

from __future__ import annotations

import base64
import time
from typing import Any, Final

from router.cli.certificate import passphrase_from_stdin, read_file
from router.cli.certificate_views import some
from router.cli.output import Exit, Usage, answer, complain, show_list
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given, tenant_path

_LOOKED_EVERY: Final = 1.0


def check(client: Client, given: Given) -> None:
    """Do ``certificate check``; without a tenant, as one of the platform's own."""
    found = client.post(f"{_path(given['tenant'])}/check", _upload(given))
    names = some(found["names"])
    said = f"It would be accepted, for {names}, until {found['not_after']}. Nothing was stored."
    record = {"tenant": given["tenant"], **found, "stored": False}
    answer(record, said, *_sentences(found), as_json=given["as_json"])


def upload(client: Client, given: Given) -> Exit:
    """Do ``certificate upload``."""
    if (given["tenant"] is None) != given["platform"]:
        raise Usage("usage", "Say whose certificate it is: --tenant SLUG, or --platform.")
    path = _path(given["tenant"])
    made = client.post(path, _upload(given))
    made |= _deployed(client, f"{path}/{escaped(made['id'])}", given["wait"]) if given["wait"] else {}
    record = {**_described(made, given["tenant"]), "stored": True}
    workers = f"{made['workers_have']} of {made['workers']} workers have it"
    said = f"{made['id']}: {made['state']}: {workers}."
    names = f"It is for {some(made['names'])}, until {made['not_after']}."
    answer(record, said, names, *_sentences(made), as_json=given["as_json"])
    if given["wait"] and made["state"] == "deploying":
        late = f"Not every worker has {made['id']} after {given['wait']:g} seconds."
        complain("not_deployed", late, as_json=given["as_json"])
        return Exit.TIMED_OUT
    return Exit.OK


def list_all(client: Client, given: Given) -> None:
    """Do ``certificate list``; without a tenant, of the platform's own."""
    found = client.all(_path(given["tenant"]), state=given["state"])
    rows = [_described(told, given["tenant"]) for told in found]
    columns = ("tenant", "names", "state", "key_type", "days_left", "not_after", "id")
    show_list(rows, columns, as_json=given["as_json"], none="There are none.")


def _path(tenant: str | None) -> str:
    return "/certificates" if tenant is None else f"{tenant_path(tenant)}/certificates"


def _upload(given: Given) -> dict[str, Any]:
    """Say in the API's words what was uploaded: PEM as it is, anything else in base64."""
    phrase = passphrase_from_stdin(given["passphrase_stdin"])
    chain, key = read_file(given["chain"]), read_file(given["key"]) if given["key"] else None
    wish = {"passphrase": phrase.decode("utf-8", "replace")} if phrase is not None else {}
    if b"-----BEGIN" not in chain:
        return wish | {"pkcs12": base64.b64encode(chain).decode("ascii")}
    wish["certificate"] = chain.decode("utf-8", "replace")
    return wish if key is None else wish | {"key": key.decode("utf-8", "replace")}


def _deployed(client: Client, path: str, wait: float) -> Told:
    """Tell how a certificate stands, after ``wait`` seconds at most for the workers to take it in."""
    ends = time.monotonic() + wait
    while True:
        told = client.get(path)
        if told["state"] != "deploying" or time.monotonic() >= ends:
            return told
        time.sleep(_LOOKED_EVERY)


def _described(told: Told, tenant: str | None) -> dict[str, Any]:
    workers = {"have": told["workers_have"], "all": told["workers"]}
    rest = {name: value for name, value in told.items() if name not in ("workers", "workers_have")}
    return {"tenant": tenant or "(platform)", **rest, "workers": workers}


def _sentences(found: Told) -> list[str]:
    said = []
    if found["waits_for"]:
        said.append(f"It waits for {some(found['waits_for'])} to be active.")
    if found["not_covered"]:
        said.append(f"It does not cover {some(found['not_covered'])}.")
    if found["replaces"]:
        said.append(f"It takes the place of {some(found['replaces'])}, which is kept.")
    return [*said, *(f"Warning: {each['sentence']}" for each in found["warnings"])]
