"""Mails of the portals: from the outbox in the database, in the tenant's name, each sent once."""
