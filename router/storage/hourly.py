"""What is swept out every hour, for as long as a worker lives."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HOUR: Final = 3600.0


async def hourly(forget: Callable[[], Awaitable[object]]) -> None:
    """Have something forgotten now and every hour, for ever; what an outage kept from it, in an hour."""
    while True:
        with suppress(Unavailable):  # the database has logged it
            await forget()
        await asyncio.sleep(_HOUR)
