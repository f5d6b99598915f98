"""How each tenant's traffic is forwarded: what differs from the platform's way, as one JSON object."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a tenant that is there already is forwarded as before.

    Not in batch mode: that would drop the table on SQLite, and all that refers to a tenant with it.
    """
    op.add_column("tenants", sa.Column("forwarding", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("tenants", "forwarding")
