"""``webhook`` through the API, told in the words of the commands."""

from __future__ import annotations

from itertools import islice
from typing import Any

from router.cli.output import answer, show_list
from router.cli.remote.client import Client, Told, escaped
from router.cli.remote.tenants import Given, tenant_path
from router.cli.webhook import COLUMNS, DELIVERY_COLUMNS, NO_DELIVERIES, NONE_YET


def add(client: Client, given: Given) -> None:
    """Do ``webhook add``."""
    wish = {"url": given["url"], "events": given["event"] or ["*"]}
    if given["tenant"] is not None:
        wish["tenant"] = given["tenant"]
    made = client.post("/webhooks", wish)
    whose = f"tenant {made['tenant']}" if made["tenant"] else "all tenants and the platform"
    said = f"{made['id']} is told of events of {whose}. Keep the secret safe: it is shown this once."
    answer(_described(made), made["secret"], said, as_json=given["as_json"])


def list_all(client: Client, given: Given) -> None:
    """Do ``webhook list``."""
    slug = given["tenant"]
    if slug is not None:
        client.get(tenant_path(slug))  # that there is none of that name is said
    rows = [_described(told) for told in client.all("/webhooks") if slug in (None, told["tenant"])]
    show_list(rows, COLUMNS, as_json=given["as_json"], none=NONE_YET)


def rotate(client: Client, given: Given) -> None:
    """Do ``webhook rotate``."""
    made = client.post(f"{_path(given)}/secret")
    said = "Both secrets sign for a day: give the receiver the new one until then."
    answer(_described(made), made["secret"], said, as_json=given["as_json"])


def disable(client: Client, given: Given) -> None:
    """Do ``webhook disable``."""
    _answer(client.post(f"{_path(given)}/disable"), "is sent no more events.", given)


def enable(client: Client, given: Given) -> None:
    """Do ``webhook enable``."""
    _answer(client.post(f"{_path(given)}/enable"), "is sent events again.", given)


def remove(client: Client, given: Given) -> None:
    """Do ``webhook remove``."""
    found = client.get(_path(given))
    client.delete(_path(given))
    _answer(found, "is removed.", given)


def deliveries(client: Client, given: Given) -> None:
    """Do ``webhook deliveries``."""
    rows = list(islice(client.all(f"{_path(given)}/deliveries"), max(1, given["most"])))
    show_list(rows, DELIVERY_COLUMNS, as_json=given["as_json"], none=NO_DELIVERIES)


def redeliver(client: Client, given: Given) -> None:
    """Do ``webhook redeliver``."""
    sent = client.post(f"{_path(given)}/deliveries/{escaped(given['delivery'])}/redeliver")
    answer(sent, f"{sent['id']} is sent once more.", as_json=given["as_json"])


def try_out(client: Client, given: Given) -> None:
    """Do ``webhook test``."""
    made, webhook_id = client.post(f"{_path(given)}/test"), given["webhook_id"]
    said = f"{made['id']} is on its way. What became of it: tenant-router webhook deliveries {webhook_id}"
    answer(made, said, as_json=given["as_json"])


def _path(given: Given) -> str:
    return f"/webhooks/{escaped(given['webhook_id'])}"


def _described(told: Told) -> dict[str, Any]:
    return told | {"tenant": told["tenant"] or "(all)"}


def _answer(told: Told, said: str, given: Given) -> None:
    answer(_described(told), f"{told['id']} {said}", as_json=given["as_json"])
