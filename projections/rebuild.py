"""Building read tables anew from the log while reads and writes go on; see docs/adr."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import lock_log, read_head, unlock_log
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.checkpoint import Checkpoint, OtherVersionError
from modeltrail.projections.comparison import Difference, Differences, compare_with_shadow
from modeltrail.projections.filling import Filling, PersonWasErasedError, Progress, check_erasures
from modeltrail.projections.following import follow
from modeltrail.projections.history import PAGE, History
from modeltrail.projections.projection import Projection
from modeltrail.projections.shadow import SCHEMA, drop_shadows, finish_shadow, make_room, make_shadow, shadow_tables
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.projections", "rebuild.sql")
NEAR = 500  # events: so few are applied under the log's lock
SWAPS = 30
# Shorter than deadlock_timeout, and than anybody would call an outage: readers queue behind a lock that is waited for.
LOCK_WAIT = "SET LOCAL lock_timeout = '300ms'"


class RebuildError(Exception):
    """A rebuild cannot go on; the message says why, and what to do."""


class Rebuilt(Struct, frozen=True):
    """What was built, of how many events, and where the log ended at the swap."""

    names: tuple[str, ...]
    events: int
    position: int


class Rebuild:
    """One rebuild, whose connections hold its lock: the first for itself, the second for its work."""

    def __init__(self, guard: Connection, work: Connection, ring: KeyRing, projections: Sequence[Any]) -> None:
        self._guard = guard
        self._work = work
        self._ring = ring
        self._projections: Sequence[Projection[Any]] = projections  # Any: each has rows of its own
        self._shadows = shadow_tables(projections)
        self._token = uuid4()
        self._live = "public"
        self._position = 0
        self._filled = False
        self._began_at = 0
        self.events = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The tables."""
        return tuple(projection.name for projection in self._projections)

    async def build(self, on_progress: Progress, *, resume: bool) -> None:
        """Fill the shadow tables and let them catch up, or go on with those of a rebuild that was stopped.

        `on_progress` is told first when there is something to go on with.
        """
        self._live = await self._work.fetchval("SELECT quote_ident(current_schema())")
        stored = await self._work.fetchrow(SQL.get_rebuild)
        versions = [projection.version for projection in self._projections]
        if resume and stored is not None and (stored["names"], stored["versions"]) == ([*self.names], versions):
            self._position, self._filled, self._began_at = stored["position"], stored["filled"], stored["began_at"]
            if not self._filled and await self._work.fetchval(SQL.is_any_finished):
                await self._begin()  # stopped between the two commits of `_finish`
            else:
                await self._sign()
        else:
            await self._begin()
        on_progress(self._position, max(self._began_at, 1))
        await self._follow(on_progress)

    async def swap(self, on_progress: Progress) -> Rebuilt:
        """Put the shadow tables in the place of the read tables, in one short transaction. Raises RebuildError."""
        for attempt in range(SWAPS):
            await self._follow(on_progress)
            try:
                await self._try_swap()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(0.1 * (attempt + 1))  # somebody reads for long: let others through meanwhile
            except PersonWasErasedError:
                await self._begin()
            else:
                return Rebuilt(self.names, self.events, self._position)
        raise RebuildError(
            "the read tables were in use without a pause (a dump, or a long query); nothing was swapped:"
            " try again with: modeltrail projections rebuild --resume"
        )

    @asynccontextmanager
    async def frozen(self, on_progress: Progress) -> AsyncGenerator[Connection, None]:
        """A connection that sees shadow and read tables at the same position, while writes go on."""
        await self._catch_up()
        await self._follow(on_progress)
        await lock_log(self._work, held=False)
        try:
            await self._catch_up()
            async with self._work.transaction():
                await self._apply_rest()
            transaction = self._guard.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            await self._guard.fetchval("SELECT 1")  # the first statement takes the snapshot
        finally:
            await unlock_log(self._work)
        try:
            yield self._guard
        finally:
            await transaction.rollback()

    async def differences(self, on_progress: Progress) -> list[Difference]:
        """The first columns in which live and shadow tables differ: what is expected is in the shadow."""
        found = Differences()
        async with self.frozen(on_progress) as connection:
            for projection in self._projections:
                live, shadow = (f"{schema}.{projection.name}" for schema in (self._live, SCHEMA))
                await compare_with_shadow(connection, projection, live, shadow, found)
        return found.first

    async def _begin(self) -> None:
        """Throw away what there is, and make empty shadow tables."""
        async with self._work.transaction():
            await drop_shadows(self._work)
            await make_room(self._work)
            for name in self.names:
                await make_shadow(self._work, self._live, name)
            self._position, self._filled = 0, False
            self._began_at = (await read_head(self._work)).position
            await self._sign()

    async def _fill(self, on_progress: Progress) -> None:
        before = self._position
        # Without their unique names: those are only true again at the end, when the index is made.
        tables = [Table(replace(table.projection, unique=())) for table in self._shadows]
        filling = Filling(self._guard, self._work, self._ring, tables, self._move_to)
        self._position = await filling.run(before, self._began_at, on_progress)
        await self._finish()
        self.events += self._position - before

    async def _finish(self) -> None:
        """Give the tables their indexes and all else, over both connections: PostgreSQL uses a core for each."""
        unfinished = deque(self._projections)

        async def finish_some(connection: Connection) -> None:
            while unfinished:
                await finish_shadow(connection, self._live, unfinished.popleft())

        async with self._work.transaction():
            async with self._guard.transaction():
                other = asyncio.create_task(finish_some(self._guard))
                try:
                    await finish_some(self._work)
                    await other
                finally:
                    other.cancel()
                    await asyncio.gather(other, return_exceptions=True)
            self._filled = True
            await self._move_to(self._position)

    async def _sign(self) -> None:
        """Write down who works on the shadow tables, and how far they are, so that a second can be told."""
        await self._work.execute(
            SQL.save_rebuild,
            self._token,
            self.names,
            [projection.version for projection in self._projections],
            self._position,
            self._filled,
            self._began_at,
            socket.gethostname(),
            os.getpid(),
        )

    async def _catch_up(self) -> None:
        """Let those tables that follow the log by themselves do so. Raises RebuildError."""
        for projection in self._projections:
            if projection.mode == "async":
                try:
                    await Checkpoint(self._work, projection).catch_up()
                except OtherVersionError as error:
                    raise RebuildError(f"{error}; there is nothing to compare with") from error

    async def _follow(self, on_progress: Progress) -> None:
        """Fill the tables unless they are, and apply what came since, until only few events are left."""
        while True:
            try:
                if not self._filled:
                    await self._fill(on_progress)
                while await self._step(PAGE) >= NEAR:
                    on_progress(self._position, self._position + NEAR)
            except PersonWasErasedError:
                await self._begin()
            else:
                return

    async def _step(self, limit: int) -> int:
        """Apply up to `limit` events, in a transaction of their own; how many there were."""
        events = await self._next(limit)
        if not events:
            return 0
        try:
            async with self._work.transaction():
                await self._apply(events)
        except asyncpg.UniqueViolationError:
            # Names that went in a circle within one page cannot be saved by one statement.
            if len(events) == 1:
                raise
            return await self._step(len(events) // 2) + NEAR
        return len(events)

    async def _apply_rest(self) -> None:
        """Under the log's lock: whatever is still missing."""
        while await self._step(PAGE):
            pass

    async def _next(self, limit: int) -> list[Recorded]:
        events = await History(self._work, self._ring).after(self._position, limit)
        check_erasures(events, self._began_at)
        return events

    async def _apply(self, events: Sequence[Recorded]) -> None:
        await follow(self._work, self._shadows, events)
        await self._move_to(events[-1].position)
        self._position = events[-1].position
        self.events += len(events)

    async def _move_to(self, position: int) -> None:
        if not await self._work.fetchval(SQL.move_rebuild, self._token, position, self._filled):
            raise RebuildError("another rebuild has begun meanwhile, so this one was given up; nothing was swapped")

    async def _try_swap(self) -> None:
        try:
            async with self._work.transaction():
                await self._keep_vacuum_out()
                await lock_log(self._work, held=False)
                await self._work.execute(LOCK_WAIT)
                await self._replace()
        finally:
            if not self._work.is_closed():
                await unlock_log(self._work)

    async def _keep_vacuum_out(self) -> None:
        """Autovacuum gives way to whoever has waited a second for a lock that it is in the way of.

        Readers would queue behind the swap's own lock for as long; behind this one neither they nor writers do.
        """
        await self._work.execute(f"LOCK TABLE {self._live_tables} IN SHARE UPDATE EXCLUSIVE MODE")

    @property
    def _live_tables(self) -> str:
        return ", ".join(f"{self._live}.{name}" for name in self.names)

    async def _replace(self) -> None:
        # In the order in which an async projection takes its locks (checkpoint, then table), so that neither deadlocks.
        await self._work.fetch(SQL.lock_projections, self.names)
        await self._work.execute(f"LOCK TABLE {self._live_tables} IN ACCESS EXCLUSIVE MODE")
        position = self._position
        try:
            await self._apply_rest()
            await self._move_to(self._position)
            for projection in self._projections:
                name = projection.name
                await self._work.execute(f"DROP TABLE {self._live}.{name}")
                await self._work.execute(f"ALTER TABLE {SCHEMA}.{name} SET SCHEMA {self._live}")
                await self._work.execute("DELETE FROM row_counts WHERE source = $1", name)
                await self._work.execute(
                    "UPDATE row_counts SET source = $1 WHERE source = $2", name, f"{SCHEMA}.{name}"
                )
                is_async = projection.mode == "async"
                await self._work.execute(SQL.save_projection, name, projection.version, self._position, is_async)
            await self._work.execute(SQL.delete_rebuild)
        except BaseException:
            self._position = position  # the transaction that went further is rolled back
            raise
