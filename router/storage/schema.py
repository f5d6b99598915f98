"""The tables, in SQLAlchemy Core, for SQLite and PostgreSQL alike.

Times are unix seconds in UTC (SQLite has no time zones, and a number cannot lose one). Ids are opaque texts
made by :func:`new_id`. Migrations are in storage/migrations; a test holds the two together.
"""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import (
    DDL,
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
    event,
    false,
    text,
)

from router.observe.traffic import TOOK

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
    Column("branding", JSON, nullable=False, server_default="{}"),  # the same, beside name, theme and colour
    Column("registration_check", Text),  # the URL that is asked whether an address belongs to a customer
    Column("status", String(16), nullable=False),
    # The label of the tenant's own CNAME target, <label>.customers.<platform domain>: guessed by nobody,
    # reused never.
    Column("cname_label", String(32), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # The name as it is searched and ordered by, see tenants/listing.py.
    Column("folded_name", String(240), nullable=False, server_default=text("''")),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
    Index(None, "folded_name", "id"),
    Index(None, "updated_at", "id"),
)

SERVED_CLAIMS: Final = ("active", "moved")
"""The states of a claim in which its hostname answers visitors (tenants/claims.py has the whole table)."""

_HELD = text("state IN ('active', 'moved', 'suspended')")

claims = Table(
    "claims",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("hostname", String(253), nullable=False),
    Column("kind", String(16), nullable=False),  # platform | external
    Column("state", String(16), nullable=False),
    Column("txt_token", String(64), nullable=False),
    Column("behind_cdn", Boolean, nullable=False, server_default=false()),
    Column("proof", String(16)),  # cname | txt | operator; none: not proved yet
    Column("proved_at", BigInteger),  # when its proof was seen last
    Column("lost_at", BigInteger),  # since when it is not there any more
    Column("notices", Integer, nullable=False, server_default="0"),  # mailed about that
    Column("code", String(40)),  # what the latest check came to
    Column("checks", Integer, nullable=False, server_default="0"),  # in vain, since somebody asked
    Column("checked_at", BigInteger),
    Column("next_check_at", BigInteger),  # none: not until somebody asks
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('platform', 'external')", name="kind"),
    UniqueConstraint("tenant_id", "hostname"),
    # Many may claim a hostname, one holds it.
    Index("uq_claims_holder", "hostname", unique=True, sqlite_where=_HELD, postgresql_where=_HELD),
    Index(None, "tenant_id"),
    Index(None, "next_check_at"),
    Index(None, "state", "updated_at"),
)

CLAIMS_IN_ORDER: Final = (claims.c.created_at, claims.c.kind.desc(), claims.c.hostname, claims.c.id)
"""The oldest first; of those made together, the sub-domain before hostnames of the tenant's own."""

