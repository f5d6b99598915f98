"""The first operator's link, which `serve` prints while there is no operator at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.console.operator_links import link_address
from router.console.operators import Operators
from router.storage.bell import PollBell
from router.storage.database import Database

if TYPE_CHECKING:
    from router.settings import Settings


async def first_link(settings: Settings) -> str | None:
    """Make the link, and say where it is opened; none where there is an operator already.

    For who has no database open. Raises ``Unavailable``.
    """
    database = Database(settings.database_url)
    try:
        await database.open()
        token = await Operators(database, PollBell()).first_link()
    finally:
        await database.close()
    if token is None:
        return None
    return link_address(token, admin_hostname=settings.admin_hostname, port=settings.console_port)
