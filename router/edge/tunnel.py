"""Tunnels: connections that have become WebSockets, octets both ways until either end goes.

A tunnel lives as long as the session that opened it: revoked, it is closed within a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Tunnel:
    """One upgraded connection. Each end's fullness stops the other's reading: memory stays bounded."""

    __slots__ = ("_client", "_upstream")

    def __init__(self, client: asyncio.Transport, upstream: asyncio.Transport) -> None:
        self._client = client
        self._upstream = upstream

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        if data and not self._upstream.is_closing():
            self._upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
        """Pass on what the upstream sent."""
        if data and not self._client.is_closing():
            self._client.write(data)

    def client_full(self, *, full: bool) -> None:
        """The client does not read, or reads again."""
        _hold(self._upstream, hold=full)

    def upstream_full(self, *, full: bool) -> None:
        """The upstream does not read, or reads again."""
        _hold(self._client, hold=full)

    def client_lost(self) -> None:
        """The client is gone; what it sent last still goes out."""
        self._upstream.close()

    def upstream_lost(self) -> None:
        """The upstream is gone; what it sent last still goes out."""
        self._client.close()

    def close(self) -> None:
        """End both sides."""
        self._client.close()
        self._upstream.close()


def _hold(transport: asyncio.Transport, *, hold: bool) -> None:
    if transport.is_closing():
        return
    if hold:
        transport.pause_reading()
    else:
        transport.resume_reading()


class Tunnels:
    """The tunnels of a worker, by the session that each belongs to (none on a public path)."""

    def __init__(self) -> None:
        self._by_session: dict[str | None, set[Tunnel]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_session.values()))

    def add(self, tunnel: Tunnel, session_key: str | None) -> None:
        """Watch a tunnel for the end of its session."""
        self._by_session.setdefault(session_key, set()).add(tunnel)

    def discard(self, tunnel: Tunnel, session_key: str | None) -> None:
        """Watch a tunnel that has ended no longer."""
        tunnels = self._by_session.get(session_key)
        if tunnels is not None:
            tunnels.discard(tunnel)
            if not tunnels:
                del self._by_session[session_key]

    def end_session(self, session_key: str) -> None:
        """Close what a session opened, because it has ended."""
        for tunnel in list(self._by_session.get(session_key, ())):
            tunnel.close()

    def close_all(self) -> None:
        """Close every tunnel: the worker goes."""
        for tunnels in list(self._by_session.values()):
            for tunnel in list(tunnels):
                tunnel.close()
