"""Reading the log for people: pages of events with names instead of bytes."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Connection, Record
from msgspec import Struct

from modeltrail.domain.personal import Personal
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import CHANNEL, SQL, read_head
from modeltrail.eventlog.people import PersonKeys
from modeltrail.eventlog.record import Actor, System

ERASED = "(erased)"
WAIT_SECONDS = 2.0


class ShownEvent(Struct, frozen=True):
    """An event as it is shown. `data` is the payload as it is stored: people's addresses in it stay sealed."""

    position: int
    stream: UUID
    stream_version: int
    type: str
    project_id: UUID
    recorded_at: datetime
    actor: str | None
    request_id: str
    causation_id: int | None
    data: dict[str, Any]  # Any: the JSON of any event


class LogReader:
    """Pages through the log over one connection. Without `people`, actors who are persons are not named."""

    def __init__(self, connection: Connection, people: PersonKeys | None) -> None:
        self._connection = connection
        self._people = people
        self._codec = Codec() if people is None else Codec(people.open)

    async def last(self, limit: int, *, stream: UUID | None = None) -> list[ShownEvent]:
        """The newest `limit` events, oldest first; of one stream if it is given."""
        if stream is None:
            return await self._show(await self._connection.fetch(SQL.list_last_events, limit))
        return await self._show(await self._connection.fetch(SQL.list_last_events_of_stream, limit, stream))

    async def after(self, position: int, limit: int, *, stream: UUID | None = None) -> list[ShownEvent]:
        """The oldest `limit` events behind `position`, of one stream if it is given."""
        if stream is None:
            return await self._show(await self._connection.fetch(SQL.list_events_after, position, limit))
        return await self._show(await self._connection.fetch(SQL.list_events_of_stream_after, position, limit, stream))

    async def wait(self, position: int) -> None:
        """Return when there may be events behind `position`, after two seconds at the latest."""
        appended = asyncio.Event()

        def ring(*_notification: object) -> None:
            appended.set()

        await self._connection.add_listener(CHANNEL, ring)
        try:
            # Looked at only now, so that what came between the caller's look and ours is not waited for.
            head = await read_head(self._connection)
            if head.position <= position:
                await asyncio.wait_for(appended.wait(), WAIT_SECONDS)
        except TimeoutError:
            pass
        finally:
            await self._connection.remove_listener(CHANNEL, ring)

    async def _show(self, rows: Collection[Record]) -> list[ShownEvent]:
        if self._people is not None:
            await self._people.learn(_persons(rows))
        return [
            ShownEvent(
                position=row["notification_id"],
                stream=row["originator_id"],
                stream_version=row["originator_version"],
                type=row["topic"],
                project_id=row["project_id"],
                recorded_at=row["recorded_at"],
                actor=_name(self._codec.decode_actor(row["actor"])),
                request_id=row["request_id"],
                causation_id=row["causation_id"],
                data=msgspec.json.decode(row["state"]),
            )
            for row in rows
        ]


def _persons(rows: Iterable[Record]) -> set[UUID]:
    sealed = Codec()
    actors = (sealed.decode_actor(row["actor"]) for row in rows)
    return {actor.person for actor in actors if isinstance(actor, Personal)}


def _name(actor: Actor | None) -> str | None:
    match actor:
        case None:
            return None
        case System(system=system):
            return system
        case Personal(text=text):
            return text or ERASED
