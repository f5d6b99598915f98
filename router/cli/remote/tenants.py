"""``tenant`` through the API, told in the words of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from router.cli.branding import BrandingOptions
from router.cli.forwarding import ForwardingOptions, emptied
from router.cli.output import Usage, answer, show_list, show_record
from router.cli.remote.client import Client, Told, escaped
from router.errors import BadSettings

Given = Mapping[str, Any]
"""What was typed, by the names of the command's parameters; what was not, as by default."""

_NUMBERS: Final = ("health_interval", "health_status", "requests_per_second", "answer_timeout")
_SHARED: Final = (
    "id",
    "name",
    "status",
    "theme_colour",
    "allow_registration",
    "registration_check",
    "upstreams",
    "public_paths",
    "forwarding",
    "cname_target",
    "version",
    "created_at",
    "updated_at",
)


def list_all(client: Client, given: Given) -> None:
    """Do ``tenant list``: of each what the API's list tells."""
    rows = [_summary(told) for told in client.all("/tenants")]
    columns = ("slug", "name", "address", "status", "external_domain")
    none = "There are no tenants yet: tenant-router tenant add --help"
    show_list(rows, columns, as_json=given["as_json"], none=none)


def show(client: Client, given: Given) -> None:
    """Do ``tenant show``."""
    record = described(client, client.get(_path(given)))
    show_record(record, as_json=given["as_json"], told=_flat(record))


def add(client: Client, given: Given) -> None:
    """Do ``tenant add``."""
    wish = _wish(given) | {"portal_address": given["slug"]}
    if given["take_over_slug"]:
        wish["take_over_portal_address"] = True
    told = _with_pictures(client, given, client.post("/tenants", wish))
    _answer(client, told, f"Tenant {given['slug']} was added.", given)


def change(client: Client, given: Given) -> None:
    """Do ``tenant set``; what somebody else changes meanwhile is not overwritten."""
    wish = _wish(given)
    before = client.get(_path(given))
    told = client.patch(_path(given), wish, version=before["version"]) if wish else before
    told = _with_pictures(client, given, told)
    slug = given["slug"]
    changed = told["version"] != before["version"]
    said = f"Tenant {slug} was changed." if changed else f"Nothing to change: tenant {slug} is like that."
    _answer(client, told, said, given)


def suspend(client: Client, given: Given) -> None:
    """Do ``tenant suspend``."""
    told = client.post(f"{_path(given)}/suspend", version=client.get(_path(given))["version"])
    _answer(client, told, f"Tenant {given['slug']} is suspended.", given)


def resume(client: Client, given: Given) -> None:
    """Do ``tenant resume``."""
    told = client.post(f"{_path(given)}/resume", version=client.get(_path(given))["version"])
    _answer(client, told, f"Tenant {given['slug']} is active.", given)


def end_sessions(client: Client, given: Given) -> None:
    """Do ``tenant end-sessions``."""
    told = client.post(f"{_path(given)}/sessions/end")
    said = f"Everybody is signed out of {given['slug']}."
    answer({"slug": given["slug"], "ended": told["ended"]}, said, as_json=given["as_json"])


def delete(client: Client, given: Given) -> None:
    """Do ``tenant delete``."""
    slug = given["slug"]
    if given["yes_delete"] != slug:
        raise Usage("usage", f"To delete {slug} with all that is its own, say: --yes-delete {slug}")
    before = client.get(_path(given))
    record = described(client, before)
    client.delete(_path(given), version=before["version"])
    answer(record, f"Tenant {slug} was deleted.", as_json=given["as_json"])


def described(client: Client, told: Told) -> dict[str, Any]:
    """Describe a tenant as the commands do on the database."""
    looks: dict[str, Any] = dict(told["branding"])
    theme = looks.pop("theme")
    looks |= {kind: _image(looks[kind]) for kind in ("logo", "favicon")}
    record = {"slug": told["portal_address"], "address": told["portal_url"].removesuffix("/"), "theme": theme}
    return (
        record | {name: told[name] for name in _SHARED} | {"branding": looks, "claims": _claims(client, told)}
    )


