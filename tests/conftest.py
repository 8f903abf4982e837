"""Fixtures that every test may use."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from modeltrail.postgres.embedded import EmbeddedPostgres
from support.database import Database, DatabaseServer, start_server, temporary_postgres


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """The run's PostgreSQL; every xdist worker has its own (or its own databases, if the server is given)."""
    with start_server() as server:
        yield server


@pytest.fixture
def database(database_server: DatabaseServer) -> Iterator[Database]:
    """A migrated database that only this test uses."""
    database = database_server.create()
    yield database
    database_server.drop(database)


@pytest.fixture
def empty_database(database_server: DatabaseServer) -> Iterator[Database]:
    """A database without any table, that only this test uses."""
    database = database_server.create_empty()
    yield database
    database_server.drop(database)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection to this test's database."""
    connection = await asyncpg.connect(database.dsn)
    yield connection
    await connection.close()


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own, to stop, kill and start again."""
    with temporary_postgres() as postgres:
        yield postgres
