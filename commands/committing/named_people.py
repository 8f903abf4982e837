"""The people whom decisions name: none of them may have been erased since their keys were looked up.

Nobody is erased while the writer has the log's lock, so whoever has a key then keeps it until all is written.
"""

from collections.abc import Iterator
from functools import cache
from uuid import UUID

from asyncpg import Connection

from modeltrail.commands.decision import Decision
from modeltrail.domain.errors import ForgottenPersonError
from modeltrail.domain.personal import Personal, personal_fields
from modeltrail.eventlog.people import people_with_keys
from modeltrail.eventlog.record import Context


class NamedPeople:
    """Who has a key, as far as that must be known. `last_erasure` is the position of the newest one, 0 for none."""

    def __init__(self, last_erasure: int) -> None:
        self._last_erasure = last_erasure
        self._has_key: dict[UUID, bool] = {}
        self._wanted: set[UUID] = set()

    def in_doubt(self, decision: Decision, context: Context) -> set[UUID]:
        """Those whose keys were looked up before the newest erasure, which may have been theirs."""
        if self._last_erasure == 0 or not decision.changes:
            return set()
        return {each.person for each in _named_in(decision, context) if _is_older(each, self._last_erasure)}

    def unknown(self, persons: set[UUID]) -> set[UUID]:
        """Those of whom it is not known."""
        return persons - self._has_key.keys()

    def require_keys(self, persons: set[UUID]) -> None:
        """Raises ForgottenPersonError when one of them, who must be known, was erased."""
        if gone := frozenset(each for each in persons if not self._has_key[each]):
            raise ForgottenPersonError(gone)

    def want(self, person: UUID) -> None:
        """Have it known after the next `load`."""
        self._wanted.add(person)

    async def load(self, connection: Connection) -> None:
        """Find out what was wanted."""
        if wanted := self.unknown(self._wanted):
            found = await people_with_keys(connection, wanted)
            self._has_key |= {person: person in found for person in wanted}
        self._wanted.clear()


def _named_in(decision: Decision, context: Context) -> Iterator[Personal]:
    if isinstance(context.actor, Personal):
        yield context.actor
    for change in decision.changes:
        for event in change.events:
            for name in _fields_of(type(event)):
                value = getattr(event, name)
                if isinstance(value, Personal):
                    yield value


_fields_of = cache(personal_fields)


def _is_older(personal: Personal, erasure: int) -> bool:
    """What comes from the log has no such position: it shows nobody's address anew."""
    return personal.last_erasure is not None and personal.last_erasure < erasure
