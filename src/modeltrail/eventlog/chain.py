"""The hash chain: each event's hash covers the hash before it, so that nothing can change unseen.

`hash = SHA-256(hash before ‖ numbers and ids ‖ texts)`. The first part is 96 bytes, big-endian: position (8), stream
(16), version (8), project (16), time in µs since 1970, UTC (8), command id (16), causation (8; -1 when there is none),
and the lengths in bytes (4 each) of the texts: topic, payload, actor (JSON; 0xFFFFFFFF when there is none), request
id. The texts follow in that order. The hash before the first event is 32 zero bytes.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct
from uuid import UUID

GENESIS = bytes(32)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIXED = Struct(">q16sq16sq16sqIIII").pack
_ABSENT = 0xFFFFFFFF


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
    topic_, request = topic.encode(), request_id.encode()
    fixed = _FIXED(
        position,
        stream.bytes,
        version,
        project.bytes,
        (recorded_at - _EPOCH) // _MICROSECOND,
        command_id.bytes,
        -1 if causation_id is None else causation_id,
        len(topic_),
        len(state),
        _ABSENT if actor is None else len(actor),
        len(request),
    )
    return sha256(b"".join((previous, fixed, topic_, state, actor or b"", request))).digest()