def tenant_path(slug: str) -> str:
    """Name where a tenant is."""
    return f"/tenants/{escaped(slug)}"


def spoken(claim: Told) -> str:
    """Tell people how a claim stands, and what to do next."""
    return f"{claim['hostname']} is {claim['state']}. {claim['sentence']} {claim['next_step']}".strip()


def _path(given: Given) -> str:
    return tenant_path(given["slug"])


def _summary(told: Told) -> dict[str, Any]:
    rest = {name: value for name, value in told.items() if name not in ("portal_address", "portal_url")}
    return {"slug": told["portal_address"], "address": told["portal_url"].removesuffix("/")} | rest


def _claims(client: Client, told: Told) -> list[dict[str, Any]]:
    """Describe the claims to hostnames, as far as the token may see them."""
    platform = told["cname_target"].partition(".customers.")[2]
    address = f"{told['portal_address']}.{platform}"
    own = [{"hostname": address, "kind": "platform", "state": "active", "reason": None}]
    try:
        found = list(client.all(f"{tenant_path(told['portal_address'])}/domains"))
    except BadSettings:
        return own
    return own + [
        {"hostname": each["hostname"], "kind": "external", "state": each["state"], "reason": each["reason"]}
        for each in found
    ]


def _wish(given: Given) -> dict[str, Any]:
    """Say in the API's words what was typed."""
    own = {
        "name": given["name"],
        "theme_colour": given["theme_colour"],
        "upstreams": emptied(given["upstream"], [], empty=given.get("no_upstream", False)),
        "external_domain": emptied(
            given["external_domain"], "", empty=given.get("no_external_domain", False)
        ),
        "allow_registration": given["allow_registration"],
        "registration_check": given["registration_check"],
        "public_paths": emptied(given["public_path"], [], empty=given.get("no_public_path", False)),
        "branding": _named(_looks(given).texts()),
        "forwarding": _forwarding(given["options"] or ForwardingOptions()),
    }
    return {name: value for name, value in own.items() if value not in (None, {})}


def _looks(given: Given) -> BrandingOptions:
    looks = given["looks"]
    return looks if isinstance(looks, BrandingOptions) else BrandingOptions()


def _forwarding(options: ForwardingOptions) -> dict[str, Any]:
    typed = asdict(options.form())
    for name in _NUMBERS:
        if typed[name] is not None and typed[name].isdecimal():
            typed[name] = int(typed[name])
    return _named(typed)


def _with_pictures(client: Client, given: Given, told: Told) -> Told:
    for kind, octets in _looks(given).pictures().items():
        path = f"{_path(given)}/images/{kind}"
        version = told["version"]
        put = client.put(path, octets, version=version) if octets else client.delete(path, version=version)
        told = put
    return told


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _image(image: Told | None) -> str:
    if image is None:
        return ""
    name = image["url"].rpartition("/")[2]
    return f"{name} ({image['content_type']}, {image['width']}x{image['height']})"


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Tell people the same in one list, without what is empty of the looks."""
    rest = {name: value for name, value in record.items() if name not in ("branding", "forwarding")}
    looks = {name: value for name, value in record["branding"].items() if value}
    return {**rest, **looks, **record["forwarding"]}


def _answer(client: Client, told: Told, said: str, given: Given) -> None:
    record = described(client, told)
    steps = [_step(client, told)] if given.get("external_domain") and not given["as_json"] else []
    answer(record, said, f"Portal address: {record['address']}", *steps, as_json=given["as_json"])


def _step(client: Client, told: Told) -> str:
    """Say how the hostname stands that the tenant wants, and what is to be done about it."""
    hostname = told["external_domain"]
    see = f"tenant-router domain status {hostname} --tenant {told['portal_address']}"
    try:
        claim = client.get(f"{tenant_path(told['portal_address'])}/domains/{escaped(hostname)}")
    except BadSettings:  # the token may not look at domains
        return f"See: {see}"
    return spoken(claim)
