"""The log itself: appending to it, and reading it back in commit order."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg import Connection, Record
from msgspec import Struct

from modeltrail.domain.ids import ProjectId
from modeltrail.eventlog import chain
from modeltrail.eventlog.codec import Codec, encode, encode_actor, topic_of
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.postgres.connect import Reads
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "log.sql")
CHANNEL = "modeltrail_events"
LOCK = 0x6D6F64656C747261  # "modeltra": the advisory lock that a writer of the log holds for a few batches
PAGE = 1000


class Head(Struct, frozen=True):
    """The newest event: what the next one is chained to.

    To the holder of the lock, `last_erasure` says where the newest erasure of a person is, 0 when there is none; and
    `filled_by` which version of its code fills each read table, as "name version".
    """

    position: int = 0
    hash: bytes = chain.GENESIS
    recorded_at: datetime = datetime.min.replace(tzinfo=UTC)
    last_erasure: int = 0
    filled_by: Sequence[str] = ()


async def lock_log(connection: Connection, *, held: bool) -> Head:
    """Wait for the writers before, and tell where the log ends. The session holds the lock until `unlock_log`.

    With `held`, give the lock up first, so that writers who wait for it are not kept out by a busy one.
    """
    row = await connection.fetchrow(SQL.lock_log, LOCK, held)
    return Head(filled_by=row["filled_by"]) if row["notification_id"] is None else Head(*row)


async def unlock_log(connection: Connection) -> None:
    """Let the next writer in. What was written must be committed."""
    await connection.execute(SQL.unlock_log)


async def read_head(connection: Reads) -> Head:
    """The newest event's position, hash and time."""
    rows = await connection.fetch(SQL.get_head)
    return Head(rows[0]["notification_id"], rows[0]["hash"], rows[0]["recorded_at"]) if rows else Head()


def columns_of(head: Head, events: Sequence[Recorded]) -> tuple[list[list[Any]], Head]:
    """The rows of `events`, whose positions follow `head`, as the arguments of `insert_events`: one list per column.

    And where the log ends after them.
    """
    rows = []
    previous = head.hash
    for recorded in events:
        row = _row(recorded, previous)
        previous = row[-1]
        rows.append(row)
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns, Head(events[-1].position, previous, events[-1].recorded_at)


def _row(recorded: Recorded, previous: bytes) -> tuple[Any, ...]:  # Any: the columns of one row
    event, context = recorded.event, recorded.context
    topic, state, actor = topic_of(event), encode(event), encode_actor(context.actor)
    digest = chain.link(
        previous,
        position=recorded.position,
        stream=recorded.stream,
        version=recorded.version,
        topic=topic,
        state=state,
        project=context.project_id,
        recorded_at=recorded.recorded_at,
        actor=actor,
        request_id=context.request_id,
        command_id=context.command_id,
        causation_id=context.causation_id,
    )
    return (
        recorded.stream,
        recorded.version,
        topic,
        state,
        recorded.position,
        context.project_id,
        recorded.recorded_at,
        actor,
        context.request_id,
        context.command_id,
        context.causation_id,
        digest,
    )


def recorded_from(row: Record, codec: Codec) -> Recorded:
    """The event in a row of the log. Raises UnreadableEventError."""
    return Recorded(
        position=row["notification_id"],
        stream=row["originator_id"],
        version=row["originator_version"],
        event=codec.decode(row["topic"], row["state"]),
        recorded_at=row["recorded_at"],
        context=Context(
            project_id=ProjectId(row["project_id"]),
            command_id=row["command_id"],
            request_id=row["request_id"],
            actor=codec.decode_actor(row["actor"]),
            causation_id=row["causation_id"],
        ),
    )


async def read_after(connection: Connection, position: int, limit: int = PAGE) -> list[Record]:
    """Up to `limit` rows of the log after `position`, oldest first."""
    return list(await connection.fetch(SQL.list_events_after, position, limit))


async def committed_commands(connection: Connection, after: int, commands: Sequence[UUID]) -> set[UUID]:
    """Which of `commands` have events after position `after`."""
    return {row["command_id"] for row in await connection.fetch(SQL.list_commands_after, after, commands)}
