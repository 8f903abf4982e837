"""Reading the log for people: pages of events with names instead of bytes."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from asyncpg import Connection, Record
from msgspec import Meta, Struct

from modeltrail.domain.personal import Personal
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import CHANNEL, read_after, read_head
from modeltrail.eventlog.people import PersonKeys
from modeltrail.eventlog.record import Actor, System
from modeltrail.eventlog.selection import Selection, read_newest, read_oldest, read_oldest_within

RELATED = 1_000
ERASED = "(erased)"
SEALED = "(sealed)"
WAIT_SECONDS = 2.0


class ShownEvent(Struct, frozen=True):
    """An event as it is shown. `data` is the payload as it is stored: people's addresses in it stay sealed.

    `actor` is a person's address, `(erased)` for one whose key is gone, `(sealed)` for one whose key is there but
    cannot be used here, or a part of modeltrail such as `deploy-worker`.
    """

    position: int
    stream: UUID
    stream_version: int
    type: str
    project_id: UUID
    recorded_at: Annotated[datetime, Meta(tz=True)]
    actor: str | None
    request_id: str
    causation_id: int | None
    data: dict[str, Any]  # Any: the JSON of any event


class Relatives(Struct, frozen=True):
    """Events that belong together, oldest first; where there are too many, only the oldest, and `are_more`."""

    events: tuple[ShownEvent, ...]
    are_more: bool = False


class LogReader:
    """Pages through the log over one connection."""

    def __init__(self, connection: Connection, people: PersonKeys) -> None:
        self._connection = connection
        self._people = people
        self._codec = Codec(people.open)

    async def after(self, position: int, limit: int) -> list[ShownEvent]:
        """The oldest `limit` events after `position`."""
        return await self._show(await read_after(self._connection, position, limit))

    async def newest(self, selection: Selection, limit: int) -> list[ShownEvent]:
        """The newest `limit` events of a selection, oldest first."""
        return await self._show(await read_newest(self._connection, selection, limit))

    async def oldest(self, selection: Selection, limit: int) -> list[ShownEvent]:
        """The oldest `limit` events of a selection, oldest first."""
        return await self._show(await read_oldest(self._connection, selection, limit))

    async def oldest_within(self, selection: Selection, limit: int, size: int) -> list[ShownEvent]:
        """The same, or as many of them as begin within `size` bytes: one at least."""
        return await self._show(await read_oldest_within(self._connection, selection, limit, size))

    async def related(self, position: int, until: int | None = None) -> Relatives:
        """The event at a position, all that came of the same request, and what those caused, up to `until`.

        Empty when there is no such event.
        """
        rows = {row["notification_id"]: row for row in await self._at(position)}
        if not rows:
            return Relatives(())
        event, are_more = rows[position], False
        if event["request_id"]:
            same = Selection(project=event["project_id"], request_id=event["request_id"], until=until)
            found, are_more = await self._others(same, rows)
            rows |= found
        while (cause := rows[min(rows)]["causation_id"]) is not None and cause not in rows:
            causes = await self._at(cause)
            if not causes:
                break
            rows[cause] = causes[0]
        asked: set[int] = set()
        while unasked := rows.keys() - asked:
            asked |= unasked
            found, are_more_effects = await self._others(Selection(causes=tuple(unasked), until=until), rows)
            rows |= found
            are_more |= are_more_effects
        return Relatives(tuple(await self._show([rows[each] for each in sorted(rows)])), are_more)

    async def _others(self, selection: Selection, known: Collection[int]) -> tuple[dict[int, Record], bool]:
        """The oldest RELATED events that are not `known`, by position, and whether there are more."""
        found = await read_oldest(self._connection, selection, RELATED + len(known) + 1)
        others = [row for row in found if row["notification_id"] not in known]
        return {row["notification_id"]: row for row in others[:RELATED]}, len(others) > RELATED

    async def _at(self, position: int) -> list[Record]:
        return await read_oldest(self._connection, Selection(after=position - 1, until=position), 1)

    async def end(self) -> int:
        """The newest event's position."""
        return (await read_head(self._connection)).position

    async def wait(self, position: int) -> None:
        """Return when there may be events after `position`, after two seconds at the latest."""
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
        await self._people.learn(_persons(rows))
        return [
            ShownEvent(
                position=row["notification_id"],
                stream=row["originator_id"],
                stream_version=row["originator_version"],
                type=row["topic"],
                project_id=row["project_id"],
                recorded_at=row["recorded_at"],
                actor=name_of(self._codec.decode_actor(row["actor"]), self._people),
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


def name_of(actor: Actor | None, people: PersonKeys) -> str | None:
    """What somebody is called: a person's address, or why it is not told; or a part of modeltrail."""
    match actor:
        case None:
            return None
        case System(system=system):
            return system
        case Personal(text=None, person=person):
            return ERASED if people.is_gone(person) else SEALED
        case Personal(text=text):
            return text
