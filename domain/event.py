"""What all events and commands share."""

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact. Each event's tag is its name in the log for ever: classes may be renamed, tags may not."""


class Command(Struct, frozen=True, kw_only=True):
    """What one aggregate is told. It names all that it needs, ids included, so that deciding it is a pure function."""
