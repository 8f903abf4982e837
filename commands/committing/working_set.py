"""What a writer knows while it has the log to itself, with all changes, written or not.

Answers come from here, so a command sees what the commands before it did, though it is not in the database yet. What
is not known is noted, loaded for all commands in a few queries, and asked again. What is known is never loaded again:
a query that runs while a batch is being written sees the database before it or after it, and either is right for what
that batch did not touch.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import UUID

from asyncpg import Connection

from modeltrail.commands.committing.entry import Entry
from modeltrail.commands.committing.named_people import NamedPeople
from modeltrail.commands.committing.session import LogUnavailableError
from modeltrail.commands.decision import Answer, Asking, Change, Credentials, Decision
from modeltrail.commands.question import AnswerTo, HasKey, KeyWith, Question, RowAt, RowsHaving, RowWith, StateOf
from modeltrail.commands.remembered import KeyInProject, Remembered, load_remembered
from modeltrail.domain.decider import Decider
from modeltrail.domain.errors import id_is_taken
from modeltrail.domain.event import Event
from modeltrail.eventlog.log import Head
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.eventlog.streams import Loaded, due_snapshots, load_streams
from modeltrail.eventlog.turn import Turn
from modeltrail.projections.checkpoint import OtherVersionError
from modeltrail.projections.documents import Document
from modeltrail.projections.projection import OneRow, Projection, Row, RowsWhere, Targets
from modeltrail.projections.projection_status import require_same_code
from modeltrail.projections.rows import WorkingRows
from modeltrail.projections.table import Table

R = TypeVar("R", bound=Row)

TICK = timedelta(microseconds=1)


class NotKnownYet(Exception):  # noqa: N818 - a signal to load and try again, not an error
    """Questions whose answers must be loaded first."""

    def __init__(self, questions: Iterable[Question[Any]]) -> None:
        super().__init__()
        self.questions = tuple(questions)


class WorkingSet:
    """The state of everything that was asked for since the writer has the lock, with its own changes applied."""

    def __init__(self, head: Head, tables: Iterable[Table[Any]]) -> None:
        self._rows = {table.projection: WorkingRows(table) for table in tables}
        self._streams: dict[UUID, Loaded] = {}
        self._answers: dict[KeyInProject, Remembered | None] = {}
        self._people = NamedPeople(head.last_erasure)
        self._takers_of: dict[type[Event], list[tuple[Projection[Any], WorkingRows[Any], Targets]]] = {}
        self._head = head
        self._position = head.position
        self._time = head.recorded_at + TICK
        self._begin_entry()

    @classmethod
    async def begin(cls, turn: Turn, tables: Sequence[Table[Any]]) -> Self:
        """Wait for the lock, and know nothing yet but where the log ends.

        Raises LogUnavailableError when these are not the read tables that this code knows any more.
        """
        head = await turn.begin()
        try:
            require_same_code(head.filled_by, [table.projection for table in tables])
        except OtherVersionError as error:
            raise LogUnavailableError(str(error)) from error
        return cls(head, tables)

    def _begin_entry(self) -> None:
        self.events: list[Recorded] = []
        self._credentials: list[Credentials] = []
        self._forgotten: list[UUID] = []
        self._remembered: list[Remembered] = []
        self._changed_streams: dict[UUID, tuple[Decider[Any, Any, Any], Loaded, Loaded]] = {}

    def move_to(self, now: datetime) -> None:
        """Date what follows. Times of events never go back, whatever the clocks of several machines say."""
        self._time = max(now, self._time)

    def take(self) -> Entry:
        """What has changed since the last `take`, to be written. It counts as stored from now on."""
        entry = Entry(
            behind=self._head,
            events=self.events,
            rows=[changed for rows in self._rows.values() if (changed := rows.take()) is not None],
            snapshots=due_snapshots(self._changed_streams),
            new_people=self._people.take_new(),
            credentials=self._credentials,
            forgotten=self._forgotten,
            remembered=self._remembered,
        )
        self._head = entry.end
        self._begin_entry()
        return entry

    def changed_rows(self, projection: Projection[R]) -> list[R]:
        """The rows of one table that have changed and are there, for those who will not write them."""
        changed = self._rows[projection].take()
        return [] if changed is None else changed.kept

    def decide(self, asking: Asking, question: Question[Any] | None = None) -> Decision:
        """Run a command, which may wait at `question`, to its decision on what is known.

        Raises NotKnownYet, or what the command raises.
        """
        try:
            if question is None:
                question = asking.send(None)
            while True:
                question = asking.send(self._answer(question))
        except StopIteration as stop:
            decision: Decision = stop.value
            return decision
        finally:
            asking.close()

    def unknown_to(self, asking: Asking, context: Context) -> tuple[Question[Any], ...]:
        """The next questions of a command that are not known yet, if its turn comes on what is known now."""
        try:
            self._require(self.decide(asking), context)
        except NotKnownYet as signal:
            return signal.questions
        except Exception:  # noqa: BLE001 - whether it is refused is decided when its turn comes
            return ()
        return ()

    def _answer(self, question: Question[Any]) -> object:
        match question:
            case StateOf(stream=stream):
                loaded = self._streams.get(stream)
                if loaded is None:
                    raise NotKnownYet([question])
                return loaded.state
            case RowAt(projection=projection, id=id_) if self._rows[projection].knows(id_):
                return self._rows[projection].get(id_)
            case RowWith(projection=projection, key=key) if self._rows[projection].knows_key(key):
                return self._rows[projection].find(key)
            case RowsHaving(projection=projection, column=column, value=value) if self._rows[projection].knows_where(
                column, value
            ):
                return tuple(self._rows[projection].where(column, value))
            case AnswerTo(project_id=project_id, key=key) if (project_id, key) in self._answers:
                return self._answers[project_id, key]
            case _:
                raise NotKnownYet([question])

    async def load(self, connection: Connection, questions: Iterable[Question[Any]]) -> None:
        """Find out the answers to `questions` that are not known, with one query per kind of question and table."""
        streams: dict[UUID, Decider[Any, Any, Any]] = {}
        keys: set[KeyInProject] = set()
        for question in questions:
            match question:
                case StateOf(decider=decider, stream=stream):
                    streams[stream] = decider
                case AnswerTo(project_id=project_id, key=key):
                    keys.add((project_id, key))
                case _:
                    self._want(question)
        if unknown := {stream: decider for stream, decider in streams.items() if stream not in self._streams}:
            self._streams.update(await load_streams(connection, unknown))
        if keys := keys - self._answers.keys():
            self._answers.update(dict.fromkeys(keys) | await load_remembered(connection, keys))
        await self._people.load(connection)
        for rows in self._rows.values():
            await rows.load(connection)

    def _want(self, question: Question[Any]) -> None:
        match question:
            case RowAt(projection=projection, id=id_):
                self._rows[projection].want(id_)
            case RowWith(projection=projection, key=key):
                self._rows[projection].want_key(key)
            case RowsHaving(projection=projection, column=column, value=value):
                self._rows[projection].want_where(column, value)
            case HasKey() | KeyWith():
                self._people.want(question)
            case _:
                raise TypeError(f"nobody answers a {type(question).__name__}")

    def apply(self, decision: Decision, context: Context) -> None:
        """Take a decision as done.

        Raises, with nothing done, NotKnownYet when rows that it touches or people whom it names are missing, and
        ForgottenPersonError.
        """
        self._require(decision, context)
        if any(change.begins and self._has_begun(change.stream) for change in decision.changes):
            raise id_is_taken()
        decision, context = self._people.sealed(decision, context)
        for change in decision.changes:
            self._apply_change(change, context)
        self._credentials.extend(decision.credentials)
        self._forgotten.extend(decision.forgotten)
        self._time += TICK

    def _has_begun(self, stream: UUID) -> bool:
        """As far as is known. What is not known, the log's primary key refuses."""
        loaded = self._streams.get(stream)
        return loaded is not None and loaded.version > 0

    def _require(self, decision: Decision, context: Context) -> None:
        if missing := [*self._people.unknown(decision, context), *self._missing_rows(decision)]:
            raise NotKnownYet(missing)
        self._people.require_keys(decision, context)

    def _missing_rows(self, decision: Decision) -> list[Question[Any]]:  # Any: questions of all kinds
        missing: list[Question[Any]] = []
        for change in decision.changes:
            for event in change.events:
                for projection, rows, targets in self._takers(type(event)):
                    for target in targets(change.stream, event):
                        match target:
                            case OneRow(id=id_) if not rows.knows(id_):
                                missing.append(RowAt(projection, id_))
                            case RowsWhere(column=column, value=value) if not rows.knows_where(column, value):
                                missing.append(RowsHaving(projection, column, value))
                            case _:
                                pass
        return missing

    def _apply_change(self, change: Change, context: Context) -> None:
        if not change.events:
            return
        before = self._streams.get(change.stream, Loaded(change.decider.initial, 0))
        for number, event in enumerate(change.events, start=1):
            self._position += 1
            version = before.version + number
            recorded = Recorded(self._position, change.stream, version, event, self._time, context)
            self.events.append(recorded)
            for _, rows, targets in self._takers(type(event)):
                for target in targets(change.stream, event):
                    rows.apply(target, recorded)
        after = Loaded(change.state, before.version + len(change.events))
        self._streams[change.stream] = after
        first = self._changed_streams.get(change.stream, (change.decider, before, after))[1]
        self._changed_streams[change.stream] = (change.decider, first, after)

    def _takers(self, kind: type[Event]) -> list[tuple[Projection[Any], WorkingRows[Any], Targets]]:
        """The projections that take this type of event."""
        takers = self._takers_of.get(kind)
        if takers is None:
            takers = self._takers_of[kind] = [
                (projection, rows, projection.targets[kind])
                for projection, rows in self._rows.items()
                if kind in projection.targets
            ]
        return takers

    def remember(self, decision: Decision) -> Document | None:
        """Keep the answer to a decision just taken as done, if it is to be remembered: the resource as it is now."""
        if decision.remembering is None:
            return None
        document = self.document(decision.answer)
        if document is None:
            raise RuntimeError("an answer that takes more than its own row cannot be remembered")
        remembered = decision.remembering(document)
        self._remembered.append(remembered)
        self._answers[remembered.project_id, remembered.key] = remembered
        return document

    def lacks(self, answer: Answer) -> bool:
        """Whether it is known that the resource that answers a command is not there."""
        rows = self._rows[answer.projection]
        return rows.knows(answer.id) and rows.get(answer.id) is None

    def document(self, answer: Answer) -> Document | None:
        """The resource that answers a command, where that takes no row but its own."""
        rows = self._rows[answer.projection]
        row = rows.get(answer.id) if rows.knows(answer.id) else None
        body = None if row is None else answer.projection.document_of(row)
        if row is None or body is None:
            return None
        return Document(
            id=row.id,
            project_id=row.project_id,
            revision=row.revision,
            parent_id=answer.projection.parent_of(row),
            body=body,
        )
