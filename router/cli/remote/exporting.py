"""``export`` through the API."""

from __future__ import annotations

from router.cli.apply import write_export
from router.cli.remote.client import Client, Told
from router.cli.remote.tenants import Given, tenant_path
from router.tenants.entry import TenantEntry

_PICTURES = ("logo", "favicon")


def export(client: Client, given: Given) -> None:
    """Do ``export``: the file is the one that the router itself would write."""
    slugs = given["tenant"] or [each["portal_address"] for each in client.all("/tenants")]
    entries = [entry_told(client.get(tenant_path(slug))) for slug in dict.fromkeys(slugs)]
    write_export(entries, given["output"], as_json=given["as_json"])


def entry_told(told: Told) -> TenantEntry:
    """Describe a tenant as an entry of a file."""
    fields = {name: told[name] for name in TenantEntry.model_fields.keys() & told.keys()}
    looks = {name: value for name, value in told["branding"].items() if name not in _PICTURES}
    own = {"slug": told["portal_address"], "suspended": told["status"] == "suspended", "branding": looks}
    return TenantEntry.model_validate(fields | own)
