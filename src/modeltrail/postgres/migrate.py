"""Brings a database to the schema that this version of modeltrail needs; forward only.

The files of `modeltrail.migrations` (`0001_event_log.sql`, `0002_...`) are applied in order, each in one
transaction together with its row in `schema_migrations`.
"""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
from asyncpg.exceptions import (
    DuplicateFunctionError,
    DuplicateObjectError,
    DuplicateTableError,
    PostgresError,
    UndefinedColumnError,
)

__all__ = ["Migration", "MigrationError", "migrate", "packaged_migrations", "pending"]

# One key for every modeltrail: its processes take turns at the schema of a database.
_ADVISORY_LOCK = 0x6D74_7363_6865_6D61  # "mtschema" in ASCII
_FILE_NAME = re.compile(r"(?P<version>\d{4})_[a-z0-9_]+\.sql")

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_LIST_APPLIED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
_INSERT_APPLIED = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)"

_TAKEN = (DuplicateTableError, DuplicateObjectError, DuplicateFunctionError)
_OWN_DATABASE = "make one for modeltrail alone (createdb), and set DATABASE_DBNAME"


class MigrationError(Exception):
    """The database's schema and this version of modeltrail do not go together; nothing was half-applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: a file's name and the statements in it."""

    name: str
    sql: str

    @property
    def version(self) -> int:
        """The number in front of the name, from 1 without gaps."""
        match = _FILE_NAME.fullmatch(self.name)
        if match is None:
            raise MigrationError(f"A migration must be named like 0001_event_log.sql, not {self.name}.")
        return int(match["version"])

    @property
    def checksum(self) -> bytes:
        """SHA-256 of the statements."""
        return hashlib.sha256(self.sql.encode()).digest()


def packaged_migrations() -> list[Migration]:
    """The migrations that belong to this version of modeltrail, in order."""
    found = [
        # Read as text, so that a checkout with CRLF line ends has the same checksum.
        Migration(file.name, file.read_text(encoding="utf-8"))
        for file in files("modeltrail.migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.version)


async def migrate(connection: asyncpg.Connection, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what the database lacks, and return the names of what this call applied.

    Any number of processes may call this at once. The connection must not be in a transaction. Raises
    MigrationError when a migration fails (those before it stay), when an applied one has changed since, and
    when the database was migrated by a newer modeltrail.
    """
    known = _by_version(packaged_migrations() if migrations is None else migrations)
    done: list[str] = []
    while (name := await _apply_next(connection, known)) is not None:
        done.append(name)
    return done


async def pending(connection: asyncpg.Connection, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Names of what `migrate` would apply; changes nothing. Raises MigrationError as `migrate` does."""
    known = _by_version(packaged_migrations() if migrations is None else migrations)
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return [migration.name for migration in known.values()]
    return [migration.name for migration in await _unapplied(connection, known)]


def _by_version(migrations: Sequence[Migration]) -> dict[int, Migration]:
    versions = [migration.version for migration in migrations]
    if versions != list(range(1, len(versions) + 1)):
        raise MigrationError(f"Migrations must be numbered 1, 2, 3 and so on, each once, not {versions}.")
    return dict(zip(versions, migrations, strict=True))


async def _apply_next(connection: asyncpg.Connection, known: Mapping[int, Migration]) -> str | None:
    # Read committed, so that what is read under the lock includes what its former holder wrote.
    async with connection.transaction(isolation="read_committed"):
        # Waiting for another process's migration, and a long one of our own, are no reason to give up.
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        # Until the transaction's end: a lock of the session would stay behind in a pooler.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
        if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
            await connection.execute(_CREATE_TABLE)
        unapplied = await _unapplied(connection, known)
        if not unapplied:
            return None
        migration = unapplied[0]
        try:
            await connection.execute(migration.sql)
        except _TAKEN as error:
            raise MigrationError(
                f"Migration {migration.name} was undone, as another program has tables in this database ({error}): "
                f"{_OWN_DATABASE}."
            ) from error
        except PostgresError as error:
            raise MigrationError(f"Migration {migration.name} failed and was undone: {error}.") from error
        await connection.execute(_INSERT_APPLIED, migration.version, migration.name, migration.checksum)
        return migration.name


async def _unapplied(connection: asyncpg.Connection, known: Mapping[int, Migration]) -> list[Migration]:
    try:
        applied = await connection.fetch(_LIST_APPLIED)
    except UndefinedColumnError as error:  # it is a usual name
        raise MigrationError(
            f"The table schema_migrations in this database is another program's ({error}): {_OWN_DATABASE}."
        ) from error
    for version, name, checksum in applied:
        if version not in known:
            raise MigrationError(
                f"The database has migration {name}, which this version of modeltrail does not know: "
                "it was migrated by a newer version, so run that one."
            )
        if checksum != known[version].checksum:
            raise MigrationError(
                f"Migration {known[version].name} was changed after it was applied to this database: "
                "restore the file and put the change into a new migration."
            )
    return [migration for version, migration in known.items() if version > len(applied)]
