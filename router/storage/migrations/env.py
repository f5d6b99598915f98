"""What Alembic runs for every command: migrate on the connection router/storage/migrate.py hands over."""

from __future__ import annotations

from alembic import context

from router.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,  # on SQLite too: migrate.py has begun the transaction itself
)
context.run_migrations()
