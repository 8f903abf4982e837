"""Events to bytes and back. Payloads are JSON, so that an auditor can read them without our code."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, get_args
from uuid import UUID

import msgspec

from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.event import Event
from modeltrail.domain.personal import Personal
from modeltrail.eventlog.record import Actor, System
from modeltrail.eventlog.upcasting import upcast

Opener = Callable[[UUID, bytes], str | None]
"""Reads a person's sealed text; None when that person's key is gone."""


class UnreadableEventError(Exception):
    """A stored event that today's code cannot read."""


def keep_sealed(_person: UUID, _box: bytes) -> None:
    """An opener for those who need no person's text."""
    return


def _write(value: object) -> object:
    if isinstance(value, Personal):
        if not value.box:
            raise ValueError("somebody's address is to be stored that is not sealed")
        return {"person": str(value.person), "box": b64encode(value.box).decode()}
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


class _Sealed(msgspec.Struct):
    """Personal text as `_write` leaves it."""

    person: UUID
    box: bytes


_encoder = msgspec.json.Encoder(enc_hook=_write)

EVENT_TYPES: dict[str, type[Event]] = {str(member.__struct_config__.tag): member for member in get_args(AnyEvent)}
"""Every event that today's code writes, by its name in the log."""


def topic_of(event: AnyEvent) -> str:
    """The event's name in the log."""
    return str(event.__struct_config__.tag)


def encode(event: AnyEvent) -> bytes:
    """The event's payload, its tag included."""
    return _encoder.encode(event)


def encode_actor(actor: Actor | None) -> bytes | None:
    """The actor as JSON: `{"system": …}`, or `{"person": …, "box": …}` with the address sealed."""
    return None if actor is None else _encoder.encode(actor)


class Codec:
    """Reads payloads, opening personal data with `opener`."""

    def __init__(self, opener: Opener = keep_sealed) -> None:
        self._opener = opener
        self._events = msgspec.json.Decoder(AnyEvent, dec_hook=self._read)

    def _read(self, wanted: type, value: Any) -> object:  # noqa: ANN401 - whatever the JSON held
        if wanted is Personal:
            sealed = msgspec.convert(value, _Sealed)
            return Personal(sealed.person, sealed.box, self._opener(sealed.person, sealed.box))
        raise NotImplementedError(f"no reader for {wanted.__name__}")

    def decode(self, topic: str, state: bytes) -> AnyEvent:
        """The event in a stored payload.

        Raises UnreadableEventError when neither today's shapes nor an upcaster fit.
        """
        try:
            event: AnyEvent = self._events.decode(upcast(topic, state))
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            raise UnreadableEventError(f"cannot read an event of type {topic!r}: {error}") from error
        return event

    def decode_actor(self, actor: bytes | None) -> Actor | None:
        """The actor in its stored form."""
        if actor is None:
            return None
        value = msgspec.json.decode(actor)
        if "system" in value:
            return System(value["system"])
        person = self._read(Personal, value)
        assert isinstance(person, Personal)  # noqa: S101 - for the type checker
        return person
