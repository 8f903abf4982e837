"""The log as projections read it anew: events with people's addresses, as far as their keys are there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from asyncpg import Record

from modeltrail.domain.ids import ProjectId
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.people import PersonKeys, persons_in
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.eventlog.selection import Selection, later_than, read_oldest
from modeltrail.postgres.connect import Reads
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.projections", "history.sql")
PAGE = 5_000


class History:
    """Reads the log and the keys over one connection, so that a snapshot of it holds for both. Actors are left out.

    Without a `ring`, addresses stay sealed: for projections that show none.
    """

    def __init__(self, connection: Reads, ring: KeyRing | None) -> None:
        self._connection = connection
        self._people = None if ring is None else PersonKeys(connection, ring)
        self._codec = Codec() if self._people is None else Codec(self._people.open)

    async def after(self, position: int, limit: int = PAGE) -> list[Recorded]:
        """Up to `limit` events after `position`, oldest first. Raises UnreadableEventError."""
        rows = await self._connection.fetch(SQL.list_history_after, position, limit)
        await self._meet(rows)
        return [self._recorded(row) for row in rows]

    async def selected(self, selection: Selection, at_once: int) -> AsyncIterator[list[Recorded]]:
        """The events of a selection, oldest first, `at_once` at a time. Raises UnreadableEventError."""
        # Of chosen streams all events are sorted for each page: few pages.
        while rows := await read_oldest(self._connection, selection, PAGE):
            await self._meet(rows)
            for first in range(0, len(rows), at_once):
                yield [
                    self._recorded((*row[:7], *row[8:11])) for row in rows[first : first + at_once]
                ]  # no actor, hash
                await asyncio.sleep(0)
            if len(rows) < PAGE:
                return
            selection = later_than(selection, rows[-1]["notification_id"])

    async def pages(self, after: int = 0, until: int | None = None) -> AsyncIterator[list[Recorded]]:
        """All events after position `after`, a page at a time; none after `until`."""
        while page := await self.after(after):
            after = page[-1].position
            if until is not None and after >= until:
                yield [recorded for recorded in page if recorded.position <= until]
                return
            yield page

    async def _meet(self, rows: Sequence[Record]) -> None:
        if self._people is not None and (persons := persons_in(row["state"] for row in rows)):
            await self._people.learn(persons)

    def _recorded(self, row: Record | tuple[Any, ...]) -> Recorded:  # Any: columns of several types
        position, stream, version, topic, state, project, recorded_at, request_id, command_id, causation_id = row
        context = Context(ProjectId(project), command_id, request_id, None, causation_id)
        return Recorded(position, stream, version, self._codec.decode(topic, state), recorded_at, context)
