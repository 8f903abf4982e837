"""What a command decided: events for one or more streams, and which resource answers the caller."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct, structs

from modeltrail.commands.question import C, E, Question, S, StateOf
from modeltrail.commands.remembered import Remembered
from modeltrail.domain.decider import AnyEvent, Decider
from modeltrail.projections.documents import Document
from modeltrail.projections.projection import Projection


class Change(Struct, frozen=True):
    """Events for one stream, and its state after them."""

    decider: Decider[Any, Any, Any]  # Any: a decision may change streams of several kinds
    stream: UUID
    events: tuple[AnyEvent, ...]
    state: Any  # Any: the state that belongs to `decider`
    begins: bool = False  # nothing of the stream may be there yet


class Credentials(Struct, frozen=True):
    """What opens a version's storage, encrypted. It is kept beside the log, never in it."""

    version_id: UUID
    project_id: UUID
    key_id: str
    box: bytes

    def __repr__(self) -> str:
        """Without the box."""
        return f"Credentials(version_id={self.version_id})"


class Answer(Struct, frozen=True):
    """The resource whose representation, as the command leaves it, answers the caller."""

    projection: Projection[Any]  # Any: of any kind
    id: UUID


class Decision(Struct, frozen=True):
    """All that a command does, or nothing when it is so already.

    `remembering` says what is kept of the resource that the command leaves, for the same request sent again.
    """

    answer: Answer
    changes: tuple[Change, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    forgotten: tuple[UUID, ...] = ()  # versions whose credentials are deleted
    remembering: Callable[[Document], Remembered] | None = None


Asking = Coroutine[Question[Any], Any, Decision]  # Any: each question has an answer of its own type


class Command(Protocol):
    """A use case: what a caller wants, over as many streams as it takes.

    It asks what it needs to know, and then puts the domain's commands (see `domain.event`), called wishes, to the
    deciders of those streams. `decide` may be called again whenever what it was told is not the newest any more.
    """

    def decide(self) -> Asking:
        """Ask what there is to know, and decide. Raises DomainError to refuse."""


def begin(decider: Decider[C, E, S], stream: UUID, *commands: C) -> Change:
    """Decide `commands` on a stream that does not exist yet."""
    return structs.replace(_decide(decider, stream, decider.initial, commands), begins=True)


async def carry_on(decider: Decider[C, E, S], stream: UUID, *commands: C) -> Change:
    """Decide `commands`, one after the other, on the stream as it is."""
    return _decide(decider, stream, await StateOf(decider, stream), commands)


def _decide(decider: Decider[C, E, S], stream: UUID, state: S, commands: tuple[C, ...]) -> Change:
    events: list[Any] = []  # Any: events of the decider's kind
    for command in commands:
        for event in decider.decide(command, state):
            state = decider.evolve(state, event)
            events.append(event)
    return Change(decider, stream, tuple(events), state)
