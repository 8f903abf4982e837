"""Fixtures of the tests that need a database."""

from collections.abc import AsyncIterator

import pytest

from support.api import Api, Project, running_api
from support.database import Database
from support.fixtures import cluster, kubernetes, world

__all__ = ["api", "cluster", "kubernetes", "project", "world"]


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API in this process, on this test's database."""
    async with running_api(database) as api:
        yield api


@pytest.fixture
def project(api: Api) -> Project:
    """A client of the API, for a project that has nothing yet."""
    return api.project()
