"""The migrations make the tables that the projections declare, and the database guards what must be unique."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import json
from typing import Any

import asyncpg
import pytest

from modeltrail.projections.catalogue import ALL
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table
from support.committing import connected
from support.database import Database

# What information_schema calls the types that projections use.
LONG_NAMES = {"timestamptz": "timestamp with time zone"}

each_projection = pytest.mark.parametrize("projection", ALL, ids=lambda projection: str(projection.name))


@each_projection
async def test_a_table_has_the_columns_that_its_projection_declares(
    projection: Projection[Any], connection: asyncpg.Connection
) -> None:
    rows = await connection.fetch(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'",
        projection.name,
    )
    declared = {column.name: LONG_NAMES.get(column.type, column.type) for column in projection.all_columns}

    assert {row["column_name"]: row["data_type"] for row in rows} == declared


@each_projection
async def test_a_table_has_its_id_for_primary_key(projection: Projection[Any], connection: asyncpg.Connection) -> None:
    key = await connection.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'p'",
        projection.name,
    )

    assert key == "PRIMARY KEY (id)"


@each_projection
async def test_a_table_is_unique_where_its_projection_says_so(
    projection: Projection[Any], connection: asyncpg.Connection
) -> None:
    rows = await connection.fetch(
        "SELECT pg_get_expr(indexprs, indrelid) AS key FROM pg_index"
        " WHERE indrelid = $1::regclass AND indisunique AND NOT indisprimary",
        projection.name,
    )
    declared = ["((({})::text || ' '::text) || {})".format(*projection.unique)] if projection.unique else []

    assert [row["key"] for row in rows] == declared


@pytest.mark.parametrize(
    "projection", [each for each in ALL if each.unique], ids=lambda projection: str(projection.name)
)
async def test_a_name_is_looked_up_by_the_unique_index(projection: Projection[Any], database: Database) -> None:
    async with connected(database) as connection:
        statement = await connection.prepare(Table(projection)._find)
        plan = json.dumps(await statement.explain(["a name"]))

    assert f"{projection.name}_name_key" in plan


@each_projection
async def test_documents_can_be_read(projection: Projection[Any], connection: asyncpg.Connection) -> None:
    statement = await connection.prepare(projection.get_documents)
    names = {attribute.name for attribute in statement.get_attributes()}

    assert names >= {"id", "project_id", "revision", "parent_id", "body"}
