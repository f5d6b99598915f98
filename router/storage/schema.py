"""The tables, in SQLAlchemy Core, for SQLite and PostgreSQL alike.

Times are unix seconds in UTC (SQLite has no time zones, and a number cannot lose one). Ids are opaque texts
made by :func:`new_id`. Migrations are in storage/migrations; a test holds the two together.
"""

from __future__ import annotations

import secrets

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only an INTEGER PRIMARY KEY up

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("slug", String(40), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("theme", String(40), nullable=False, server_default="default"),
    Column("theme_colour", String(7), nullable=False),
    Column("allow_registration", Boolean, nullable=False, default=False),
    Column("upstreams", JSON, nullable=False),
    Column("public_paths", JSON, nullable=False),
    Column("forwarding", JSON, nullable=False, server_default="{}"),  # only what differs from the defaults
    Column("status", String(16), nullable=False),
    # The label of the tenant's own CNAME target, <label>.customers.<platform domain>: guessed by nobody,
    # reused never.
    Column("cname_label", String(32), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
)

claims = Table(
    "claims",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("hostname", String(253), nullable=False),
    Column("kind", String(16), nullable=False),  # platform | external
    Column("state", String(16), nullable=False),
    Column("txt_token", String(64), nullable=False),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('platform', 'external')", name="kind"),
    UniqueConstraint("tenant_id", "hostname"),
    # Many may claim a hostname, one holds it.
    Index(
        "uq_claims_holder",
        "hostname",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
    Index(None, "tenant_id"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")),  # none: the platform's own
    Column("state", String(16), nullable=False),  # active | superseded
    Column("source", String(16), nullable=False),  # upload | folder
    Column("fingerprint", String(64), nullable=False),  # SHA-256 of the leaf, hexadecimal
    Column("key_type", String(16), nullable=False),  # rsa | ecdsa | ed25519
    Column("names", JSON, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("chain", Text, nullable=False),  # PEM, leaf first
    Column("sealed_key", LargeBinary, nullable=False),  # PKCS#8 DER, sealed with the record's identity
    Column("created_at", BigInteger, nullable=False),
    Index(None, "tenant_id"),
)

certificate_names = Table(
    "certificate_names",
    metadata,
    Column("certificate_id", ForeignKey("certificates.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "name", String(255), primary_key=True
    ),  # as the certificate spells it: example.com or *.example.com
    Index(None, "name"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),  # normalised, see identity/users.py
    Column("customer", String(80), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "email"),
)

sessions = Table(
    "sessions",
    metadata,
    Column(
        "key", String(64), primary_key=True
    ),  # SHA-256 of the token, hexadecimal; the token is stored nowhere
    Column("id", String(32), nullable=False, unique=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("signed_in_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("idle_life", Integer, nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(200), nullable=False),
    Index(None, "tenant_id"),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", String(32), primary_key=True),  # the JWK's kid
    Column("public_jwk", JSON, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_from", BigInteger, nullable=False),  # published before that, used from then on
    Column("used_until", BigInteger, nullable=False),  # still published a while after that
    UniqueConstraint("used_from"),  # two workers that make the next key at once make one
)

changes = Table(
    "changes",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("key", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
    sqlite_autoincrement=True,  # a sequence number is never given out twice, even after pruning
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)


def new_id(prefix: str) -> str:
    """Make an opaque id such as ``tnt_3f9c…``: 96 random bits, readable in a log."""
    return f"{prefix}_{secrets.token_hex(12)}"
