"""Domains: the proof of a claim, its schedule, what was asked and answered; short names given up; leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS = (
    "behind_cdn",
    "proof",
    "proved_at",
    "lost_at",
    "notices",
    "code",
    "checks",
    "checked_at",
    "next_check_at",
)


def upgrade() -> None:
    """Add them. Hostnames that answer were vouched for; proof is now looked for of those that wait."""
    _add_columns()
    op.create_index(op.f("ix_claims_next_check_at"), "claims", ["next_check_at"])
    _make_holder("state IN ('active', 'moved', 'suspended')")
    _make_evidence()
    op.create_table(
        "tombstones",
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("given_up_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.execute(
        "UPDATE claims SET proof = 'operator', proved_at = updated_at"
        " WHERE kind = 'external' AND state = 'active'"
    )
    op.execute("UPDATE claims SET next_check_at = 0 WHERE kind = 'external' AND state = 'pending'")


def downgrade() -> None:
    """Drop them; what served a while without proof is given up."""
    op.execute("UPDATE claims SET state = 'released' WHERE state IN ('moved', 'suspended')")
    op.execute("UPDATE claims SET state = 'pending' WHERE state IN ('verifying', 'conflict')")
    op.drop_table("leases")
    op.drop_table("tombstones")
    op.drop_table("evidence")
    _make_holder("state = 'active'")
    op.drop_index(op.f("ix_claims_next_check_at"), "claims")
    for column in reversed(_COLUMNS):
        op.drop_column("claims", column)


def _add_columns() -> None:
    for column in (
        sa.Column("behind_cdn", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("proof", sa.String(length=16)),
        sa.Column("proved_at", sa.BigInteger()),
        sa.Column("lost_at", sa.BigInteger()),
        sa.Column("notices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", sa.String(length=40)),
        sa.Column("checks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("checked_at", sa.BigInteger()),
        sa.Column("next_check_at", sa.BigInteger()),
    ):
        op.add_column("claims", column)


def _make_holder(where: str) -> None:
    """Many may claim a hostname, one holds it: in one of these states."""
    op.drop_index("uq_claims_holder", "claims")
    op.create_index(
        "uq_claims_holder",
        "claims",
        ["hostname"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def _make_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("sequence", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("claim_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("asked", sa.String(length=300), nullable=False),
        sa.Column("resolver", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_id"], ["claims.id"], name=op.f("fk_evidence_claim_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_evidence")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_evidence_claim_id_sequence"), "evidence", ["claim_id", "sequence"])
