"""The hash chain: each event's hash covers the hash before it, so that nothing can change unseen.

`hash = SHA-256(hash before ‖ fields)`, each field preceded by its length as 4 bytes, big-endian. The fields, in
order: position, stream, version, topic, payload, project, time (µs since 1970, UTC), actor (JSON), request id,
command id, causation. Numbers are 8 bytes, big-endian; what is absent has the length 0xFFFFFFFF. The hash before
the first event is 32 zero bytes.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct
from uuid import UUID

GENESIS = bytes(32)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = Struct(">I").pack
_NUMBER = Struct(">q").pack
_ABSENT = b"\xff\xff\xff\xff"


def _field(value: bytes | None) -> bytes:
    return _ABSENT if value is None else _LENGTH(len(value)) + value


def link(
    previous: bytes,
    *,
    position: int,
    stream: UUID,
    version: int,
    topic: str,
    state: bytes,
    project: UUID,
    recorded_at: datetime,
    actor: bytes | None,
    request_id: str,
    command_id: UUID,
    causation_id: int | None,
) -> bytes:
    """The hash of the event that follows the one with the hash `previous`."""
    micros = (recorded_at - _EPOCH) // _MICROSECOND
    fields = (
        _NUMBER(position),
        stream.bytes,
        _NUMBER(version),
        topic.encode(),
        state,
        project.bytes,
        _NUMBER(micros),
        actor,
        request_id.encode(),
        command_id.bytes,
        None if causation_id is None else _NUMBER(causation_id),
    )
    return sha256(previous + b"".join(map(_field, fields))).digest()
