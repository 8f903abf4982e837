"""The people whom decisions name: their keys are there, or come into the database with what is written.

Nobody is erased while the writer has the log's lock, and nobody else makes a key, so what is known of a person then
stays true until all is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Connection
from msgspec import structs

from modeltrail.commands.decision import Decision
from modeltrail.commands.question import HasKey, KeyWith, Question
from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.errors import ForgottenPersonError
from modeltrail.domain.personal import Personal, personal_fields
from modeltrail.eventlog.first_mention import FirstMention, PersonKey
from modeltrail.eventlog.people import keys_by_digest, people_with_keys
from modeltrail.eventlog.record import Context


class NamedPeople:
    """Who has a key, as far as that must be known. `last_erasure` is the position of the newest one, 0 for none."""

    def __init__(self, last_erasure: int) -> None:
        self._last_erasure = last_erasure
        self._has_key: dict[UUID, bool] = {}
        self._keys: dict[bytes, PersonKey | None] = {}
        self._new: list[PersonKey] = []
        self._wanted_people: set[UUID] = set()
        self._wanted_keys: set[bytes] = set()

    def unknown(self, decision: Decision, context: Context) -> list[Question[Any]]:  # Any: questions of both kinds
        """What is to be known of those whom a decision names, and is not yet."""
        unknown: list[Question[Any]] = []
        for personal in _named_in(decision, context):
            if isinstance(personal, FirstMention):
                if personal.digest not in self._keys:
                    unknown.append(KeyWith(personal.digest))
            elif self._is_in_doubt(personal) and personal.person not in self._has_key:
                unknown.append(HasKey(personal.person))
        return unknown

    def require_keys(self, decision: Decision, context: Context) -> None:
        """Raises ForgottenPersonError when somebody named, of whom all must be known, was erased."""
        if self._last_erasure == 0:
            return
        in_doubt = {each.person for each in _named_in(decision, context) if self._is_in_doubt(each)}
        if gone := frozenset(each for each in in_doubt if not self._has_key[each]):
            raise ForgottenPersonError(gone)

    def sealed(self, decision: Decision, context: Context) -> tuple[Decision, Context]:
        """The decision with no address in it that is not sealed, and no key missing when it is written.

        Raises UnusableKeyError, with nothing done, when somebody's key cannot be opened here.
        """
        mentioned = {each.digest: each for each in _named_in(decision, context) if isinstance(each, FirstMention)}
        if not mentioned:
            return decision, context
        known = {digest: key for digest in mentioned if (key := self._keys[digest]) is not None}
        new = {digest: mention.new_key() for digest, mention in mentioned.items() if digest not in known}
        sealed = _sealed(decision, context, known | new)
        self._keys |= new
        self._new += new.values()
        return sealed

    def take_new(self) -> Sequence[PersonKey]:
        """The keys made since the last `take_new`, to be written."""
        new, self._new = self._new, []
        return new

    def want(self, question: HasKey | KeyWith) -> None:
        """Have it known after the next `load`."""
        match question:
            case HasKey(person=person):
                self._wanted_people.add(person)
            case KeyWith(digest=digest):
                self._wanted_keys.add(digest)

    async def load(self, connection: Connection) -> None:
        """Find out what was wanted."""
        if wanted := self._wanted_people - self._has_key.keys():
            found = await people_with_keys(connection, wanted)
            self._has_key |= {person: person in found for person in wanted}
        if digests := self._wanted_keys - self._keys.keys():
            self._keys |= dict.fromkeys(digests) | await keys_by_digest(connection, digests)
        self._wanted_people.clear()
        self._wanted_keys.clear()

    def _is_in_doubt(self, personal: Personal) -> bool:
        """Whether the key was looked up before the newest erasure, which may have been that person's.

        What comes from the log has no such position: it shows nobody's address anew.
        """
        return personal.last_erasure is not None and personal.last_erasure < self._last_erasure


def _named_in(decision: Decision, context: Context) -> Iterator[Personal]:
    events = [event for change in decision.changes for event in change.events]
    if events and isinstance(context.actor, Personal):
        yield context.actor
    for event in events:
        for name in _fields_of(type(event)):
            value = getattr(event, name)
            if isinstance(value, Personal):
                yield value


def _sealed(decision: Decision, context: Context, keys: Mapping[bytes, PersonKey]) -> tuple[Decision, Context]:
    """What they are with every first mention sealed."""
    changes = tuple(
        structs.replace(change, events=tuple(_event_sealed(event, keys) for event in change.events))
        for change in decision.changes
    )
    if isinstance(context.actor, FirstMention):
        context = structs.replace(context, actor=context.actor.sealed(keys[context.actor.digest]))
    return structs.replace(decision, changes=changes), context


def _event_sealed(event: AnyEvent, keys: Mapping[bytes, PersonKey]) -> AnyEvent:
    values = {name: getattr(event, name) for name in _fields_of(type(event))}
    mentions = {name: value for name, value in values.items() if isinstance(value, FirstMention)}
    return structs.replace(event, **{name: each.sealed(keys[each.digest]) for name, each in mentions.items()})


_fields_of = cache(personal_fields)
