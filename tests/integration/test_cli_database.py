"""What the commands say about a database that is there but cannot be used."""

from collections.abc import Mapping

import pytest

from modeltrail.cli.database import check_connection, check_schema
from modeltrail.cli.errors import CommandError
from modeltrail.settings import DatabaseSettings, Settings
from support.database import Database


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
