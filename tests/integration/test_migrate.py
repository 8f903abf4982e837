"""Migrations: in order, once, all or nothing, and never over a database that does not fit."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import secrets
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import pytest

from modeltrail.postgres.migrate import Migration, MigrationError, migrate, packaged_migrations, pending
from support.database import Database

_FIRST = Migration("0001_models.sql", "CREATE TABLE models (id int); INSERT INTO models VALUES (1);")
_SECOND = Migration("0002_names.sql", "ALTER TABLE models ADD COLUMN name text;")
_BROKEN = Migration("0002_broken.sql", "INSERT INTO models VALUES (2); SELECT 1 / 0;")


@pytest.fixture
async def empty(empty_database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database.dsn)
    yield connection
    await connection.close()


async def test_migrations_are_applied_in_order_and_recorded(empty: asyncpg.Connection) -> None:
    assert await migrate(empty, [_FIRST, _SECOND]) == ["0001_models.sql", "0002_names.sql"]
    rows = await empty.fetch("SELECT version, name, checksum, applied_at IS NOT NULL FROM schema_migrations")
    assert [tuple(row) for row in rows] == [
        (1, _FIRST.name, sha256(_FIRST.sql.encode()).digest(), True),
        (2, _SECOND.name, sha256(_SECOND.sql.encode()).digest(), True),
    ]
    assert await empty.fetchrow("SELECT id, name FROM models") == (1, None)


async def test_a_migrated_database_is_left_as_it_is(empty: asyncpg.Connection) -> None:
    await migrate(empty, [_FIRST])
    assert await migrate(empty, [_FIRST]) == []
    assert await empty.fetchval("SELECT count(*) FROM models") == 1


async def test_a_new_migration_is_applied_to_an_old_database(empty: asyncpg.Connection) -> None:
    await migrate(empty, [_FIRST])
    assert await pending(empty, [_FIRST, _SECOND]) == ["0002_names.sql"]
    assert await migrate(empty, [_FIRST, _SECOND]) == ["0002_names.sql"]
    assert await pending(empty, [_FIRST, _SECOND]) == []


async def test_asking_what_is_pending_changes_nothing(empty: asyncpg.Connection) -> None:
    assert await pending(empty, [_FIRST, _SECOND]) == ["0001_models.sql", "0002_names.sql"]
    assert await empty.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_ten_processes_migrate_at_once_and_each_file_is_applied_once(empty_database: Database) -> None:
    connections = [await asyncpg.connect(empty_database.dsn) for _ in range(10)]
    try:
        applied = await asyncio.gather(*(migrate(connection, [_FIRST, _SECOND]) for connection in connections))
        assert sorted(name for names in applied for name in names) == [_FIRST.name, _SECOND.name]
        assert await connections[0].fetchval("SELECT count(*) FROM models") == 1
    finally:
        for connection in connections:
            await connection.close()


async def test_waiting_for_another_process_outlasts_the_timeouts_of_the_session(empty_database: Database) -> None:
    slow = Migration("0001_slow.sql", "SELECT pg_sleep(0.3); CREATE TABLE slow ();")
    connections = [
        await asyncpg.connect(empty_database.dsn, server_settings={"lock_timeout": "50ms", "statement_timeout": "50ms"})
        for _ in range(2)
    ]
    try:
        applied = await asyncio.gather(*(migrate(connection, [slow]) for connection in connections))
        assert sorted(applied) == [[], ["0001_slow.sql"]]
        assert await connections[0].fetchval("SHOW statement_timeout") == "50ms"
    finally:
        for connection in connections:
            await connection.close()


async def test_a_failing_migration_is_undone_and_those_before_it_stay(empty: asyncpg.Connection) -> None:
    with pytest.raises(MigrationError, match=r"0002_broken\.sql failed and was undone: division by zero"):
        await migrate(empty, [_FIRST, _BROKEN])
    assert await empty.fetch("SELECT id FROM models") == [(1,)]
    assert await migrate(empty, [_FIRST, _SECOND]) == ["0002_names.sql"]


async def test_a_migration_that_changed_after_it_was_applied_is_refused(empty: asyncpg.Connection) -> None:
    await migrate(empty, [_FIRST])
    changed = Migration(_FIRST.name, _FIRST.sql + "-- afterthought")
    with pytest.raises(MigrationError, match=r"0001_models\.sql was changed after it was applied"):
        await migrate(empty, [changed, _SECOND])
    with pytest.raises(MigrationError, match=r"0001_models\.sql was changed after it was applied"):
        await pending(empty, [changed, _SECOND])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("models (id int)", r"as another program has tables in this database \(relation \"models\" already exists\)"),
        ("schema_migrations (version bigint, dirty boolean)", "The table schema_migrations .* is another program's"),
    ],
)
async def test_a_database_of_another_program_is_left_to_it(empty: asyncpg.Connection, table: str, message: str) -> None:
    await empty.execute(f"CREATE TABLE {table}")
    with pytest.raises(MigrationError, match=f"{message}.*: make one for modeltrail alone"):
        await migrate(empty)


async def test_a_database_of_a_newer_modeltrail_is_refused(empty: asyncpg.Connection) -> None:
    await migrate(empty, [_FIRST, _SECOND])
    with pytest.raises(MigrationError, match=r"has migration 0002_names\.sql, .* newer version"):
        await migrate(empty, [_FIRST])


@pytest.mark.parametrize(
    "names",
    [["0002_late.sql"], ["0001_one.sql", "0001_other.sql"], ["0001_one.sql", "0003_three.sql"], ["1_short.sql"]],
)
async def test_misnumbered_migrations_are_refused(empty: asyncpg.Connection, names: list[str]) -> None:
    with pytest.raises(MigrationError, match="must be n"):
        await migrate(empty, [Migration(name, "SELECT 1") for name in names])


async def test_the_packaged_migrations_lead_from_nothing_to_the_template(
    empty: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    assert await pending(connection) == []
    assert await migrate(empty) == [migration.name for migration in packaged_migrations()]


async def test_a_role_that_may_not_create_extensions_can_migrate_without_the_search_index(
    empty: asyncpg.Connection,
) -> None:
    warnings: list[str] = []
    empty.add_log_listener(lambda _connection, message: warnings.append(message.message))
    role = f"modest_{secrets.token_hex(4)}"
    await empty.execute(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}")
    try:
        await migrate(empty)
        assert await empty.fetchval("SELECT to_regclass('models_created_idx') IS NOT NULL")
        assert await empty.fetchval("SELECT to_regclass('models_search_idx') IS NULL")
        assert any("pg_trgm" in warning for warning in warnings)
    finally:
        await empty.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
