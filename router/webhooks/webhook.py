"""Webhooks and their deliveries, as operators see them.

PURE. Times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

DeliveryState = Literal["waiting", "sending", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events are sent to: a tenant's own, or (``tenant_id`` none) those of all and the platform's.

    ``events`` are kinds of events, or ``*`` for all. ``failing_since`` is when the first of the deliveries
    failed that failed in a row; none: the latest one arrived. The URL may hold what only the receiver may
    know, so it is in no repr; ``origin`` is for logs and the audit.
    """

    id: str
    tenant_id: str | None
    slug: str | None
    url: str = field(repr=False)
    events: tuple[str, ...]
    disabled: bool
    failing_since: int | None
    created_by: str
    created_at: int

    @property
    def origin(self) -> str:
        """Scheme, host and port of its URL."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """An event on its way to a webhook: ``status`` is that of the latest answer, ``error`` what it lacked."""

    id: str
    webhook_id: str
    event: str
    body: str = field(repr=False)
    state: DeliveryState
    attempts: int
    due_at: int
    status: int | None
    error: str | None
    created_at: int
    sent_at: int | None
