"""What is in the log stays readable: one sample per type of event, as it was stored, byte for byte.

A sample is never edited. An event whose shape changes gets a new tag, a new sample and an upcaster from the old.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from modeltrail.domain.personal import Personal
from modeltrail.domain.registered_model_messages import ModelDescribed, ModelRegistered
from modeltrail.eventlog.codec import EVENT_TYPES, Codec, UnreadableEventError, encode, encode_actor, topic_of
from modeltrail.eventlog.record import System
from modeltrail.eventlog.upcasting import UPCASTERS, Upcaster, shapes_of, tags_read_as

SAMPLES = {file.stem: file for file in (Path(__file__).parents[1] / "golden" / "events").glob("*.json")}
CODEC = Codec()


def test_every_type_of_event_has_a_sample() -> None:
    assert sorted(EVENT_TYPES.keys() - SAMPLES.keys()) == []


def test_every_sample_is_of_a_type_that_is_still_read() -> None:
    assert sorted(SAMPLES.keys() - EVENT_TYPES.keys() - UPCASTERS.keys()) == []


@pytest.mark.parametrize("tag", sorted(SAMPLES))
def test_a_stored_event_is_still_read(tag: str) -> None:
    event = CODEC.decode(tag, SAMPLES[tag].read_bytes())

    assert type(event) in EVENT_TYPES.values()


@pytest.mark.parametrize("tag", sorted(SAMPLES.keys() & EVENT_TYPES.keys()))
def test_an_event_is_written_as_it_was(tag: str) -> None:
    stored = SAMPLES[tag].read_bytes()
    event = CODEC.decode(tag, stored)

    assert (topic_of(event), type(event)) == (tag, EVENT_TYPES[tag])
    assert encode(event) == stored


@pytest.mark.parametrize("tag", sorted(SAMPLES.keys() & EVENT_TYPES.keys()))
def test_a_sample_fills_every_field(tag: str) -> None:
    """A field that a sample leaves out would be read from its default, and not from the log."""
    stored = msgspec.json.decode(SAMPLES[tag].read_bytes())

    assert set(stored) == {"type", *EVENT_TYPES[tag].__struct_fields__}


def test_people_are_sealed_in_the_log() -> None:
    stored = msgspec.json.decode(SAMPLES["registered_model.registered"].read_bytes())

    assert stored["owner_email"] == {"person": str(UUID(int=1)), "box": "c2VhbGVkIGFkZHJlc3M="}


def test_a_reader_with_the_keys_sees_people() -> None:
    def opener(person: UUID, box: bytes) -> str:
        return f"{person.int}: {box.decode()}"

    event = Codec(opener).decode("registered_model.registered", SAMPLES["registered_model.registered"].read_bytes())

    assert isinstance(event, ModelRegistered)
    assert event.owner_email is not None
    assert event.owner_email.text == "1: sealed address"


def test_a_reader_without_the_keys_sees_that_there_is_somebody() -> None:
    event = CODEC.decode("registered_model.registered", SAMPLES["registered_model.registered"].read_bytes())

    assert isinstance(event, ModelRegistered)
    assert event.owner_email == Personal(UUID(int=1), b"sealed address", None)
    assert event.owner_email.text is None


def test_a_person_is_not_shown_in_a_log_line() -> None:
    assert "ada" not in repr(Personal(UUID(int=1), b"box", "ada@example.com"))


@pytest.mark.parametrize(
    ("actor", "stored"),
    [
        (None, None),
        (System("deploy worker"), b'{"system":"deploy worker"}'),
        (
            Personal(UUID(int=1), b"box", "ada@example.com"),
            b'{"person":"00000000-0000-0000-0000-000000000001","box":"Ym94"}',
        ),
    ],
    ids=["nobody", "a part of the system", "a person"],
)
def test_an_actor_is_read_as_it_was_written(actor: Personal | System | None, stored: bytes | None) -> None:
    assert encode_actor(actor) == stored
    assert CODEC.decode_actor(stored) == actor


def test_an_old_shape_is_brought_up_to_date_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_second(payload: dict[str, Any]) -> dict[str, Any]:  # Any: JSON of an old shape
        return {"words": payload["text"].split()}

    def to_today(payload: dict[str, Any]) -> dict[str, Any]:  # Any: the same
        return {"description": " ".join(payload["words"])}

    monkeypatch.setitem(UPCASTERS, "registered_model.described@1", Upcaster("registered_model.described@2", to_second))
    monkeypatch.setitem(UPCASTERS, "registered_model.described@2", Upcaster("registered_model.described", to_today))

    event = CODEC.decode("registered_model.described@1", b'{"type":"registered_model.described@1","text":"a  b"}')

    assert event == ModelDescribed(description="a b")


def test_all_shapes_of_an_event_are_known_by_its_name() -> None:
    created = {"serving_environment.created", "serving_environment.created@2"}

    assert tags_read_as("serving_environment.created@2") == created
    assert tags_read_as("serving_environment.created") == {"serving_environment.created"}
    assert shapes_of("serving_environment.created") == shapes_of("serving_environment.created@2") == created
    assert shapes_of("registered_model.renamed") == {"registered_model.renamed"}
    assert shapes_of("no.such") == {"no.such"}


@pytest.mark.parametrize(
    "stored",
    [
        b'{"type":"registered_model.exploded"}',
        b'{"type":"registered_model.described"}',
        b'{"type":"registered_model.described","description":1}',
        b'{"type":"registered_model.described","description":"cut of',
        b"",
    ],
    ids=["unknown type", "missing field", "wrong type", "cut off", "empty"],
)
def test_an_event_that_cannot_be_read_is_named(stored: bytes) -> None:
    with pytest.raises(UnreadableEventError, match=r"cannot read an event of type 'registered_model\.described'"):
        CODEC.decode("registered_model.described", stored)


def test_an_upcaster_that_misses_a_field_makes_the_event_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        UPCASTERS, "registered_model.described@1", Upcaster("x", lambda payload: {"text": payload["gone"]})
    )

    with pytest.raises(UnreadableEventError):
        CODEC.decode("registered_model.described@1", b'{"type":"registered_model.described@1"}')


@pytest.mark.parametrize("person", [b'"ada"', b'{"person":"nobody","box":""}', b'{"person":1}', b"[]"])
def test_a_broken_person_makes_the_event_unreadable(person: bytes) -> None:
    whole = SAMPLES["registered_model.registered"].read_bytes()
    before, _, after = whole.partition(b'{"person"')
    broken = before + person + after.partition(b"}")[2]

    with pytest.raises(UnreadableEventError):
        CODEC.decode("registered_model.registered", broken)
