"""Fixtures of tests with a cluster, for the conftest.py of each folder that has such: they take a second to load."""

from collections.abc import AsyncIterator

import pytest

from modeltrail.simulated_cluster import SimulatedCluster
from support.cluster import RawApi, options, raw_api
from support.database import Database
from support.registry import Registry, registry

__all__ = ["cluster", "kubernetes", "world"]


@pytest.fixture
async def cluster() -> AsyncIterator[SimulatedCluster]:
    """A simulated cluster that is quick enough not to wait for."""
    async with SimulatedCluster(options()) as running:
        yield running


@pytest.fixture
async def kubernetes(cluster: SimulatedCluster) -> AsyncIterator[RawApi]:
    """The cluster's API."""
    async with raw_api(cluster) as connected:
        yield connected


@pytest.fixture
async def world(database: Database) -> AsyncIterator[Registry]:
    """A registry without HTTP, on this test's database."""
    async with registry(database) as running:
        yield running
