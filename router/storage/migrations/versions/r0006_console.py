"""The console: operators and their tokens, webhooks, calls that come twice, traffic, the audit's origins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = (
    "idempotency_keys",
    "operators",
    "operator_links",
    "operator_sessions",
    "webhooks",
    "webhook_deliveries",
    "traffic",
)

_COUNTED = (
    "requests",
    "refused",
    "failed",
    "sign_ins",
    *(f"within_{bound}" for bound in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)),
    "beyond",
)


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.JSON()),
        sa.Column("body", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    op.create_table(
        "operators",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32)),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_operators_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("email", name=op.f("uq_operators_email")),
    )
    op.create_index(op.f("ix_operators_tenant_id"), "operators", ["tenant_id"])
    op.create_table(
        "traffic",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTED),
        sa.PrimaryKeyConstraint("tenant_id", "at", name=op.f("pk_traffic")),
    )
    op.create_index(op.f("ix_traffic_at"), "traffic", ["at"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32)),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_webhooks_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_tenant_id"), "webhooks", ["tenant_id"])
    op.create_table(
        "operator_links",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("operator_id", sa.String(length=32)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_operator_links_operator_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_operator_links")),
    )
    op.create_index(op.f("ix_operator_links_operator_id"), "operator_links", ["operator_id"])
    op.create_table(
        "operator_sessions",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("operator_id", sa.String(length=32), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operators.id"],
            name=op.f("fk_operator_sessions_operator_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_operator_sessions")),
        sa.UniqueConstraint("id", name=op.f("uq_operator_sessions_id")),
    )
    op.create_index(op.f("ix_operator_sessions_expires_at"), "operator_sessions", ["expires_at"])
    op.create_index(op.f("ix_operator_sessions_operator_id"), "operator_sessions", ["operator_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'sent', 'failed')", name=op.f("ck_webhook_deliveries_state")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(op.f("ix_webhook_deliveries_state_due_at"), "webhook_deliveries", ["state", "due_at"])
    op.create_index(
        op.f("ix_webhook_deliveries_webhook_id_created_at"),
        "webhook_deliveries",
        ["webhook_id", "created_at"],
    )
    op.add_column("tokens", sa.Column("operator_id", sa.String(length=32)))
    op.create_index(op.f("ix_tokens_operator_id"), "tokens", ["operator_id"])
    op.add_column("audit", sa.Column("address", sa.String(length=45)))
    op.add_column("audit", sa.Column("tenant_id", sa.String(length=32)))
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_tenant_id_sequence"), "audit", ["tenant_id", "sequence"])
    _guard_audit()
    op.create_index(op.f("ix_certificates_state_not_after"), "certificates", ["state", "not_after"])
    op.create_index(op.f("ix_claims_state_updated_at"), "claims", ["state", "updated_at"])
    _fold_names()


def _guard_audit() -> None:
    """Let the database refuse to alter lines of the audit, and to delete any that is younger than 30 days."""
    if op.get_bind().dialect.name == "sqlite":
        refused = "SELECT RAISE(ABORT, 'the audit is append-only'); END"
        young = "old.at > CAST(strftime('%s', 'now') AS INTEGER) - 2592000"
        op.execute(f"CREATE TRIGGER audit_not_altered BEFORE UPDATE ON audit BEGIN {refused}")
        op.execute(f"CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit WHEN {young} BEGIN {refused}")
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = '23001'; END $$"
    )
    refused = "EXECUTE FUNCTION audit_append_only()"
    young = "old.at > extract(epoch FROM now()) - 2592000"
    op.execute(f"CREATE TRIGGER audit_not_altered BEFORE UPDATE ON audit FOR EACH ROW {refused}")
    op.execute(
        f"CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit FOR EACH ROW WHEN ({young}) {refused}"
    )


def _unguard_audit() -> None:
    on = "" if op.get_bind().dialect.name == "sqlite" else " ON audit"
    for trigger in ("audit_not_altered", "audit_not_deleted"):
        op.execute(f"DROP TRIGGER {trigger}{on}")
    if on:
        op.execute("DROP FUNCTION audit_append_only()")


def _fold_names() -> None:
    """Make tenants be found by their names in whatever capitals, and in order of them."""
    column = sa.Column("folded_name", sa.String(length=240), nullable=False, server_default=sa.text("''"))
    op.add_column("tenants", column)
    tenants = sa.table("tenants", sa.column("id"), sa.column("name"), sa.column("folded_name"))
    rows = op.get_bind().execute(sa.select(tenants.c.id, tenants.c.name)).all()
    if rows:
        statement = sa.update(tenants).where(tenants.c.id == sa.bindparam("which"))
        folded = [{"which": row.id, "folded_name": row.name.casefold()} for row in rows]
        op.get_bind().execute(statement.values(folded_name=sa.bindparam("folded_name")), folded)
    op.create_index(op.f("ix_tenants_folded_name_id"), "tenants", ["folded_name", "id"])
    op.create_index(op.f("ix_tenants_updated_at_id"), "tenants", ["updated_at", "id"])


def downgrade() -> None:
    """Drop them."""
    _unguard_audit()
    op.drop_index(op.f("ix_claims_state_updated_at"), "claims")
    op.drop_index(op.f("ix_certificates_state_not_after"), "certificates")
    op.drop_index(op.f("ix_tenants_updated_at_id"), "tenants")
    op.drop_index(op.f("ix_tenants_folded_name_id"), "tenants")
    op.drop_column("tenants", "folded_name")
    op.drop_index(op.f("ix_audit_tenant_id_sequence"), "audit")
    op.drop_index(op.f("ix_audit_at"), "audit")
    op.drop_column("audit", "tenant_id")
    op.drop_column("audit", "address")
    op.drop_index(op.f("ix_tokens_operator_id"), "tokens")
    op.drop_column("tokens", "operator_id")
    for table in reversed(_TABLES):
        op.drop_table(table)
