"""An event of the log as a CloudEvent 1.0 in JSON, with every byte that the chain covers.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md. `data` is the payload as it is
stored, to the byte; one that is no JSON stands in `data_base64`. Our own attributes: `sequence` (the position, also
the `id`), `streamversion`, `projectid`, `requestid`, `commandid`, `causationid`, `actor` (JSON in a string, people
encrypted) and `hash` (hex). Numbers are strings: the specification's integers end at 2^31.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Raw, Struct, UnsetType

JSON = "application/json"
OTHER = "application/octet-stream"


class UnusableExportError(Exception):
    """A line of an export that cannot be taken for an event."""


class OtherFiltersError(UnusableExportError):
    """An export does not hold what the filters select, so they cannot be those that it was begun with."""


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    subject: UUID
    time: datetime
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


def to_line(row: Record) -> bytes:
    """A row of the log, line feed included."""
    state: bytes = row["state"]
    as_json = b"\n" not in state and b"\r" not in state and _is_json(state)
    causation, actor = row["causation_id"], row["actor"]
    event = CloudEvent(
        specversion="1.0",
        id=str(row["notification_id"]),
        source=f"urn:modeltrail:project:{row['project_id']}",
        type=row["topic"],
        subject=row["originator_id"],
        time=row["recorded_at"],
        datacontenttype=JSON if as_json else OTHER,
        sequence=str(row["notification_id"]),
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


def _is_json(state: bytes) -> bool:
    try:
        state.decode()
        # Not with spaces around it: those would not come back.
        return bytes(msgspec.json.decode(state, type=Raw)) == state and state.strip() == state
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def from_line(line: bytes) -> dict[str, Any]:  # Any: a row of the log, by column
    """The row in a line. Raises UnusableExportError."""
    try:
        event = _decode(line)
        state = bytes(event.data) if isinstance(event.data, Raw) else event.data_base64
        if isinstance(state, UnsetType):
            raise UnusableExportError("it has no data")
        return {
            "notification_id": int(event.sequence),
            "originator_id": event.subject,
            "originator_version": int(event.streamversion),
            "topic": event.type,
            "state": state,
            "project_id": event.projectid,
            "recorded_at": event.time,
            "actor": None if event.actor is None else event.actor.encode(),
            "request_id": event.requestid or "",
            "command_id": event.commandid,
            "causation_id": None if event.causationid is None else int(event.causationid),
            "hash": bytes.fromhex(event.hash),
        }
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnusableExportError(str(error)) from None
