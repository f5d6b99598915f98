"""``tenant-router migrate``."""

from __future__ import annotations

from router.cli.output import AsJson, answer
from router.settings import load_settings


async def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database's tables up to what this version expects.

    Safe to repeat, and safe while the router runs. `serve` and `demo` do it themselves when they start.

    For example:
        ROUTER_DATABASE_URL=postgresql://db/router tenant-router migrate
    """
    from router.storage import migrate as migrations  # noqa: PLC0415 - Alembic takes a second to import

    applied = await migrations.migrate(load_settings().database_url)
    sentence = f"Applied {', '.join(applied)}." if applied else "Nothing to do: the tables are up to date."
    answer({"applied": applied}, sentence, as_json=as_json)
