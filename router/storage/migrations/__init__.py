"""The history of the tables, run by Alembic (router/storage/migrate.py)."""
