"""House: what every client connection of a worker shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.edge.client import ClientConnection
    from router.edge.deadlines import Deadlines
    from router.edge.limits import Limits
    from router.edge.reception import Reception
    from router.edge.tunnel import Tunnels
    from router.observe.logs import AccessLog
    from router.observe.tasks import Tasks
    from router.observe.traffic import Traffic


@dataclass(slots=True, eq=False)
class House:
    """The parts, and the connections that are open. ``draining`` says that no request is invited any more."""

    reception: Reception
    tunnels: Tunnels
    deadlines: Deadlines
    limits: Limits
    tasks: Tasks
    access_log: AccessLog | None
    traffic: Traffic
    connections: set[ClientConnection] = field(default_factory=set)
    draining: bool = False
