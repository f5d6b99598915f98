"""Tenants: who they are, which hostnames are theirs, how to find them."""
