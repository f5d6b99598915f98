"""The database, SQLite or PostgreSQL: short transactions, a bounded pool, one word for its outages."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from router.errors import Unavailable
from router.storage.cancellation import heeding_cancellation
from router.storage.engines import WRITING, driver_url, make_engine, prepare_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

_log = structlog.get_logger(__name__)

_POOL_SIZE = 8
_POOL_WAIT = 1.5
_CONNECT_WAIT = 2.0
_LIMIT = 10.0
_PAUSE = 1.0
_ASKERS_FAULT = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
# SQLSTATE classes (PostgreSQL, appendix A): data exception, integrity violation, syntax or access rule.
_ASKERS_FAULT_STATES = ("22", "23", "42")


class Database:
    """Where the truth is.

    ``read()`` gives a connection that sees one state of the database, ``write()`` one transaction that is
    committed at the end of the block and rolled back by any exception. Keep both short: writers of SQLite
    stand in line, and whatever lasts longer than ten seconds is cut.

    Both raise ``Unavailable("database_unavailable")`` when the database cannot do its part (away, hung, full,
    read-only, a deadlock) and ``Unavailable("database_busy")`` when no connection or no turn came free in
    time. What the asker did wrong (``IntegrityError`` and its like) comes through as it is. While the
    database does not answer, one asker a second finds that out by waiting; the others are told at once.
    """

    def __init__(
        self, url: str, *, pool_size: int = _POOL_SIZE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = driver_url(url)
        self._engine = make_engine(self._url, pool_size=pool_size, pool_wait=_POOL_WAIT)
        self._clock = clock
        self._unreachable = False
        self._retry_at = 0.0
        self._turn = asyncio.Lock()
        self.healthy = True
        """Whether the last use succeeded."""

    def __repr__(self) -> str:
        return (
            f"<Database {self._url.render_as_string(hide_password=True)} {'up' if self.healthy else 'down'}>"
        )

    @property
    def backend(self) -> str:
        """``"sqlite"`` or ``"postgresql"``."""
        return self._url.get_backend_name()

    async def open(self) -> None:
        """Make SQLite's file ready; PostgreSQL is connected to when first used."""
        with self._translated():
            await prepare_file(self._url)

    async def close(self) -> None:
        """Close every connection. Whoever uses one gives it back first."""
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for reading: all its statements see the same state."""
        options = (
            {}
            if self.backend == "sqlite"
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        async with self._transaction(options) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for writing."""
        async with AsyncExitStack() as stack:
            if self.backend == "sqlite":
                # In one process writers stand in line here, in order, and not in SQLite's busy loop.
                await self._take_turn(stack)
            yield await stack.enter_async_context(self._transaction({WRITING: True}))

    async def _take_turn(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(_LIMIT):
                await stack.enter_async_context(self._turn)
        except TimeoutError as fault:
            raise Unavailable("database_busy", "The database is busy; try again in a moment.") from fault

    @asynccontextmanager
    async def _transaction(self, options: dict[str, object]) -> AsyncIterator[AsyncConnection]:
        # Cancelling is how SQLAlchemy learns that a connection is not to be used again, so the limit is ours
        # and not the driver's: asyncpg's own timeout would wait for a rollback that may never be answered.
        with self._translated(), heeding_cancellation():
            async with AsyncExitStack() as stack:
                connection = await self._connect(stack)
                connection = await connection.execution_options(**options)
                async with asyncio.timeout(_LIMIT), connection.begin():
                    yield connection
        self._note(healthy=True)

    async def _connect(self, stack: AsyncExitStack) -> AsyncConnection:
        if self._unreachable:
            if self._clock() < self._retry_at:
                raise Unavailable(
                    "database_unavailable", "The database does not answer; try again in a moment."
                )
            self._retry_at = self._clock() + _PAUSE
        try:
            with heeding_cancellation():
                async with asyncio.timeout(_CONNECT_WAIT):
                    connection = await stack.enter_async_context(self._engine.connect())
        except (DBAPIError, OSError):
            self._unreachable = True
            self._retry_at = self._clock() + _PAUSE
            raise
        self._unreachable = False
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as fault:
            raise Unavailable("database_busy", "The database is busy; try again in a moment.") from fault
        except DBAPIError as fault:
            if _is_askers_fault(fault):
                raise
            raise self._outage(fault) from fault
        except OSError as fault:
            raise self._outage(fault) from fault

    def _outage(self, fault: Exception) -> Unavailable:
        self._note(healthy=False, cause=fault)
        return Unavailable("database_unavailable", "The database does not answer; try again in a moment.")

    def _note(self, *, healthy: bool, cause: Exception | None = None) -> None:
        if healthy == self.healthy:
            return
        self.healthy = healthy
        if healthy:
            _log.info("database back")
        else:
            _log.error("database away", cause=_text(cause))


def _is_askers_fault(fault: DBAPIError) -> bool:
    state = getattr(fault.orig, "sqlstate", None) or ""
    return isinstance(fault, _ASKERS_FAULT) or state.startswith(_ASKERS_FAULT_STATES)


def _text(cause: Exception | None) -> str:
    # The driver's own words alone: SQLAlchemy's add the statement and its parameters, which may be secret.
    origin = cause.orig if isinstance(cause, DBAPIError) else cause
    return f"{type(origin).__name__}: {origin}"
