"""Plumbing around PostgreSQL: connections, migrations, and an own server for development and tests."""
