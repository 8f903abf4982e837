"""The PostgreSQL that the benchmarks run on: an own one with ordinary durability, in a temporary folder.

It starts with the WAL files that a server has which has run for a while. A new one makes them as it goes, 16 MB of
zeros and a flush each, and he who writes the most waits the most: the committer, a fifth of its time, until the first
checkpoint has files to use again.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncpg import Connection

from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.migrate import migrate

WAL_FILES = 96  # of 16 MB each: more than any one benchmark writes between two checkpoints
_WAL_SETTINGS = ("ALTER SYSTEM SET min_wal_size = '1536MB'", "ALTER SYSTEM SET max_wal_size = '4GB'")


@contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    """A running server that flushes to disk at each commit."""
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        with EmbeddedPostgres(Path(folder) / "postgres") as running:
            yield running


async def run_in(running: EmbeddedPostgres) -> None:
    """Give the server its WAL files."""
    connection = await _session(running)
    try:
        for statement in _WAL_SETTINGS:
            await connection.execute(statement)
        await connection.execute("SELECT pg_reload_conf()")
        for _ in range(WAL_FILES):  # a file that nothing was written to is not switched away from
            await connection.execute("SELECT pg_logical_emit_message(false, 'benchmarks', 'next')")
            await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def checkpoint(running: EmbeddedPostgres) -> None:
    """Write out what is left to be written, so that no benchmark pays for the one before it."""
    connection = await _session(running)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _session(running: EmbeddedPostgres) -> Connection:
    address = DatabaseAddress(str(running.socket_folder), running.port, running.user, "", "postgres")
    return await writer(address)()


async def fresh_database(running: EmbeddedPostgres, name: str) -> DatabaseAddress:
    """An empty database with today's schema."""
    await running.ensure_database(name)
    address = DatabaseAddress(str(running.socket_folder), running.port, running.user, "", name)
    connection = await writer(address)()
    try:
        await migrate(connection)
    finally:
        await connection.close()
    return address
