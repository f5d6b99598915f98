"""Webhooks: other systems are told what happens to domains and certificates, signed, and until they heard."""
