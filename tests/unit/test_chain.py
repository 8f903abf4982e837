"""The hash chain: nothing about a stored event can change unseen."""

import hashlib
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from modeltrail.eventlog.chain import GENESIS, link
from support.samples import NOON

EVENT: dict[str, Any] = {  # Any: each field has its own type
    "position": 7,
    "stream": UUID(int=1),
    "version": 3,
    "topic": "registered_model.archived",
    "state": b"{}",
    "project": UUID(int=2),
    "recorded_at": NOON,
    "actor": b'{"system":"worker"}',
    "request_id": "req-1",
    "command_id": UUID(int=3),
    "causation_id": 6,
}
CHANGED: dict[str, Any] = {  # Any: the same
    "position": 8,
    "stream": UUID(int=9),
    "version": 4,
    "topic": "registered_model.restored",
    "state": b"{} ",
    "project": UUID(int=9),
    "recorded_at": NOON + timedelta(microseconds=1),
    "actor": b'{"system":"other"}',
    "request_id": "req-2",
    "command_id": UUID(int=9),
    "causation_id": 5,
}


def test_the_same_event_behind_the_same_event_has_the_same_hash() -> None:
    assert link(GENESIS, **EVENT) == link(GENESIS, **EVENT)


@pytest.mark.parametrize("field", EVENT)
def test_each_field_is_covered(field: str) -> None:
    assert link(GENESIS, **{**EVENT, field: CHANGED[field]}) != link(GENESIS, **EVENT)


def test_the_event_before_is_covered() -> None:
    assert link(b"\1" + bytes(31), **EVENT) != link(GENESIS, **EVENT)


@pytest.mark.parametrize("field", ["actor", "causation_id"])
def test_what_is_absent_differs_from_what_is_empty(field: str) -> None:
    empty = b"" if field == "actor" else 0

    assert link(GENESIS, **{**EVENT, field: None}) != link(GENESIS, **{**EVENT, field: empty})


def test_text_cannot_move_from_one_field_to_the_next() -> None:
    moved = {**EVENT, "topic": EVENT["topic"] + "{", "state": b"}"}

    assert link(GENESIS, **moved) != link(GENESIS, **EVENT)


def test_a_moment_is_the_same_in_every_time_zone() -> None:
    elsewhere = {**EVENT, "recorded_at": NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))}

    assert link(GENESIS, **elsewhere) == link(GENESIS, **EVENT)


def test_the_hash_is_what_the_documented_layout_gives() -> None:
    """Written out by hand, so that an auditor's own program can be held against it."""
    topic, payload, request_id = b"registered_model.archived", b"{}", b"req-1"
    layout = [
        bytes(32),
        (7).to_bytes(8, "big"),
        UUID(int=1).bytes,
        (3).to_bytes(8, "big"),
        UUID(int=2).bytes,
        (1_770_724_800_250_000).to_bytes(8, "big"),
        UUID(int=3).bytes,
        (-1).to_bytes(8, "big", signed=True),
        *(length.to_bytes(4, "big") for length in (len(topic), len(payload), 0xFFFFFFFF, len(request_id))),
        topic,
        payload,
        request_id,
    ]
    digest = hashlib.sha256(b"".join(layout)).digest()

    assert link(GENESIS, **{**EVENT, "actor": None, "causation_id": None}) == digest
