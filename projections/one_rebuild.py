"""One rebuild at a time, and what is left of one that was stopped."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import Connection

from modeltrail.eventlog.keys import KeyRing
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Projection
from modeltrail.projections.rebuild import Rebuild, RebuildError
from modeltrail.projections.shadow import drop_shadows

SQL = Statements("modeltrail.projections", "rebuild.sql")
LOCK = 0x6D74_7265_6275_696C  # "mtrebuil": held by the session of the rebuild that runs

Connect = Callable[[], Awaitable[Connection]]


class RebuildUnderWayError(RebuildError):
    """Another process rebuilds; the message says which, and what."""


@asynccontextmanager
async def only_rebuild(
    connect: Connect,
    ring: KeyRing,
    projections: Sequence[Projection[Any]],  # Any: each has rows of its own
) -> AsyncGenerator[Rebuild, None]:
    """A rebuild, while no other one runs on this database. Raises RebuildUnderWayError."""
    guard = await connect()
    try:
        work = await connect()
        try:
            for connection in (guard, work):
                await connection.execute(_SETTINGS)
            if not await guard.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                raise RebuildUnderWayError(await _who(work))
            yield Rebuild(guard, work, ring, projections)
        finally:
            work.terminate()
    finally:
        guard.terminate()  # abruptly: a statement that is under way must not keep the lock


_SETTINGS = """
SET application_name = 'modeltrail rebuild'; SET statement_timeout = 0; SET idle_session_timeout = 0;
SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = on; SET enable_hashjoin = on;
SET plan_cache_mode = auto; SET maintenance_work_mem = '256MB'
"""


async def _who(connection: Connection) -> str:
    row = await connection.fetchrow(SQL.get_rebuild)
    if row is None:
        return "another rebuild has just begun on this database; wait until it is done"
    return (
        f"process {row['pid']} on {row['host']} rebuilds {', '.join(row['names'])} since"
        f" {row['started_at']:%Y-%m-%d %H:%M:%S} UTC; wait until it is done, or stop it"
    )


async def stopped_names(connection: Connection) -> list[str]:
    """What the rebuild that was stopped was about; empty when there is none."""
    row = await connection.fetchrow(SQL.get_rebuild)
    return [] if row is None else list(row["names"])


async def forget_stopped_rebuild(connection: Connection) -> None:
    """In a transaction: throw away the shadow tables that nobody works on. One who does, finds out what happened."""
    if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
        await drop_shadows(connection)
        await connection.execute(SQL.delete_rebuild)
