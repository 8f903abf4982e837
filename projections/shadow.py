"""Shadow tables: read tables filled anew in a schema of their own, under the names that they will have."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asyncpg import Connection

from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.projections", "rebuild.sql")
SCHEMA = "modeltrail_rebuild"


async def drop_shadows(connection: Connection) -> None:
    """Throw away what a rebuild has made so far."""
    for row in await connection.fetch(SQL.list_shadows):
        await connection.execute(f'DROP TABLE {SCHEMA}."{row["tablename"]}"')
    await connection.execute(SQL.forget_counts)


async def make_room(connection: Connection) -> None:
    """The schema, unless it is there: only who rebuilds needs the right to create one."""
    if await connection.fetchval("SELECT to_regnamespace($1)::text", SCHEMA) is None:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")


async def make_shadow(connection: Connection, live: str, name: str) -> None:
    """An empty table like the one in the schema `live`, with as few indexes as its rows are found by."""
    options = await connection.fetchval(SQL.get_options, live, name)  # which LIKE leaves out
    await connection.execute(
        f"CREATE TABLE {SCHEMA}.{name} (LIKE {live}.{name} INCLUDING ALL EXCLUDING INDEXES)"
        + (f" WITH ({options})" if options else "")
    )
    await _make_indexes(connection, live, name, of_key_columns=True)


async def finish_shadow(connection: Connection, live: str, projection: Projection[Any]) -> None:
    """Give a table that is filled all else that the one in the schema `live` has: indexes, counts, triggers, grants."""
    name, shadow = projection.name, f"{SCHEMA}.{projection.name}"
    await _make_indexes(connection, live, name, of_key_columns=False)
    if projection.counted is not None:
        facets = ", ".join(f"facet({column})" for column in projection.counted)
        await connection.execute(
            f"INSERT INTO row_counts SELECT '{shadow}', project_id, ARRAY[{facets}]::text[], count(*)"  # noqa: S608
            f" FROM {shadow} GROUP BY 2, 3"
        )
    for row in await connection.fetch(SQL.list_triggers, live, name):
        await connection.execute(_moved(row["definition"], live, name))
    for row in await connection.fetch(SQL.list_grants, live, name):
        await connection.execute(row["statement"])
    await connection.execute(f"ANALYZE {shadow}")


async def _make_indexes(connection: Connection, live: str, name: str, *, of_key_columns: bool) -> None:
    for row in await connection.fetch(SQL.list_indexes, live, name, of_key_columns):
        if row["conname"] is not None:
            await connection.execute(f'ALTER TABLE {SCHEMA}.{name} ADD CONSTRAINT "{row["conname"]}" {row["condef"]}')
        else:
            await connection.execute(_moved(row["definition"], live, name))


def _moved(definition: str, live: str, name: str) -> str:
    """The same on the shadow table. PostgreSQL writes the schema into both kinds of definitions."""
    wanted = f" ON {live}.{name} "
    if wanted not in definition:
        raise ValueError(f"cannot move to a shadow table: {definition}")
    return definition.replace(wanted, f" ON {SCHEMA}.{name} ", 1)


def shadow_tables(projections: Sequence[Projection[Any]]) -> list[Table[Any]]:  # Any: each has rows of its own
    """For reading and writing the shadows of these projections' tables."""
    return [Table(replace(each, name=f"{SCHEMA}.{each.name}")) for each in projections]
