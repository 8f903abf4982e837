"""Statements that many requests share are planned a few times, and not for each request: that took longer than they."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from modeltrail.projections.catalogue import ALL
from modeltrail.projections.list_reader import columns
from modeltrail.projections.lists import (
    ENVIRONMENT_LIST,
    MODEL_LIST,
    SERVE_MODEL_LIST,
    SERVICE_LIST,
    VERSION_LIST,
    Listing,
    Slice,
)
from modeltrail.projections.projection import Projection
from support.samples import PROJECT

PLANNED_ANYHOW = 5  # https://www.postgresql.org/docs/current/sql-prepare.html: the first five executions
TIMES = 12


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: str(projection.name))
async def test_the_plan_of_a_lookup_is_kept(projection: Projection[Any], connection: asyncpg.Connection) -> None:
    assert await _planned(connection, projection.get_documents, [uuid4()]) == PLANNED_ANYHOW


@pytest.mark.parametrize("listing", [MODEL_LIST, VERSION_LIST, ENVIRONMENT_LIST, SERVICE_LIST, SERVE_MODEL_LIST])
async def test_the_plan_of_a_list_is_kept(listing: Listing, connection: asyncpg.Connection) -> None:
    statement, asked = listing.page_query({"project_id": PROJECT}, Slice(20, 0))

    assert await _planned(connection, statement, *columns([asked])) == PLANNED_ANYHOW


async def test_the_plan_of_a_search_is_kept(connection: asyncpg.Connection) -> None:
    statement, asked = MODEL_LIST.page_query({"project_id": PROJECT}, Slice(20, 0), "churn")

    assert await _planned(connection, statement, *columns([asked])) == PLANNED_ANYHOW


async def _planned(connection: asyncpg.Connection, statement: str, *arguments: object) -> int:
    """How often `statement` was planned for its arguments' values, of `TIMES`."""
    for _ in range(TIMES):
        await connection.fetch(statement, *arguments)
    planned: int = await connection.fetchval(
        "SELECT custom_plans FROM pg_prepared_statements WHERE statement = $1", statement
    )
    return planned
