"""What a peer is: a recipe to start it, and what is known of it once it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from stage import Stage


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy that runs: its HTTPS port on 127.0.0.1 and the session cookie's value to show it.

    ``visitors`` are more hostnames that it serves, each with a cookie's value, where a scenario made them.
    """

    process: Process
    port: int
    token: str
    version: str
    visitors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start a peer.

    ``name`` is for the command line, ``title`` for the table. ``checks_session`` says whether it must refuse
    a visit with a wrong cookie and tell the upstream who is asking, which is tried before anything is
    measured. ``start`` raises ``NotInstalled`` when the peer cannot be had here.
    """

    name: str
    title: str
    checks_session: bool
    start: Callable[[Stage], Peer]
