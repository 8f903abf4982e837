"""The PostgreSQL that the benchmarks run on: one of their own with ordinary durability, in a temporary folder.

It starts with the WAL files that a server has which has run for a while. A new one makes them as it goes, 16 MB of
zeros and a flush each, and he who writes the most waits the most: the committer, a fifth of its time, until the first
checkpoint has files to use again.
"""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from asyncpg import Connection

from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.migrate import migrate
from modeltrail.projections.projection_status import record_versions

_WAL_FILES = 96  # of 16 MB each


@contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    """A running server that flushes to disk at each commit."""
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        with EmbeddedPostgres(Path(folder) / "postgres") as running:
            yield running


async def run_in(running: EmbeddedPostgres) -> None:
    """Give the server its WAL files. It takes them up at the next checkpoint."""
    async with _session(running) as connection:
        await connection.execute(f"ALTER SYSTEM SET min_wal_size = '{_WAL_FILES * 16}MB'")
        await connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        await connection.execute("SELECT pg_reload_conf()")
        for _ in range(_WAL_FILES):  # a file that nothing was written to is not switched away from
            await connection.execute("SELECT pg_logical_emit_message(false, 'benchmarks', 'next')")
            await connection.execute("SELECT pg_switch_wal()")


async def checkpoint(running: EmbeddedPostgres) -> None:
    """Write out what is left to be written, so that no measurement pays for what was done before it."""
    async with _session(running) as connection:
        await connection.execute("CHECKPOINT")


async def clear(running: EmbeddedPostgres) -> None:
    """Drop the databases of the benchmarks before: autovacuum would go on working on them beside the next one.

    Measured, a rebuild's 22,600 events a second were 14,300 then.
    """
    async with _session(running) as connection:
        for (name,) in await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'"):
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def _session(running: EmbeddedPostgres) -> AsyncGenerator[Connection, None]:
    """Not a writer's connection: what is done to a whole server may take longer than a writer's statement."""
    connection = await asyncpg.connect(running.dsn())
    try:
        yield connection
    finally:
        await connection.close()


async def empty_database(running: EmbeddedPostgres, name: str) -> DatabaseAddress:
    """A database for whoever makes his own schema."""
    await running.ensure_database(name)
    return DatabaseAddress(str(running.socket_folder), running.port, running.user, "", name)


async def fresh_database(running: EmbeddedPostgres, name: str) -> DatabaseAddress:
    """An empty database with today's schema."""
    address = await empty_database(running, name)
    connection = await writer(address)()
    try:
        await migrate(connection)
        await record_versions(connection)  # as `modeltrail migrate` does before any event
    finally:
        await connection.close()
    return address
