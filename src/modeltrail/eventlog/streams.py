"""Loading the state of streams: the newest snapshot of today's shape, and the events since."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Connection
from msgspec import Struct

from modeltrail.domain.decider import Decider
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import SQL

SNAPSHOT_EVERY = 100

_codec = Codec()  # deciding needs nobody's address
_write = msgspec.json.Encoder().encode


class Loaded(Struct, frozen=True):
    """A stream's state after `version` events."""

    state: Any  # Any: the state that belongs to the stream's decider
    version: int


async def load_streams(connection: Connection, streams: Mapping[UUID, Decider[Any, Any, Any]]) -> dict[UUID, Loaded]:
    """The state of each stream; one that has no events is in its decider's initial state.

    Raises UnreadableEventError.
    """
    loaded = {stream: Loaded(decider.initial, 0) for stream, decider in streams.items()}
    shapes = [decider.shape for decider in streams.values()]
    for row in await connection.fetch(SQL.load_streams, list(streams), shapes):
        stream, version = row["stream"], row["version"]
        decider = streams[stream]
        if row["topic"] is None:
            state = msgspec.json.decode(row["state"], type=decider.state_type)
        else:
            state = decider.evolve(loaded[stream].state, _codec.decode(row["topic"], row["state"]))
        loaded[stream] = Loaded(state, version)
    return loaded


Changed = Mapping[UUID, tuple[Decider[Any, Any, Any], Loaded, Loaded]]
"""Streams with their decider, and their state before and after."""


def due_snapshots(changed: Changed) -> dict[UUID, tuple[Decider[Any, Any, Any], Loaded]]:
    """The streams that have passed another hundred events, as they are now."""
    return {
        stream: (decider, after)
        for stream, (decider, before, after) in changed.items()
        if before.version // SNAPSHOT_EVERY != after.version // SNAPSHOT_EVERY
    }


async def save_snapshots(connection: Connection, due: Mapping[UUID, tuple[Decider[Any, Any, Any], Loaded]]) -> None:
    """Keep the state of each stream, in place of an older one. Commits nothing."""
    await connection.execute(
        SQL.save_snapshots,
        list(due),
        [after.version for _, after in due.values()],
        [decider.shape for decider, _ in due.values()],
        [_write(after.state) for _, after in due.values()],
    )
