"""An event of the log as a CloudEvent 1.0 in JSON, with every byte that the chain covers.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md. `data` is the payload as it is
stored, to the byte; one that is no JSON stands in `data_base64`. Our own attributes: `sequence` (the position, also
the `id`), `streamversion`, `projectid`, `requestid`, `commandid`, `causationid`, `actor` (JSON in a string, people
encrypted) and `hash` (hex). Numbers are strings: the specification's integers end at 2^31.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

JSON = "application/json"
OTHER = "application/octet-stream"
_BIGINT = range(-(2**63), 2**63)


class UnusableExportError(Exception):
    """A line of an export that cannot be taken for an event."""


class OtherFiltersError(UnusableExportError):
    """An export does not hold what the filters select, so they cannot be those that it was begun with."""


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    specversion: str
    id: str
    source: str
    type: str
    subject: UUID
    time: Annotated[datetime, Meta(tz=True)]
    datacontenttype: str
    sequence: str
    streamversion: str
    projectid: UUID
    commandid: UUID
    hash: str
    requestid: str | None = None
    causationid: str | None = None
    actor: str | None = None
    data: Raw | UnsetType = UNSET
    data_base64: bytes | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CloudEvent).decode
_decode_raw = msgspec.json.Decoder(Raw).decode


def to_line(row: Record | dict[str, Any]) -> bytes:  # Any: the values of any column
    """A row of the log, line feed included."""
    state: bytes = row["state"]
    as_json = b"\n" not in state and b"\r" not in state and _is_json(state)
    causation, actor, position = row["causation_id"], row["actor"], str(row["notification_id"])
    event = CloudEvent(
        specversion="1.0",
        id=position,
        source=_source(row["project_id"]),
        type=row["topic"],
        subject=row["originator_id"],
        time=row["recorded_at"],
        datacontenttype=JSON if as_json else OTHER,
        sequence=position,
        streamversion=str(row["originator_version"]),
        projectid=row["project_id"],
        commandid=row["command_id"],
        hash=row["hash"].hex(),
        requestid=row["request_id"] or None,
        causationid=None if causation is None else str(causation),
        actor=None if actor is None else actor.decode(),
        data=Raw(state) if as_json else UNSET,
        data_base64=UNSET if as_json else state,
    )
    return _encode(event) + b"\n"


@lru_cache(1_000)
def _source(project: UUID) -> str:
    return f"urn:modeltrail:project:{project}"


def _is_json(state: bytes) -> bool:
    try:
        state.decode()
        # Not with spaces around it: those would not come back.
        return bytes(_decode_raw(state)) == state and state.strip() == state
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def from_line(line: bytes) -> dict[str, Any]:  # Any: a row of the log, by column
    """The row in a line. Raises UnusableExportError.

    Many lines hold the same row, with other members beside it or the same ones spelt otherwise. Only one of them is
    what to_line() makes of that row.
    """
    try:
        event = _decode(line)
        state = bytes(event.data) if isinstance(event.data, Raw) else event.data_base64
        if isinstance(state, UnsetType):
            raise UnusableExportError("it has no data")
        return {
            "notification_id": _number(event.sequence),
            "originator_id": event.subject,
            "originator_version": _number(event.streamversion),
            "topic": event.type,
            "state": state,
            "project_id": event.projectid,
            "recorded_at": event.time.astimezone(UTC),
            "actor": None if event.actor is None else event.actor.encode(),
            "request_id": event.requestid or "",
            "command_id": event.commandid,
            "causation_id": None if event.causationid is None else _number(event.causationid),
            "hash": bytes.fromhex(event.hash),
        }
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise UnusableExportError(str(error)) from None


def _number(text: str) -> int:
    number = int(text)
    if number not in _BIGINT:
        raise ValueError(f"{text} is larger than any number of a log")
    return number
