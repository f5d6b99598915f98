"""What the corpora are made of: a name, octets, and what must become of them."""

from __future__ import annotations

from dataclasses import dataclass

COOKIE = b"@cookie@\r\n"
"""Stands for the Cookie line of somebody who signed in."""

HOST = b"Host: acme.portal.example\r\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """Answered with ``status`` and closed: no upstream hears of it, nor of anything that follows it."""

    status: int = 400


@dataclass(frozen=True, slots=True)
class Broken:
    """A body that breaks after a sound head: refused, closed, and never whole to an upstream."""

    status: int = 400


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Forwarded as one request: its target, body and trailers; what its octets hold, and what they do not.

    ``next_status`` is how what follows it on the connection is answered: by the upstream, unless said.
    """

    target: bytes = b"/"
    body: bytes = b""
    seen: tuple[bytes, ...] = ()
    unseen: tuple[bytes, ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    next_status: int | None = 200


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as it comes in."""

    name: str
    octets: bytes
    expected: Refused | Broken | Forwarded


@dataclass(frozen=True, slots=True)
class Passed:
    """An answer that reaches the client whole; ``reused`` says whether its connection stays of use."""

    status: int = 200
    body: bytes = b"hello"
    reused: bool = True
    seen: tuple[bytes, ...] = ()
    unseen: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer that is not passed on: the client is told ``status``, the connection is given up."""

    status: int = 502


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that breaks off: the client cannot take it for whole, the connection is given up."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as an upstream sends it to ``method``; ``then_closes`` if that is all it has to say."""

    name: str
    octets: bytes
    expected: Passed | Failed | Cut
    method: bytes = b"GET"
    then_closes: bool = False
