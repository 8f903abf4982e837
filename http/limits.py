"""Limits of a request as a whole; those of its fields stand in bodies.py."""

LARGEST_BODY = 1024 * 1024

# The server has no limit of its own for a body that is announced and never comes.
BODY_SECONDS = 30.0
