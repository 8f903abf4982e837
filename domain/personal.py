"""Personal data inside events.

A person's address stands in the log only encrypted under that person's own key, so that destroying the key
erases the person while the log stays as it was. The domain passes it around and never looks inside.
"""

from typing import get_args
from uuid import UUID

from msgspec import Struct, structs


class Personal:
    """One piece of personal text: sealed for the log, and readable while the person's key exists."""

    __slots__ = ("box", "last_erasure", "person", "text")

    def __init__(self, person: UUID, box: bytes, text: str | None, last_erasure: int | None = None) -> None:
        """Hold `box`, the text encrypted under the key of `person`, and the text itself (None once erased).

        What is sealed anew has in `last_erasure` the position of the log's last erasure when the key was looked up.
        """
        self.person = person
        self.box = box
        self.text = text
        self.last_erasure = last_erasure

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Personal) and (self.person, self.box) == (other.person, other.box)

    def __hash__(self) -> int:
        return hash((self.person, self.box))

    def __repr__(self) -> str:
        """Without the text, which must not reach a log line."""
        return f"Personal(person={self.person})"


def whose(personal: Personal | None) -> UUID | None:
    """The person whose text it is, where there is any."""
    return None if personal is None else personal.person


def personal_fields(kind: type[Struct]) -> tuple[str, ...]:
    """The fields of a struct that may hold somebody's text."""
    return tuple(each.name for each in structs.fields(kind) if Personal in (each.type, *get_args(each.type)))
