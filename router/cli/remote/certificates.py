"""``certificate`` through the API, told in the words of the commands.

Whose a certificate is has to be said: without a tenant, one of the platform's own is meant.
"""

from __future__ import annotations

import base64
import time
from datetime import datetime
from typing import Any, Final

from router.certificates.life import Standing
from router.certificates.record import CertificateRecord
from router.cli.certificate import passphrase_from_stdin, read_file, serving
from router.cli.certificate_views import some
from router.cli.certificate_views import told as spoken
from router.cli.output import Exit, Usage, answer, complain, show_list, show_record
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given, tenant_path
from router.hostname import Hostname

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


def show(client: Client, given: Given) -> None:
    """Do ``certificate show``."""
    found = client.get(_chosen(client, given))
    chain, warnings = found.pop("chain"), found.pop("warnings")
    record = {
        **_described(found, given["tenant"]),
        "chain": [each["subject"] for each in chain],
        "issuer": chain[-1]["issuer"],
        "warnings": warnings,
    }
    said = [each["sentence"] for each in warnings]
    for_people = {**record, "state": _standing(found), "workers": None, "warnings": said}
    show_record(record, as_json=given["as_json"], told=for_people)


def rollback(client: Client, given: Given) -> None:
    """Do ``certificate rollback``."""
    again = client.post(f"{_chosen(client, given)}/rollback")["items"]
    said = [
        f"{each['id']} serves {some(each['names'])} again, until {each['not_after']}: {_standing(each)}."
        for each in again
    ]
    answer([_described(each, given["tenant"]) for each in again], *said, as_json=given["as_json"])


def delete(client: Client, given: Given) -> None:
    """Do ``certificate delete``."""
    path = f"{_path(given['tenant'])}/{escaped(given['certificate_id'])}"
    gone = client.get(path)
    client.delete(f"{path}?even_the_last=true" if given["even_the_last"] else path)
    said = f"{gone['id']} is deleted; its names were {some(gone['names'])}."
    answer({"deleted": gone["id"], "names": gone["names"]}, said, as_json=given["as_json"])


def export_public(client: Client, given: Given) -> None:
    """Do ``certificate export-public``."""
    path = _chosen(client, given)
    chain = b"".join(client.lines(f"{path}/chain")).decode("ascii")
    record = {"id": path.rpartition("/")[2], "chain": chain}
    answer(record, chain.removesuffix("\n"), as_json=given["as_json"])


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


def _chosen(client: Client, given: Given) -> str:
    """Find where the certificate is that is meant: by its id, or the one that serves a hostname."""
    path, which = _path(given["tenant"]), given["which"]
    if which.startswith("crt_"):
        return f"{path}/{escaped(which)}"
    hostname = Hostname.parse(which)
    found = [told for told in client.all(path) if told["state"] != "superseded"]
    served = [told for told in found if told["state"] != "held"]
    records = [_record(told, given["tenant"]) for told in served or found]
    return f"{path}/{escaped(serving(records, hostname).id)}"


def _record(told: Told, tenant: str | None) -> CertificateRecord:
    return CertificateRecord(
        id=told["id"],
        tenant_id=tenant,
        source="upload",
        state="active",
        key_type=told["key_type"],
        fingerprint=told["fingerprint"],
        names=tuple(told["names"]),
        not_before=_moment(told["not_before"]),
        not_after=_moment(told["not_after"]),
        created_at=_moment(told["created_at"]),
    )


def _moment(spelled: str) -> int:
    return int(datetime.fromisoformat(spelled).timestamp())


def _standing(told: Told) -> str:
    return spoken(Standing(told["state"], told["workers_have"], told["workers"]))


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
