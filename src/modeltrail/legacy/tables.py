"""The old service's two tables, wherever they are: found, checked and read in pages."""

import socket
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Connection
from asyncpg.exceptions import ClientConfigurationError, InterfaceError, PostgresError
from msgspec import Struct

from modeltrail.legacy.moments import read_all_moments
from modeltrail.postgres.connect import close, reason_of

PREFIXES = ("", "model_registry_")
MODELS, VERSIONS = "registered_model", "model_version"
# Older releases lack some columns; these are never missing.
NEEDED = {
    MODELS: {"id", "project_id", "name"},
    VERSIONS: {"id", "registered_model_id", "name", "is_default", "created_at", "updated_at"},
}
# Of columns that are no texts, the types that can be read, as information_schema names them.
_WHOLE, _MOMENT = ("bigint", "integer", "smallint"), ("timestamp with time zone", "timestamp without time zone")
TYPES = {
    "model_size": _WHOLE,
    "is_default": ("boolean",),
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
    **dict.fromkeys(
        (
            "id",
            "project_id",
            "owner_id",
            "parent_model_id",
            "registered_model_id",
            "created_by_id",
            "updated_by_id",
            "prebuilt_container_id",
        ),
        ("uuid",),
    ),
}
CONNECT_SECONDS = 10.0
# As legacy.rows takes it: to sort by, NULL is later than any time.
_CREATED = "coalesce({0}.created_at, {0}.updated_at, to_timestamp(0))"


class LegacyTablesError(Exception):
    """The old service's database or its tables cannot be used; the message says why, and names no password."""


class UnusableSourceError(LegacyTablesError):
    """What names the old service's database is no address of one."""


@contextmanager
def _told(named_by: str) -> Iterator[None]:
    """Say of what goes wrong inside the block that it is the old service's database, which `named_by` names."""
    try:
        yield
    except (OSError, ValueError, PostgresError, InterfaceError) as error:
        kind = UnusableSourceError if isinstance(error, ClientConfigurationError) else LegacyTablesError
        raise kind(f"the old service's database cannot be read ({_reason(error)}); check {named_by}") from error


