"""Operations: what can be done through the API, declared once; calls are checked and documented by it.

An endpoint is a class with the use cases that it needs, whose ``operations`` say which call is whose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import Protocol

    from pydantic import BaseModel

    from router.console.access import Admitted
    from router.console.api.bodies import Body
    from router.console.principal import Principal
    from router.console.scopes import Scope

    class Endpoint(Protocol):
        """Whatever answers some operations."""

        def operations(self) -> Sequence[Operation]:
            """Say which."""
            ...


MOST: Final = 64 * 1024
"""Octets of a sound request's body, where nothing else is said."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_Asked = TypeVar("_Asked")
_Query = TypeVar("_Query")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; its path is below ``/api/v1``.

    Where the path names a ``{tenant}``, the caller was admitted to it before ``handle`` is called; else they
    have the scope, and ``handle`` tells them of nothing that is not theirs. ``platform`` is for what concerns
    the platform itself. ``versioned`` changes come with ``If-Match``, and their answers with an ``ETag``.
    ``creates`` says that the same call twice would make two of it: such calls may carry an Idempotency-Key.
    ``octets`` says that the body is no JSON but octets as they are, such as a picture; ``most`` is how many a
    body has at most. ``secret`` answers are told once and kept nowhere. ``streams`` is the media type of an
    answer in pieces. ``judge`` raises ``BadInput`` for what the use case would refuse: where some of a body
    cannot be read, it is asked about the rest, so that its sender hears of all faults at once.
    ``fails`` are the codes of its own that it answers, beyond those that every such operation has: each with
    its status before it (``"409 slug_taken"``); without one, it is 404 for ``…_not_found`` and ``no_such_…``,
    and 422 for all others.
    """

    method: str
    path: str
    scope: Scope
    handle: Callable[[Call[Any, Any]], Awaitable[Reply]]
    summary: str
    answer: type[BaseModel] | None = None
    status: int = 200
    body: type[Body] | None = None
    query: type[Body] | None = None
    platform: bool = False
    versioned: bool = False
    creates: bool = False
    secret: bool = False
    streams: str | None = None
    octets: bool = False
    most: int = MOST
    judge: Callable[[Call[Any, Any]], Awaitable[object]] | None = None
    fails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call(Generic[_Asked, _Query]):
    """A call that may be done: ``body`` and ``query`` as the operation's models read them.

    ``version`` is the one that the caller wants changed; none, whichever there is.
    """

    principal: Principal
    path: Mapping[str, str]
    body: _Asked
    query: _Query
    about: Admitted | None
    version: int | None = None

    @property
    def admitted(self) -> Admitted:
        """The tenant in the path, which the caller was admitted to."""
        assert self.about is not None  # noqa: S101 - the operation's path names no tenant: our mistake
        return self.about

    @property
    def actor(self) -> str:
        """Whom to name in the audit."""
        return self.principal.actor


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call came to; ``version`` becomes the ETag, ``stream`` the body where the operation streams."""

    answer: BaseModel | None = None
    version: int | None = None
    stream: AsyncIterator[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
