"""One batch: deciding commands one after the other, and writing what they decided, all of it or nothing."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from asyncpg import Connection
from msgspec import Struct

from modeltrail.commands.decision import Answer, Asking, Command, Credentials, Decision
from modeltrail.commands.question import Question
from modeltrail.commands.remembered import columns_of as columns_of_remembered
from modeltrail.commands.remembered import save_remembered, save_statements
from modeltrail.commands.working_set import NotKnownYet, WorkingSet
from modeltrail.domain.errors import DomainError
from modeltrail.eventlog.log import CHANNEL, Head, columns_of
from modeltrail.eventlog.log import SQL as LOG
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.streams import due_snapshots, save_snapshots
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.statements import Statements
from modeltrail.projections.documents import Document, read_documents
from modeltrail.projections.projection import Projection

_log = structlog.get_logger(__name__)
SQL = Statements("modeltrail.commands", "credentials.sql")


class Outcome(Struct, frozen=True):
    """What came of a command: the resource that answers it, and how many events it added."""

    document: Document | None
    events: int


class Pending(Struct, eq=False):
    """A command on its way, and what became of it so far."""

    command: Command
    context: Context
    done: "asyncio.Future[Outcome]"
    decision: Decision | None = None
    refusal: Exception | None = None
    remembered: Document | None = None  # the resource whose answer is kept for the same request sent again
    events: int = 0
    tried_behind: Head | None = None  # where the log ended before the first try that may have written this
    waiting: tuple[Asking, Question[Any]] | None = None  # Any: a question of any kind

    def reset(self) -> None:
        """Forget what was decided: it was not written."""
        self.decision, self.refusal, self.events, self.waiting = None, None, 0, None
        self.remembered = None

    def first_question(self) -> Question[Any] | None:  # Any: a question of any kind
        """Start the command, and leave it waiting at its first question. It has been told nothing yet."""
        asking = self.command.decide()
        try:
            question = asking.send(None)
        except Exception:  # noqa: BLE001 - it needs to know nothing: whatever it was, it is decided when its turn comes
            return None
        self.waiting = (asking, question)
        return question

    def asking(self) -> tuple[Asking, Question[Any] | None]:
        """The command where it waits at its first question, or else from its beginning."""
        waiting, self.waiting = self.waiting, None
        return waiting or (self.command.decide(), None)


async def decide_all(connection: Connection, working: WorkingSet, batch: Sequence[Pending]) -> None:
    """Decide each command of the batch, in order, on what those before it left.

    First each is asked for its first question, and all are answered together. Behind a command that still has to
    wait for an answer, the others are only asked what they will want to know.
    """
    await working.load(connection, [question for pending in batch if (question := pending.first_question())])
    undecided = deque(batch)
    while undecided:
        questions: list[Question[Any]] = []  # Any: questions of all kinds
        while undecided and not questions:
            try:
                _decide(working, undecided[0])
            except NotKnownYet as signal:
                questions.extend(signal.questions)
            else:
                undecided.popleft()
        for pending in islice(undecided, 1, None):
            questions.extend(working.unknown_to(pending.command.decide()))
        if questions:
            await working.load(connection, questions)


def _decide(working: WorkingSet, pending: Pending) -> None:
    before = len(working.events)
    try:
        decision = working.decide(*pending.asking())
        working.apply(decision, pending.context)
        pending.remembered = working.remember(decision)
    except NotKnownYet:
        raise
    except DomainError as refusal:
        pending.refusal = refusal
    except Exception as error:
        if len(working.events) > before:
            raise  # half of it is applied: the batch is of no use any more, and each command is tried alone
        kind = type(pending.command).__name__
        _log.error("a command failed", command=kind, cause=causes_of(error), stack=stack_of(error))
        pending.refusal = error
    else:
        pending.decision, pending.events = decision, len(working.events) - before


async def write_all(connection: Connection, head: Head, working: WorkingSet) -> Head:
    """Append the events and write and commit everything that follows from them, or nothing; the log's new end.

    The usual batch is one statement, and so commits by itself: a round trip costs more than a row.
    """
    if not working.events:
        if working.remembered:
            await save_remembered(connection, working.remembered)
        return head
    gone = [(rows.table, ids) for rows in working.changed_rows() if (ids := rows.gone())]
    due = due_snapshots(working.changed_streams)
    if not (gone or due or working.credentials or working.forgotten):
        return await _write_events_and_rows(connection, head, working)
    async with connection.transaction():
        for table, ids in gone:
            await table.delete(connection, ids)
        end = await _write_events_and_rows(connection, head, working)
        if due:
            await save_snapshots(connection, due)
        if working.credentials:
            await _save_credentials(connection, working.credentials)
        if working.forgotten:  # last: a version may have come and gone in this batch
            await connection.execute(SQL.delete_credentials, working.forgotten)
    return end


async def _write_events_and_rows(connection: Connection, head: Head, working: WorkingSet) -> Head:
    """The events, all changed rows and what is remembered, in one statement."""
    parts = [LOG.insert_events]
    columns, end = columns_of(head, working.events)
    arguments: list[Any] = columns  # Any: one list per column
    for rows in working.changed_rows():
        if kept := rows.kept():
            parts.append(rows.table.save_statement(len(arguments) + 1))
            arguments.extend(rows.table.columns_of(kept))
    if working.remembered:
        parts.extend(save_statements(len(arguments) + 1))
        arguments.extend(columns_of_remembered(working.remembered))
    parts_by_name = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts))
    notify = f"SELECT pg_notify('{CHANNEL}', ${len(arguments) + 1})"
    await connection.execute(f"WITH {parts_by_name} {notify}", *arguments, str(end.position))
    return end


async def _save_credentials(connection: Connection, credentials: Iterable[Credentials]) -> None:
    await connection.executemany(
        SQL.save_credentials, [(each.version_id, each.project_id, each.key_id, each.box) for each in credentials]
    )


async def read_answers(connection: Connection, working: WorkingSet, batch: Iterable[Pending]) -> dict[Answer, Document]:
    """The resources that answer the decided commands, as the batch leaves them: at most one query per kind."""
    answers: dict[Answer, Document] = {}
    unread: dict[Projection[Any], set[UUID]] = defaultdict(set)  # Any: of any kind
    for answer in {pending.decision.answer for pending in batch if pending.decision is not None}:
        document = working.document(answer)
        if document is None:
            unread[answer.projection].add(answer.id)
        else:
            answers[answer] = document
    for projection, ids in unread.items():
        for id_, document in (await read_documents(connection, projection, ids)).items():
            answers[Answer(projection, id_)] = document
    return answers
