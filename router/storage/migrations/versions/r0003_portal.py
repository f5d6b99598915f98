"""The portal: how each tenant's looks, how people come in, the mail they get, and who may call the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("images", "memberships", "invitations", "registration_links", "links", "tokens", "outbox")


def upgrade() -> None:
    """Add the tables and columns, and make each user a member of the customer they came with."""
    _add_columns()
    _make_images()
    _make_people()
    _move_customers()
    _make_links()
    _make_tokens()
    _make_outbox()


def downgrade() -> None:
    """Drop them; of a user's several customers the first is kept."""
    _move_customers_back()
    op.drop_column("users", "language")
    op.drop_column("tenants", "registration_check")
    op.drop_column("tenants", "branding")
    op.drop_column("sessions", "remembered")
    op.drop_column("sessions", "customer")
    for table in reversed(_TABLES):
        op.drop_table(table)


def _add_columns() -> None:
    op.add_column("sessions", sa.Column("customer", sa.String(length=80)))
    op.add_column(
        "sessions", sa.Column("remembered", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("tenants", sa.Column("branding", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("tenants", sa.Column("registration_check", sa.Text()))
    op.add_column("users", sa.Column("language", sa.String(length=8)))


def _make_images() -> None:
    op.create_table(
        "images",
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_images_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "fingerprint", name=op.f("pk_images")),
    )


def _make_people() -> None:
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("customer", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "customer", name=op.f("pk_memberships")),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("customer", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=8)),
        sa.Column("invited_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_invitations_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_tenant_id_email"), "invitations", ["tenant_id", "email"])


def _move_customers() -> None:
    op.execute(
        "INSERT INTO memberships (user_id, customer, created_at) SELECT id, customer, created_at FROM users"
    )
    op.execute(
        "UPDATE sessions SET customer = (SELECT customer FROM users WHERE users.id = sessions.user_id)"
    )
    op.drop_column("users", "customer")


def _move_customers_back() -> None:
    op.add_column("users", sa.Column("customer", sa.String(length=80), server_default="", nullable=False))
    op.execute(
        "UPDATE users SET customer = coalesce("
        "(SELECT min(customer) FROM memberships WHERE memberships.user_id = users.id), '')"
    )


def _make_links() -> None:
    op.create_table(
        "registration_links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("customer", sa.String(length=80), nullable=False),
        sa.Column("email", sa.String(length=254)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_registration_links_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration_links")),
    )
    op.create_index(
        op.f("ix_registration_links_tenant_id_customer"), "registration_links", ["tenant_id", "customer"]
    )
    op.create_table(
        "links",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("tenant_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("customer", sa.String(length=80)),
        sa.Column("user_id", sa.String(length=32)),
        sa.Column("origin", sa.String(length=32)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("voided_at", sa.BigInteger()),
        sa.CheckConstraint(
            "kind IN ('invitation', 'registration', 'reset', 'email')", name=op.f("ck_links_kind")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_links_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_links_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_expires_at"), "links", ["expires_at"])
    op.create_index(op.f("ix_links_tenant_id_email"), "links", ["tenant_id", "email"])


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32)),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tokens_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("key", name=op.f("uq_tokens_key")),
    )
    op.create_index(op.f("ix_tokens_tenant_id"), "tokens", ["tenant_id"])


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=32)),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("sealed_facts", sa.LargeBinary()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger()),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed')", name=op.f("ck_outbox_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_outbox_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_state_due_at"), "outbox", ["state", "due_at"])
    op.create_index(
        op.f("ix_outbox_tenant_id_recipient_created_at"), "outbox", ["tenant_id", "recipient", "created_at"]
    )
