"""What a command may ask before it decides.

A command is a coroutine that awaits questions and nothing else: no I/O, no clock. The committer answers many
commands' questions with one query, and always with the newest state, the commands before it in the batch included.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from modeltrail.commands.remembered import Remembered
from modeltrail.domain.decider import Decider
from modeltrail.eventlog.first_mention import PersonKey
from modeltrail.projections.projection import Projection, Row, unique_key

T = TypeVar("T")
R = TypeVar("R", bound=Row)
C = TypeVar("C")
E = TypeVar("E")
S = TypeVar("S")


class Question(Generic[T]):
    """Something to await. Equal questions have equal answers.

    Plain dataclasses, not structs: telling msgspec's structs apart goes the slow way over ABCMeta, and took a tenth of
    a batch's time here.
    """

    __slots__ = ()

    def __await__(self) -> "Generator[Question[T], T, T]":
        answer = yield self
        return answer


@dataclass(frozen=True, slots=True)
class StateOf(Question[S], Generic[C, E, S]):
    """The state of a stream: all its events, folded."""

    decider: Decider[C, E, S]
    stream: UUID


@dataclass(frozen=True, slots=True)
class RowAt(Question[R | None], Generic[R]):
    """The row with this id, or None."""

    projection: Projection[R]
    id: UUID


@dataclass(frozen=True, slots=True)
class RowWith(Question[R | None], Generic[R]):
    """The row with this unique key, or None: is the name taken?"""

    projection: Projection[R]
    key: str


def row_named(projection: Projection[R], scope: UUID, name: str) -> RowWith[R]:
    """The row of this name in this scope: what the first of the projection's unique columns holds."""
    return RowWith(projection, unique_key(scope, name))


@dataclass(frozen=True, slots=True)
class RowsHaving(Question[tuple[R, ...]], Generic[R]):
    """All rows that hold `value` in `column`."""

    projection: Projection[R]
    column: str
    value: UUID


@dataclass(frozen=True, slots=True)
class HasKey(Question[bool]):
    """Whether a person's key is there: whether that person was not erased."""

    person: UUID


@dataclass(frozen=True, slots=True)
class KeyWith(Question[PersonKey | None]):
    """The key of the person whose address has this digest, or None when nobody knows that person."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class AnswerTo(Question[Remembered | None]):
    """What a request with this idempotency key was answered with, or None."""

    project_id: UUID
    key: bytes