evidence = Table(
    "evidence",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("claim_id", ForeignKey("claims.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("method", String(16), nullable=False),  # cname | txt | address | operator
    Column("asked", String(300), nullable=False),
    Column("resolver", String(64), nullable=False),  # empty: none answered, or none was asked
    Column("answer", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("verdict", String(16), nullable=False),  # good | missing | wrong | unanswered
    Column("code", String(40), nullable=False),
    Index(None, "claim_id", "sequence"),
    sqlite_autoincrement=True,
)

# Short names of tenants that are gone: given to nobody else by themselves.
tombstones = Table(
    "tombstones",
    metadata,
    Column("slug", String(40), primary_key=True),
    Column("tenant_id", String(32), nullable=False),
    Column("given_up_at", BigInteger, nullable=False),
)

# Work that one process of the fleet does at a time (storage/leases.py).
leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("until", BigInteger, nullable=False),
)

# The workers of the fleet, each of which says every few seconds that it is there (storage/workers.py).
workers = Table(
    "workers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("node", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # up to which change it knows everything
    Column("fault", Text),  # what it cannot serve, and why
    Column("key_ids", JSON, nullable=False, server_default="[]"),  # the encryption keys it has
)

images = Table(
    "images",
    metadata,
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", String(16), primary_key=True),  # of the octets served; part of the image's address
    Column("kind", String(16), nullable=False),  # logo | favicon
    Column("content_type", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
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
    Column("superseded_at", BigInteger),
    Column("superseded_by", String(32)),  # which one took its place: what a rollback goes by
    Index(None, "tenant_id"),
    Index(None, "superseded_by"),
    Index(None, "state", "not_after"),
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

# Who was told that a certificate ends, and how many days ahead: once each.
certificate_notices = Table(
    "certificate_notices",
    metadata,
    Column("subject", String(80), primary_key=True),  # a certificate's id, or the fingerprint of a file's
    Column("days", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
)

# Certificates of authorities out of chains that were uploaded: they complete those that come without.
intermediates = Table(
    "intermediates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),  # SHA-256, hexadecimal
    Column("subject", String(64), nullable=False),  # SHA-256 of the name as DER, hexadecimal
    Column("certificate", LargeBinary, nullable=False),  # DER
    Column("not_after", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index(None, "subject"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),  # normalised, see identity/users.py
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("language", String(8)),  # none: as the browser asks, or the tenant's
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "email"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("customer", String(80), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("customer", String(80), nullable=False),
    Column("language", String(8)),
    Column("invited_by", String(120), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),  # the latest mail of it
    Column("expires_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index(None, "tenant_id", "email"),
)

registration_links = Table(
    "registration_links",
    metadata,
    Column("id", String(32), primary_key=True),  # the link's token is this and its signature
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("customer", String(80), nullable=False),
    Column("email", String(254)),  # none: whoever has the invoice says which
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index(None, "tenant_id", "customer"),
)

links = Table(
    "links",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 of the token, hexadecimal; stored nowhere else
    Column("kind", String(16), nullable=False),  # invitation | registration | reset | email
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("customer", String(80)),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    Column("origin", String(32)),  # of the invitation or registration link that it came from
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("voided_at", BigInteger),  # by a newer one, or because what it stood for was withdrawn
    CheckConstraint("kind IN ('invitation', 'registration', 'reset', 'email')", name="kind"),
    Index(None, "tenant_id", "email"),
    Index(None, "expires_at"),
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
    Column("customer", String(80)),  # none: the user has several and has not chosen yet
    Column("remembered", Boolean, nullable=False, server_default=false()),
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

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")
    ),  # none: the platform's, for all tenants
    Column("name", String(80), nullable=False),
    Column("key", String(64), nullable=False, unique=True),  # SHA-256 of the token, hexadecimal
    Column("scopes", JSON, nullable=False),
    Column("created_by", String(120), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    # Who answers for it; none: made at the command line. No reference: a token outlives nobody by losing it.
    Column("operator_id", String(32)),
    Index(None, "tenant_id"),
    Index(None, "operator_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(32), primary_key=True),  # also the left half of the Message-ID
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")),  # none: about the platform's own
    Column("kind", String(40), nullable=False),  # which of the theme's mails
    Column("recipient", String(254), nullable=False),
    Column("language", String(8), nullable=False),
    Column("sealed_facts", LargeBinary),  # JSON, sealed: it holds links; gone once the mail is
    Column("state", String(16), nullable=False),  # waiting | sending | sent | failed
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # of one being sent: when another worker may take it over
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed')", name="state"),
    Index(None, "state", "due_at"),
    Index(None, "tenant_id", "recipient", "created_at"),
)

# Those who run the platform, or one tenant's portal, from the console.
operators = Table(
    "operators",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")
    ),  # none: of the platform, for all tenants
    Column("email", String(254), nullable=False, unique=True),  # normalised, see identity/users.py
    Column("read_only", Boolean, nullable=False, default=False),
    Column("password_hash", Text),  # none: the first link was not used yet
    Column("disabled", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "tenant_id"),
)

operator_sessions = Table(
    "operator_sessions",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 of the token, hexadecimal; stored nowhere else
    Column("id", String(32), nullable=False, unique=True),
    Column("operator_id", ForeignKey("operators.id", ondelete="CASCADE"), nullable=False),
    Column("signed_in_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(200), nullable=False),
    Index(None, "operator_id"),
    Index(None, "expires_at"),
)

# One-time links with which an operator chooses a password.
operator_links = Table(
    "operator_links",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 of the token, hexadecimal; stored nowhere else
    # Whose it is; none for the one that makes the platform's first operator.
    Column("operator_id", ForeignKey("operators.id", ondelete="CASCADE")),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index(None, "operator_id"),
)

# What was answered to calls that may come twice, by the key that the caller gave.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", String(40), primary_key=True),  # a token's or an operator's id
    Column("key", String(64), primary_key=True),  # SHA-256 of the key, hexadecimal
    Column("request", String(64), nullable=False),  # SHA-256 of method, path and body: a key means one call
    Column("status", Integer),  # none: still being done
    Column("headers", JSON),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "created_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")),  # none: the platform's, of all tenants
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("failing_since", BigInteger),  # of deliveries in a row that failed, the first one
    Column("created_by", String(120), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "tenant_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),  # waiting | sending | sent | failed
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("status", Integer),  # of the latest answer
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed')", name="state"),
    Index(None, "state", "due_at"),
    Index(None, "webhook_id", "created_at"),
)

# What was counted of each tenant's visits, in spans of some minutes.
traffic = Table(
    "traffic",
    metadata,
    Column("tenant_id", String(32), primary_key=True),  # no reference: what is counted late hurts nobody
    Column("at", BigInteger, primary_key=True),  # when the span began
    Column("requests", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),  # answered 4xx
    Column("failed", BigInteger, nullable=False),  # answered 5xx
    Column("sign_ins", BigInteger, nullable=False),
    *(Column(f"within_{bound}", BigInteger, nullable=False) for bound in TOOK),
    Column("beyond", BigInteger, nullable=False),
    Index(None, "at"),
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
    Column("address", String(45)),  # from where; none: from the router's own machine
    Column("action", String(60), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("tenant_id", String(32)),  # no reference: a line outlives what it tells of
    Column("detail", JSON, nullable=False),
    Index(None, "at"),
    Index(None, "tenant_id", "sequence"),
    sqlite_autoincrement=True,
)


YOUNGEST_PRUNED: Final = 30 * 86_400
"""Seconds for which no line of the audit can be deleted; none is altered ever. The database sees to it."""

for _dialect, _statements in {
    "sqlite": (
        """CREATE TRIGGER audit_not_altered BEFORE UPDATE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only'); END""",
        """CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit
        WHEN old.at > CAST(strftime('%%s', 'now') AS INTEGER) - 2592000 BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = '23001'; END $$""",
        """CREATE TRIGGER audit_not_altered BEFORE UPDATE ON audit
        FOR EACH ROW EXECUTE FUNCTION audit_append_only()""",
        """CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit FOR EACH ROW
        WHEN (old.at > extract(epoch FROM now()) - 2592000) EXECUTE FUNCTION audit_append_only()""",
    ),
}.items():
    for _statement in _statements:
        _ddl = DDL(_statement)  # type: ignore[no-untyped-call]  # SQLAlchemy has not typed it
        event.listen(audit, "after_create", _ddl.execute_if(dialect=_dialect))


def new_id(prefix: str) -> str:
    """Make an opaque id such as ``tnt_3f9c…``: 96 random bits, readable in a log."""
    return f"{prefix}_{secrets.token_hex(12)}"
