"""What all parts open first: the database, and the keys of what is encrypted in it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from asyncpg import Connection, Pool

from modeltrail.environment import SettingsError
from modeltrail.eventlog.keys import KeyRing
from modeltrail.postgres.connect import STATEMENT_SECONDS, DatabaseAddress, close, open_pool, writer
from modeltrail.secret_keys import KEYS_FILE_VARIABLE, KEYS_VARIABLE
from modeltrail.settings import Settings


def address_of(settings: Settings) -> DatabaseAddress:
    """Where the database is, and how to log in."""
    return DatabaseAddress(**settings.database.connect_arguments())


@asynccontextmanager
async def open_connection(address: DatabaseAddress) -> AsyncGenerator[Connection, None]:
    """A connection of its own, for a while."""
    connection = await writer(address)()
    try:
        yield connection
    finally:
        await close(connection)


async def open_pool_in(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    smallest: int,
    largest: int,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Pool:
    """A pool that `stack` closes, abruptly when it takes too long."""
    pool = await open_pool(
        address_of(settings),
        smallest=smallest,
        largest=largest,
        lifetime_seconds=settings.database.conn_max_lifetime.total_seconds(),
        statement_seconds=statement_seconds,
    )
    stack.push_async_callback(_close, pool)
    return pool


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(2.0):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def key_ring(settings: Settings) -> KeyRing:
    """The keys that encrypt. Raises SettingsError when none is configured."""
    if not settings.secret_keys:
        raise SettingsError(
            f"no secret key is configured, and personal data is kept only encrypted: set {KEYS_VARIABLE}, or name a"
            f" file in {KEYS_FILE_VARIABLE}; a new key is a line such as {_example()}"
        )
    return KeyRing([(each.id, each.key) for each in settings.secret_keys])


def _example() -> str:
    return "main:$(head -c 32 /dev/urandom | base64)"