def _reason(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return "its host name is not known"
        case TimeoutError():
            return f"it does not answer within {CONNECT_SECONDS:g} s"
        case _:
            return reason_of(error)


class Source(Struct, frozen=True):
    """Where the tables are: their database's address, which may hold a password, their schema, and what their names
    begin with; with None, whichever is there. `named_by` says to a person where the address was given."""

    dsn: str
    schema: str = "public"
    prefix: str | None = None
    named_by: str = "--dsn"

    def __repr__(self) -> str:
        """Without the password."""
        return f"Source(schema={self.schema!r}, prefix={self.prefix!r})"


class ModelPage(Struct, frozen=True):
    """Models with their versions, oldest first; each a row by column."""

    models: Sequence[Any]  # Any: asyncpg's records
    versions: Sequence[Any]  # Any: the same


class LegacyTables:
    """One consistent view of both tables, as they were when it was opened."""

    def __init__(self, connection: Connection, source: Source, prefix: str) -> None:
        self._connection = connection
        self._named_by = source.named_by
        self.models = f"{_quoted(source.schema)}.{_quoted(prefix + MODELS)}"
        self.versions = f"{_quoted(source.schema)}.{_quoted(prefix + VERSIONS)}"

    async def count(self) -> tuple[int, int]:
        """How many models and versions there are."""
        (models,) = await self._fetch(f"SELECT count(*) FROM {self.models}")  # noqa: S608 - the names are quoted
        (versions,) = await self._fetch(f"SELECT count(*) FROM {self.versions}")  # noqa: S608 - the same
        return models["count"], versions["count"]

    async def pages(self, size: int) -> AsyncGenerator[ModelPage, None]:
        """All models in pages of `size`, each with its versions. Of several defaults the newest is `default_id`."""
        after: UUID | None = None
        while True:
            models = await self._fetch(
                f"""
                SELECT m.*, d.default_id, coalesce(d.defaults, 0) AS defaults
                FROM {self.models} AS m LEFT JOIN LATERAL (
                    SELECT count(*) AS defaults,
                        (array_agg(v.id ORDER BY {_CREATED.format("v")} DESC, v.id DESC))[1] AS default_id
                    FROM {self.versions} AS v WHERE v.registered_model_id = m.id AND v.is_default
                ) AS d ON true
                WHERE $1::uuid IS NULL OR m.id > $1
                ORDER BY m.id LIMIT $2
                """,  # noqa: S608 - the names are quoted
                after,
                size,
            )
            if not models:
                return
            versions = await self._fetch(
                f"""
                SELECT * FROM {self.versions} WHERE registered_model_id = ANY($1::uuid[])
                ORDER BY coalesce(created_at, updated_at), id
                """,  # noqa: S608 - the same
                [model["id"] for model in models],
            )
            yield ModelPage(models, versions)
            after = models[-1]["id"]

    async def orphans(self) -> list[UUID]:
        """The versions of no model that is there, which `pages` leaves out."""
        rows = await self._fetch(
            f"SELECT id FROM {self.versions} AS v"  # noqa: S608 - the same
            f" WHERE NOT EXISTS (SELECT FROM {self.models} AS m WHERE m.id = v.registered_model_id) ORDER BY id"
        )
        return [row["id"] for row in rows]

    async def _fetch(self, statement: str, *arguments: object) -> list[Any]:  # Any: asyncpg's records
        with _told(self._named_by):
            rows: list[Any] = await self._connection.fetch(statement, *arguments)
            return rows

    async def missing(self, table: str, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that `table` does not hold."""
        found = await self._fetch(f"SELECT id FROM {table} WHERE id = ANY($1::uuid[])", ids)  # noqa: S608 - the same
        return sorted(set(ids) - {row["id"] for row in found})


@asynccontextmanager
async def open_tables(source: Source) -> AsyncGenerator[LegacyTables, None]:
    """The tables as they are now, whatever is written to them meanwhile.

    Raises LegacyTablesError when they cannot be read, are not there, or lack what cannot be done without.
    """
    settings = {"application_name": "modeltrail import-legacy", "timezone": "UTC"}
    with _told(source.named_by):
        connection = await asyncpg.connect(source.dsn, timeout=CONNECT_SECONDS, server_settings=settings)
    try:
        with _told(source.named_by):
            await read_all_moments(connection)
            # Ended with the connection: to roll back over one that is lost would fail, and hide why it was lost.
            await connection.transaction(isolation="repeatable_read", readonly=True).start()
            found = await _find_prefix(connection, source.schema, source.prefix)
        yield LegacyTables(connection, source, found)
    finally:
        await close(connection)


async def _find_prefix(connection: Connection, schema: str, wanted: str | None) -> str:
    rows = await connection.fetch(
        "SELECT table_name, array_agg(column_name::text) AS names, array_agg(data_type::text) AS types"
        " FROM information_schema.columns WHERE table_schema = $1 GROUP BY table_name",
        schema,
    )
    columns = {row["table_name"]: dict(zip(row["names"], row["types"], strict=True)) for row in rows}
    candidates = PREFIXES if wanted is None else (wanted,)
    there = [prefix for prefix in candidates if {prefix + MODELS, prefix + VERSIONS} <= columns.keys()]
    if not there:
        names = " or ".join(f"{prefix}{MODELS} and {prefix}{VERSIONS}" for prefix in candidates)
        raise LegacyTablesError(
            f"schema {schema!r} of that database has no tables {names} that its user may read;"
            " see --schema and --prefix"
        )
    if len(there) > 1:
        raise LegacyTablesError(
            f"schema {schema!r} holds the tables with and without the prefix {PREFIXES[1]!r}; choose with --prefix"
        )
    for table, needed in NEEDED.items():
        _require_columns(there[0] + table, columns[there[0] + table], needed)
    return there[0]


def _require_columns(table: str, columns: Mapping[str, str], needed: Set[str]) -> None:
    """Raise LegacyTablesError for a table, its columns' types by their names, that does not hold what theirs do."""
    if lacking := sorted(needed - columns.keys()):
        raise LegacyTablesError(f"table {table} lacks {', '.join(lacking)}; is it the old service's?")
    for name, type_ in columns.items():
        if type_ not in TYPES.get(name, (type_,)):
            raise LegacyTablesError(
                f"column {name} of table {table} is {type_}, not {TYPES[name][0]}; is it the old service's?"
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
