"""Loading the state of streams: the newest snapshot of today's shape, and the events since."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import structlog
from asyncpg import Connection
from msgspec import Struct

from modeltrail.domain.decider import Decider
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import SQL

SNAPSHOT_EVERY = 100
NO_SHAPE = -1  # no snapshot has it

_log = structlog.get_logger(__name__)
_codec = Codec()  # deciding needs nobody's address
_write = msgspec.json.Encoder().encode


class UnusableSnapshotError(Exception):
    """A snapshot that says it has today's shape and has not."""


class Loaded(Struct, frozen=True):
    """A stream's state after `version` events."""

    state: Any  # Any: the state that belongs to the stream's decider
    version: int


async def load_streams(connection: Connection, streams: Mapping[UUID, Decider[Any, Any, Any]]) -> dict[UUID, Loaded]:
    """The state of each stream; one that has no events is in its decider's initial state.

    Raises UnreadableEventError.
    """
    shapes = {stream: decider.shape for stream, decider in streams.items()}
    try:
        return await _load(connection, streams, shapes)
    except UnusableSnapshotError:
        return await _load(connection, streams, dict.fromkeys(streams, NO_SHAPE))


async def _load(
    connection: Connection, streams: Mapping[UUID, Decider[Any, Any, Any]], shapes: Mapping[UUID, int]
) -> dict[UUID, Loaded]:
    loaded = {stream: Loaded(decider.initial, 0) for stream, decider in streams.items()}
    for row in await connection.fetch(SQL.load_streams, list(shapes), list(shapes.values())):
        stream, version = row["stream"], row["version"]
        decider = streams[stream]
        if row["topic"] is None:
            state = _read_snapshot(decider, row["state"])
        else:
            state = decider.evolve(loaded[stream].state, _codec.decode(row["topic"], row["state"]))
        loaded[stream] = Loaded(state, version)
    return loaded


def _read_snapshot(decider: Decider[Any, Any, Any], state: bytes) -> object:
    try:
        return msgspec.json.decode(state, type=decider.state_type)
    except msgspec.MsgspecError as error:
        _log.warning("a snapshot cannot be read; folding all events instead", aggregate=decider.name, error=str(error))
        raise UnusableSnapshotError from error


Changed = Mapping[UUID, tuple[Decider[Any, Any, Any], Loaded, Loaded]]
"""Streams with their decider, and their state before and after."""


def due_snapshots(changed: Changed) -> dict[UUID, tuple[Decider[Any, Any, Any], Loaded]]:
    """The streams that have passed another hundred events, as they are now."""
    return {
        stream: (decider, after)
        for stream, (decider, before, after) in changed.items()
        if before.version // SNAPSHOT_EVERY != after.version // SNAPSHOT_EVERY
    }


def columns_of(due: Mapping[UUID, tuple[Decider[Any, Any, Any], Loaded]]) -> list[list[Any]]:
    """The arguments of `save_snapshots`, which keeps the state of each stream in place of an older one."""
    return [
        list(due),
        [after.version for _, after in due.values()],
        [decider.shape for decider, _ in due.values()],
        [_write(after.state) for _, after in due.values()],
    ]
