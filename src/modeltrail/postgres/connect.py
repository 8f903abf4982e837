"""Connections as all of modeltrail uses them: JSON as raw bytes, times in UTC, bounded waiting."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from asyncpg import Connection, Pool, Record
from asyncpg.exceptions import InterfaceError, InternalClientError
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy
from msgspec import Struct

WRITER_SETTINGS = {
    "application_name": "modeltrail writer",
    "timezone": "UTC",
    # A writer that waits longer is better told so than left in a queue that nobody drains.
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    # A writer holds the log's lock between its statements: one that stands still there must not keep out the others.
    "idle_session_timeout": "60s",
    # The same for one whose machine is gone without a word.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    # Whoever has waited for the lock must see what was committed meanwhile, whatever the database's own default.
    "default_transaction_isolation": "read committed",
    # A writer looks rows up by key and nothing else. Without these, a table that grew since its last ANALYZE is
    # read as a whole for each batch: measured 1.7 ms at 10,000 rows where the index takes 0.1.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
READER_SETTINGS = {
    "application_name": "modeltrail reader",
    "timezone": "UTC",
    "statement_timeout": "30s",
    "jit": "off",
}
# Seconds for which a prepared statement, and so its plan, is kept: a plan made for a small table must not be used for
# long after that has grown.
PLAN_SECONDS = 10
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
# Longer than the server's own limits: it is for a network that swallows everything.
STATEMENT_SECONDS = 40.0
# For the API, whose statements are short: a caller waits for each.
READ_SECONDS = 10.0
# After which a caller of the API is told that the database does not answer: by then a read that hangs has been given
# up, and so has the wait for a lock.
ANSWER_SECONDS = READ_SECONDS + CLOSE_SECONDS

# Errors after which the connection is of no use, and the outcome of what was under way is unknown.
LOST = (
    OSError,
    InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    # What a statement raises that follows a FATAL message so closely that asyncpg has not closed the connection yet.
    InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
)

# Errors of a server in trouble, whatever was asked of it: asked again later, it may do it.
TROUBLE = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TransactionRollbackError,  # deadlocks, for one
    asyncpg.InsufficientResourcesError,  # of disk or memory
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or a primary that has become one
)

_HUNG_UP = "unexpected connection_lost() call"  # of a server that hangs up before its first word

Reads = Connection | Pool
"""What a query can be sent to."""


class DatabaseAddress(Struct, frozen=True):
    """How to reach the database. `ssl` is a libpq sslmode."""

    host: str
    port: int
    user: str
    password: str
    database: str
    ssl: str = "disable"

    def __repr__(self) -> str:
        """Without the password."""
        return f"DatabaseAddress({self.user}@{self.host}:{self.port}/{self.database})"


def is_lost(error: BaseException) -> bool:
    """Whether `error` means that the connection is gone. A value that asyncpg cannot send is not that."""
    return isinstance(error, LOST) and not isinstance(error, ValueError)


def is_passing(error: BaseException) -> bool:
    """Whether `error` is of the connection or of the server, and what was asked may be asked again as it is."""
    return is_lost(error) or isinstance(error, TROUBLE)


def reason_of(error: Exception) -> str:
    """Why a connection could not be made, or was lost, in the words of the operating system."""
    if isinstance(error, InternalClientError) or str(error) == _HUNG_UP:
        return "connection was closed in the middle of operation"  # as asyncpg says else
    # A name with several addresses gives one error that quotes all of them and has no number of its own.
    number = re.search(r"\[Errno (\d+)\]", str(error))
    return os.strerror(int(number[1])) if number else " ".join(str(error).split()) or type(error).__name__


def _as_is(value: bytes) -> bytes:
    return value


async def prepare(connection: Connection) -> None:
    """Let JSON pass through as bytes, in both directions: reading it decoded costs a third of the throughput."""
    await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=_as_is, decoder=_as_is)


async def close(connection: Connection) -> None:
    """Close politely, or else abruptly: a database that does not answer must not keep us."""
    if connection.is_closed():
        return
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except Exception as error:
        if not is_lost(error):
            raise
        connection.terminate()


@asynccontextmanager
async def opened(connect: Callable[[], Awaitable[Connection]], settings: str) -> AsyncGenerator[Connection, None]:
    """A connection with these settings, which is closed with the block."""
    connection = await connect()
    try:
        await connection.execute(settings)
        yield connection
    finally:
        await close(connection)


def _place(address: DatabaseAddress) -> dict[str, Any]:  # Any: arguments of several types
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database": address.database,
        "ssl": address.ssl,
        "timeout": CONNECT_SECONDS,
    }


def writer(
    address: DatabaseAddress, *, statement_seconds: float | None = STATEMENT_SECONDS
) -> Callable[[], Awaitable[Connection]]:
    """A function that opens a connection for writing to the log.

    A statement without an answer after `statement_seconds` counts as a lost connection.
    """

    async def connect() -> Connection:
        connection: Connection = await asyncpg.connect(
            **_place(address),
            command_timeout=statement_seconds,
            server_settings=WRITER_SETTINGS,
        )
        await prepare(connection)
        return connection

    return connect


async def _keep(_connection: Connection) -> None:
    """Nothing to reset: our readers leave no session state. The default costs a round trip per query."""


class _PatientPool(Pool):
    """Waits for a connection no longer than for a statement, and hardly at all for one that goes back and hangs.

    asyncpg waits for ever for the first, and for the second until the server says that it has given the statement up.
    """

    def __init__(self, *, seconds: float, **options: Any) -> None:  # noqa: ANN401 arguments of several types
        super().__init__(command_timeout=seconds, **options)
        self._seconds = seconds

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        context: PoolAcquireContext = super().acquire(timeout=self._seconds if timeout is None else timeout)
        return context

    async def release(self, connection: PoolConnectionProxy, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        with suppress(TimeoutError):  # it is closed then
            await super().release(connection, timeout=CLOSE_SECONDS if timeout is None else timeout)


async def open_pool(
    address: DatabaseAddress,
    *,
    smallest: int = 1,
    largest: int = 10,
    lifetime_seconds: float = 300.0,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Pool:
    """A pool of connections for reading and for small statements of their own.

    A statement without an answer after `statement_seconds` counts as a lost connection, and so does a connection that
    takes as long to come by.
    """
    pool: Pool = await _PatientPool(
        **_place(address),
        seconds=statement_seconds,
        server_settings=READER_SETTINGS,
        max_cached_statement_lifetime=PLAN_SECONDS,
        min_size=min(smallest, largest),
        max_size=largest,
        max_queries=50_000,
        max_inactive_connection_lifetime=lifetime_seconds,
        init=prepare,
        reset=_keep,
        loop=None,
        connection_class=Connection,
        record_class=Record,
    )
    return pool
