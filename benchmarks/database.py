"""The PostgreSQL that the benchmarks run on: an own one with ordinary durability, in a temporary folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.migrate import migrate


@contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    """A running server that flushes to disk at each commit."""
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        with EmbeddedPostgres(Path(folder) / "postgres") as running:
            yield running


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
