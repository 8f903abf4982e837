"""What the commands say about a database that is there but cannot be used."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from asyncpg.exceptions import InternalClientError

from modeltrail.cli.database import check_connection, check_schema
from modeltrail.cli.errors import CommandError
from modeltrail.postgres.connect import reason_of
from modeltrail.settings import DatabaseSettings, Settings
from support.command_line import modeltrail
from support.database import Database


@asynccontextmanager
async def leaving(database: Database) -> AsyncIterator[Database]:
    """The database at an address that takes one connection, and is gone once that has ended."""

    async def take(down: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        place.close()
        is_socket = database.host.startswith("/")
        reader, writer = (
            await asyncio.open_unix_connection(f"{database.host}/.s.PGSQL.{database.port}")
            if is_socket
            else await asyncio.open_connection(database.host, database.port)
        )
        await asyncio.gather(pump(down, writer), pump(reader, up))

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            target.write(chunk)
        target.close()

    place = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield replace(database, host="127.0.0.1", port=place.sockets[0].getsockname()[1])
    finally:
        place.close()


def settings(database: Database, overrides: Mapping[str, str] | None = None) -> DatabaseSettings:
    return Settings.from_environment(
        {
            "DATABASE_HOST": database.host,
            "DATABASE_PORT": str(database.port),
            "DATABASE_USER": database.user,
            "DATABASE_PASSWORD": database.password,
            "DATABASE_DBNAME": database.name,
            **(overrides or {}),
        }
    ).database


async def test_a_migrated_database_is_accepted(database: Database) -> None:
    await check_connection(settings(database))
    await check_schema(settings(database))


async def test_a_database_that_is_not_migrated_is_told_with_the_remedy(empty_database: Database) -> None:
    with pytest.raises(CommandError, match=r"is not migrated \(it lacks 0001_.*\); run: modeltrail migrate$"):
        await check_schema(settings(empty_database))


async def test_a_missing_database_is_named(database: Database) -> None:
    with pytest.raises(CommandError, match="has no database 'nowhere'; create it"):
        await check_connection(settings(database, {"DATABASE_DBNAME": "nowhere"}))


async def test_a_refused_user_is_named_and_the_password_is_not(database: Database) -> None:
    with pytest.raises(CommandError, match="'nobody-known'") as refusal:
        await check_connection(settings(database, {"DATABASE_USER": "nobody-known", "DATABASE_PASSWORD": "hunter2"}))

    assert "hunter2" not in str(refusal.value)
    assert "DATABASE_USER" in str(refusal.value)


@pytest.mark.parametrize(
    "command",
    [
        ("secrets", "status"),
        ("migrate",),
        ("events", "verify"),
        ("projections", "list"),
        ("worker", "parked"),
        ("erase", "--email", "ann@example.org", "--yes"),
        ("serve",),
    ],
)
async def test_a_database_that_goes_away_between_two_connections_is_told_in_a_sentence(
    database: Database, command: tuple[str, ...]
) -> None:
    async with leaving(database) as away:
        code, out, err = await modeltrail(away, *command)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"modeltrail: the connection to PostgreSQL at 127.0.0.1:{away.port} was lost (")
    assert "Connection refused" in err


@pytest.mark.parametrize(
    "error",
    [
        InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
        ConnectionError("unexpected connection_lost() call"),
    ],
)
def test_a_connection_that_is_cut_is_not_told_in_the_words_of_a_library(error: Exception) -> None:
    assert reason_of(error) == "connection was closed in the middle of operation"


async def test_a_database_that_takes_no_writes_is_told_with_the_remedy(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    code, out, err = await modeltrail(database, "projections", "rebuild", "models")

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.endswith("set DATABASE_HOST to the primary, or make it writable\n")


async def test_a_lack_of_connections_is_no_lost_one(database: Database, connection: asyncpg.Connection) -> None:
    role = f"{database.name}_role"  # the server may be shared
    await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
    try:
        limited = replace(database, user=role, password="secret")
        code, _, err = await modeltrail(limited, "projections", "rebuild", "models")
    finally:
        await connection.execute(f"DROP ROLE {role}")

    assert (code, err.count("\n")) == (1, 1)
    assert err.endswith("raise max_connections or lower DATABASE_MAX_OPEN_CONNS\n")
