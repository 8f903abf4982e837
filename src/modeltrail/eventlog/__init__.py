"""The append-only log of events in PostgreSQL, and what keeps it private and provable."""
