"""Old shapes of events, brought up to date when they are read. What is stored is never rewritten."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

Payload = dict[str, Any]  # Any: JSON of a shape that no class describes any more


class Upcaster(NamedTuple):
    """Takes a payload to the next shape, whose tag is `to`."""

    to: str
    change: Callable[[Payload], Payload]


def _with_no_defaults(created: Payload) -> Payload:
    """An environment could not say how it serves what does not say otherwise."""
    return {**created, "defaults": {}}


def _of_the_object(disappeared: Payload) -> Payload:
    """What was gone was the object, always."""
    return {**disappeared, "message": ""}


UPCASTERS: dict[str, Upcaster] = {
    "serving_environment.created": Upcaster("serving_environment.created@2", _with_no_defaults),
    "inference_service.object_disappeared": Upcaster("inference_service.object_disappeared@2", _of_the_object),
}
"""By the tag that was stored. A new shape of an event has a tag of its own: the old one and `@2`, `@3`, …; the class in
the domain has the newest."""


def upcast(topic: str, state: bytes) -> bytes:
    """The payload in today's shape. Costs one look-up for an event that is up to date."""
    if topic not in UPCASTERS:
        return state
    payload = msgspec.json.decode(state, type=Payload)
    while (upcaster := UPCASTERS.get(payload["type"])) is not None:
        payload = {**upcaster.change(payload), "type": upcaster.to}
    return msgspec.json.encode(payload)


def tags_read_as(tag: str) -> set[str]:
    """The tags of what is read as an event of `tag`: its own, and those of its older shapes."""
    found = {tag}
    while older := {old for old, upcaster in UPCASTERS.items() if upcaster.to in found} - found:
        found |= older
    return found


def shapes_of(name: str) -> set[str]:
    """The tags of all shapes of the event that is called `name`, with or without the number of a shape."""
    plain = name.partition("@")[0]
    newest = {
        tag for tag in (name, *(upcaster.to for upcaster in UPCASTERS.values())) if tag.partition("@")[0] == plain
    }
    return set().union(*(tags_read_as(tag) for tag in newest))
