"""Certificates: what took whose place, who was told of an end, intermediates seen; the workers that serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = ("certificate_notices", "intermediates", "workers")


def upgrade() -> None:
    """Add them. What was superseded before had no successor written down, and cannot be rolled back to."""
    op.add_column("certificates", sa.Column("superseded_at", sa.BigInteger()))
    op.add_column("certificates", sa.Column("superseded_by", sa.String(length=32)))
    op.create_index(op.f("ix_certificates_superseded_by"), "certificates", ["superseded_by"])
    op.create_table(
        "certificate_notices",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "days", name=op.f("pk_certificate_notices")),
    )
    op.create_table(
        "intermediates",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_intermediates")),
    )
    op.create_index(op.f("ix_intermediates_subject"), "intermediates", ["subject"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("fault", sa.Text()),
        sa.Column("key_ids", sa.JSON(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_index(op.f("ix_certificates_superseded_by"), "certificates")
    op.drop_column("certificates", "superseded_by")
    op.drop_column("certificates", "superseded_at")
