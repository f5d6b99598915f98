"""Knocking: connect to a tenant's upstreams as visits would, TLS included, and say nothing."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, cast

from router.edge.dial import Target, dial
from router.errors import Unavailable
from router.observe.upstreams import Knocked

if TYPE_CHECKING:
    from router.edge.dial import Forbidden
    from router.edge.resolver import Resolver
    from router.tenants.tenant import Tenant, Upstream


class Knocking:
    """Connects to upstreams, for ``patience`` seconds each; ``default_upstreams`` are the platform's."""

    def __init__(
        self,
        resolver: Resolver,
        forbidden: Forbidden | None,
        *,
        patience: float,
        default_upstreams: tuple[Upstream, ...] = (),
    ) -> None:
        self._resolver = resolver
        self._forbidden = forbidden
        self._patience = patience
        self._default_upstreams = default_upstreams

    async def knock(self, tenant: Tenant) -> tuple[Knocked, ...]:
        """Connect to every upstream of a tenant at the same time, and hang up."""
        upstreams = tenant.upstreams or self._default_upstreams
        targets = [Target.parse(each.url, tenant.forwarding.upstream_ca) for each in upstreams]
        return tuple(await asyncio.gather(*(self._knock(target) for target in targets)))

    async def _knock(self, target: Target) -> Knocked:
        caller = _Caller()
        try:
            async with asyncio.timeout(self._patience):
                await dial(target, caller, self._resolver, self._forbidden, within=self._patience)
        except TimeoutError:
            return Knocked(target.url, f"no answer in {self._patience:g} seconds")
        except OSError as fault:
            return Knocked(target.url, _told_fault(fault))
        except Unavailable as fault:
            return Knocked(target.url, _told_refusal(fault, target))
        finally:
            caller.hang_up()
        return Knocked(target.url, None)


class _Caller(asyncio.Protocol):
    """Somebody who connects and says nothing."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def hang_up(self) -> None:
        """End the connection, if there is one."""
        if self._transport is not None:
            self._transport.abort()


def _told_fault(fault: OSError) -> str:
    """Say it as the system does: asyncio's own words for a refused connection are none for people."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate cannot be believed: {fault.verify_message} (see --upstream-ca)"
    if isinstance(fault, ssl.SSLError):
        return f"it does not speak TLS as it should: {fault.reason or fault}"
    if not fault.errno:
        return str(fault.strerror or fault)
    return os.strerror(fault.errno)


def _told_refusal(fault: Unavailable, target: Target) -> str:
    if fault.code != "upstream_forbidden":  # of its name there is no address
        cause = fault.__cause__
        return cause.sentence if isinstance(cause, Unavailable) else fault.sentence
    if target.path:
        return "a Unix socket is private, which the settings do not allow"
    return "it leads to a private address, or to a metadata service, which the settings do not allow"
