"""Storage: the database is the truth, the cache only makes it fast."""
