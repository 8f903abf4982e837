"""Events by the rows that they touch: rows know nothing of each other, so each is folded by itself, all at once."""

from collections.abc import Iterator
from typing import Generic, TypeVar
from uuid import UUID

from asyncpg import Connection

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.projection import Row, RowsWhere, Target
from modeltrail.projections.rows import WorkingRows

R = TypeVar("R", bound=Row)


class Touched(Generic[R]):
    """What is to be done to the rows of one projection.

    An event that touches all rows that hold a value needs those before it done, to find them: it is a step by itself,
    between two steps of any number of events that name their rows.
    """

    def __init__(self, rows: WorkingRows[R]) -> None:
        self._rows = rows
        self._steps: list[dict[UUID, list[Recorded]] | tuple[RowsWhere, Recorded]] = []
        self._by_id: dict[UUID, list[Recorded]] | None = None
        self._is_wanting = False

    def add(self, target: Target, recorded: Recorded) -> None:
        """Note an event that comes after those before."""
        if isinstance(target, RowsWhere):
            self._is_wanting |= self._rows.want_for(target)
            self._steps.append((target, recorded))
            self._by_id = None
            return
        if self._by_id is None:
            self._by_id = {}
            self._steps.append(self._by_id)
        events = self._by_id.get(target.id)
        if events is None:
            self._is_wanting |= self._rows.want_for(target)
            events = self._by_id[target.id] = []
        events.append(recorded)

    @property
    def is_wanting(self) -> bool:
        """Whether `load` would ask the database."""
        return self._is_wanting

    async def load(self, connection: Connection) -> None:
        """Get what is not known of the rows that are touched."""
        if self._is_wanting:
            await self._rows.load(connection)
            self._is_wanting = False

    def apply(self) -> Iterator[None]:
        """Do all of it, with a chance for others after each row. Rows must be loaded."""
        steps, self._steps, self._by_id = self._steps, [], None
        for step in steps:
            if isinstance(step, tuple):
                self._rows.apply(*step)
                yield
                continue
            for id_, events in step.items():
                self._rows.fold(id_, events)
                yield
