"""Plumbing around PostgreSQL: connections, migrations, and a server of our own for development and tests."""
