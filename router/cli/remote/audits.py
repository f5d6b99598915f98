"""``audit`` through the API."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from router.cli.audit import AuditOptions, show_lines, writing
from router.cli.remote.client import Client
from router.cli.remote.tenants import Given


def list_lines(client: Client, given: Given) -> None:
    """Do ``audit list``."""
    lines = islice(client.all("/audit", **_query(given)), max(0, given["most"]))
    show_lines(list(lines), as_json=given["as_json"])


def export(client: Client, given: Given) -> None:
    """Do ``audit export``."""
    lines = client.lines("/audit.jsonl", **_query(given))
    with writing(given["output"]) as file:
        for line in lines:
            file.write(line.decode("utf-8"))


def _query(given: Given) -> dict[str, Any]:
    options = given["options"] or AuditOptions()
    since, until = (
        None if at is None else datetime.fromtimestamp(at, UTC).isoformat() for at in options.times
    )
    return {
        "tenant": options.tenant,
        "actor": options.actor,
        "action": options.action,
        "since": since,
        "until": until,
    }
