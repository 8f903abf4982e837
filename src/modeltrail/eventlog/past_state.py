"""What a stream amounted to at a moment: its events up to then, folded by its decider."""

from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Connection
from msgspec import Struct

from modeltrail.domain import decider
from modeltrail.domain.decider import Decider
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.selection import Selection, later_than, read_oldest

PAGE = 1_000

_DECIDERS: dict[str, Decider[Any, Any, Any]] = {  # Any: each has messages and states of its own
    each.name: each
    for each in (
        decider.REGISTERED_MODEL,
        decider.MODEL_VERSION,
        decider.SERVING_ENVIRONMENT,
        decider.INFERENCE_SERVICE,
    )
}


class PastState(Struct, frozen=True):
    """The state as JSON. `version` counts the stream's events, `position` is the last of them."""

    stream: UUID
    aggregate: str
    version: int
    position: int
    state: dict[str, Any]  # Any: JSON


async def state_at(connection: Connection, stream: UUID, position: int) -> PastState | None:
    """The state after the event at `position`, or the last of the stream before; None when there was none.

    Raises UnreadableEventError.
    """
    codec, selection = Codec(), Selection(streams=(stream,), until=position)
    folding: Decider[Any, Any, Any] | None = None  # Any: the same
    state, version, last = None, 0, 0
    while rows := await read_oldest(connection, selection, PAGE):
        for row in rows:
            event = codec.decode(row["topic"], row["state"])
            if folding is None:
                folding = _DECIDERS.get(row["topic"].partition(".")[0])
                if folding is None:
                    return None
                state = folding.initial
            state, version = folding.evolve(state, event), row["originator_version"]
        last = rows[-1]["notification_id"]
        selection = later_than(selection, last)
    if folding is None:
        return None
    return PastState(stream, folding.name, version, last, msgspec.to_builtins(state))


def differences(before: PastState | None, after: PastState | None) -> dict[str, tuple[object, object]]:
    """The fields that differ, with their values before and after; None for a field that is not there."""
    old, new = (each.state if each else {} for each in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}
