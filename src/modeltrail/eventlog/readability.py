"""Whether today's code can read what was stored by all that came before it."""

from collections.abc import Callable

from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog.codec import Codec, UnreadableEventError
from modeltrail.eventlog.log import read_after, read_head

PAGE = 2_000
SHOWN = 100  # unreadable events that are kept to be shown; all are counted


class Unreadable(Struct, frozen=True):
    """An event that cannot be read. `reason` quotes no value of it."""

    position: int
    type: str
    reason: str


class Readability(Struct, frozen=True):
    """How many events there are, how many cannot be read, and the first of those."""

    events: int
    unreadable: int
    first: list[Unreadable]


async def check_log(connection: Connection, on_progress: Callable[[int, int], None]) -> Readability:
    """Read every event with today's shapes and upcasters. Memory does not grow with the log."""
    codec, end = Codec(), (await read_head(connection)).position
    position, events, unreadable = 0, 0, 0
    first: list[Unreadable] = []
    while rows := await read_after(connection, position, PAGE):
        for row in rows:
            try:
                codec.decode(row["topic"], row["state"])
                codec.decode_actor(row["actor"])
            except (UnreadableEventError, ValueError, TypeError, KeyError) as error:
                unreadable += 1
                if len(first) < SHOWN:
                    first.append(Unreadable(row["notification_id"], row["topic"], str(error)))
        events += len(rows)
        position = rows[-1]["notification_id"]
        on_progress(position, max(position, end))
    return Readability(events, unreadable, first)
