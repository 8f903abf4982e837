"""Stories about deciders: `given(what happened).when(a command comes).then(this happens)`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import pytest

from modeltrail.domain.decider import Decider
from modeltrail.domain.errors import DomainError

C = TypeVar("C")
E = TypeVar("E")
S = TypeVar("S")


@dataclass(frozen=True)
class Story(Generic[C, E, S]):
    """What happened to a stream so far."""

    decider: Decider[C, E, S]
    state: S

    def when(self, *commands: C) -> "Turn[C, E, S]":
        """The commands that come next, one after the other."""
        return Turn(self.decider, self.state, commands)


@dataclass(frozen=True)
class Turn(Generic[C, E, S]):
    """Commands that meet a stream."""

    decider: Decider[C, E, S]
    state: S
    commands: tuple[C, ...]

    def then(self, *expected: E) -> None:
        """Exactly these events happen."""
        assert self._decide() == list(expected)

    def then_nothing(self) -> None:
        """No event happens."""
        assert self._decide() == []

    def then_refused(self, error: type[DomainError], message: str) -> None:
        """The last command is refused with this error and these words."""
        with pytest.raises(DomainError) as refusal:
            self._decide()
        assert (type(refusal.value), refusal.value.message) == (error, message)

    def _decide(self) -> list[E]:
        state, happened = self.state, list[E]()
        for command in self.commands:
            events = self.decider.decide(command, state)
            happened += events
            state = fold(self.decider, state, events)
        return happened


def fold(decider: Decider[C, E, S], state: S, events: "list[E] | tuple[E, ...]") -> S:
    """The state after `events`."""
    for event in events:
        state = decider.evolve(state, event)
    return state


def stories_of(decider: Decider[C, E, S]) -> Callable[..., Story[C, E, S]]:
    """A `given` for one decider."""
    return partial(_given, decider)


def _given(decider: Decider[C, E, S], *events: E) -> Story[C, E, S]:
    return Story(decider, fold(decider, decider.initial, events))
