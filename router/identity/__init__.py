"""Identity: users, passwords, sessions, and the signed statement of who is asking."""
