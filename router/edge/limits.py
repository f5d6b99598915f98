"""Limits: how long the edge waits, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in octets. The defaults are those of the settings of the same names."""

    head_timeout: float = 10.0
    """From accept to the end of the TLS handshake; and from the first octet of a request head to its last."""

    idle_timeout: float = 75.0
    """A connection between two requests."""

    stall_timeout: float = 60.0
    """A body, either way, is judged by what moved of it in so long."""

    connect_timeout: float = 3.0
    answer_timeout: float = 60.0
    """From the end of a request to the first octet of its answer."""

    min_body_rate: int = 240
    """Octets a second, on average over ``stall_timeout``, below which a body counts as stalled."""

    upstream_idle: float = 50.0
    """A pooled upstream connection that nobody used; shorter than what servers usually grant."""

    upstream_life: float = 300.0
    """A pooled upstream connection altogether: a name that leads elsewhere by now is followed in time."""

    max_head: int = 32_768
    max_connections: int = 10_000
    max_connections_per_address: int = 1_000
    max_handshakes: int = 1_000
    """Connections at once that have not got to their first request; beyond, the oldest of them goes."""

    max_requests_per_connection: int = 1_000
    max_upstream_connections: int = 512
    """Connections to one upstream, WebSockets not counted; more visits wait, ``connect_timeout`` at most."""

    upstream_queue: int = 1_024
    """Visits that may wait so; the next is refused at once (503)."""

    @property
    def shortest_wait(self) -> float:
        """Seconds; the least that anybody waits for a client or an upstream."""
        return min(self.head_timeout, self.idle_timeout, self.stall_timeout, self.answer_timeout)
