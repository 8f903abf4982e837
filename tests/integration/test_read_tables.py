"""The migrations make the tables that the projections declare, and the database guards what must be unique."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import json
from typing import Any

import asyncpg
import pytest

from modeltrail.projections.catalogue import ALL
from modeltrail.projections.projection import Projection
from modeltrail.projections.searching import NOW
from modeltrail.projections.table import Table
from support.committing import connected
from support.database import Database
from support.samples import PROJECT

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


async def test_words_are_searched_for_by_the_index(database: Database) -> None:
    async with connected(database) as connection:
        statement = await connection.prepare(NOW)
        plan = json.dumps(await statement.explain(PROJECT, "'wa':*", "a", "", 20, 0))

    assert "search_words_idx" in plan


async def test_a_dump_can_be_restored_where_no_schema_is_on_the_path(database: Database) -> None:
    """As pg_restore does. What the database computes for a row must find its functions all the same."""
    async with connected(database) as connection:
        await connection.execute("SET search_path = ''")
        await connection.execute(
            "INSERT INTO public.search VALUES"
            " ($1, $1, 1, 1, now(), now(), 'model', 'a', 'a', '', '', 'b c', '{}')", PROJECT,
        )  # fmt: skip

        words = await connection.fetchval("SELECT words::text FROM public.search")

    assert words == f"'project {PROJECT}' 'wa':1A 'wb':2 'wc':3"


@each_projection
async def test_documents_can_be_read(projection: Projection[Any], connection: asyncpg.Connection) -> None:
    statement = await connection.prepare(projection.get_documents)
    names = {attribute.name for attribute in statement.get_attributes()}

    assert names >= {"id", "project_id", "revision", "parent_id", "body"}
