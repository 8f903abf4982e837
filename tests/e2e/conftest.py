"""Fixtures of the tests with processes of their own."""

from support.fixtures import cluster, world

__all__ = ["cluster", "world"]
