"""One batch: deciding commands one after the other, and writing what they decided, all of it or nothing."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from asyncpg import Connection
from msgspec import Struct

from modeltrail.commands.committing.working_set import NotKnownYet, WorkingSet
from modeltrail.commands.decision import Answer, Asking, Command, Decision
from modeltrail.commands.question import Question
from modeltrail.domain.errors import DomainError
from modeltrail.eventlog.log import Head
from modeltrail.eventlog.record import Context
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.connect import is_lost
from modeltrail.projections.documents import Document, read_documents
from modeltrail.projections.projection import Projection

_log = structlog.get_logger(__name__)


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
    left_its_answer: bool = False  # whether the resource that answers the command was there after it
    remembered: Document | None = None  # the resource whose answer is kept for the same request sent again
    events: int = 0
    tried_behind: Head | None = None  # where the log ended before the first try that may have written this
    waiting: tuple[Asking, Question[Any]] | None = None  # Any: a question of any kind

    @property
    def may_have_been_written(self) -> bool:
        """Whether it was in a batch that is written, or whose end is not known: only the log can tell."""
        return self.tried_behind is not None

    @property
    def may_yet_be_written(self) -> bool:
        """Whether it is decided, and so on its way to the log, or there already. Before that it can be taken back."""
        return self.decision is not None or self.may_have_been_written

    def reset(self) -> None:
        """Forget what was decided: it was not written."""
        self.decision, self.refusal, self.events, self.waiting = None, None, 0, None
        self.remembered, self.left_its_answer = None, False

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


async def decide_all(connection: Connection, working: WorkingSet, commands: Sequence[Pending]) -> None:
    """Decide each command, in order, on what those before it left. What is not known is read over `connection`.

    First each is asked for its first question, and all are answered together. After a command that still has to
    wait for an answer, the others are only asked what they will want to know.
    """
    working.move_to(datetime.now(UTC))
    await working.load(connection, [question for pending in commands if (question := pending.first_question())])
    undecided = deque(commands)
    while undecided:
        questions: list[Question[Any]] = []  # Any: questions of all kinds
        while undecided and not questions:
            if undecided[0].done.done():  # its caller has been told that it is not written, or has gone away
                undecided.popleft()
                continue
            try:
                _decide(working, undecided[0])
            except NotKnownYet as signal:
                questions.extend(signal.questions)
            else:
                undecided.popleft()
        for pending in islice(undecided, 1, None):
            questions.extend(working.unknown_to(pending.command.decide(), pending.context))
        if questions:
            await working.load(connection, questions)


def _decide(working: WorkingSet, pending: Pending) -> None:
    before = len(working.events)
    try:
        decision = working.decide(*pending.asking())
        working.apply(decision, pending.context)
        pending.remembered = working.remember(decision)
        pending.left_its_answer = not working.lacks(decision.answer)
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


class AnswerGoneError(Exception):
    """A command of the batch took away what is to answer one before it, so the two cannot be written together."""


class Batch:
    """Decided commands, with what is to be written for them, as they left it: what is decided later is not in it."""

    def __init__(self, working: WorkingSet, commands: Sequence[Pending]) -> None:
        """Take what was decided out of `working`. Raises AnswerGoneError."""
        if any(_has_lost_its_answer(pending, working) for pending in commands):
            raise AnswerGoneError
        self.commands = commands
        self.written = False
        self._entry = working.take()
        self._answers: dict[Answer, Document] = {}
        self._unread: dict[Projection[Any], set[UUID]] = defaultdict(set)  # Any: of any kind
        for answer in {pending.decision.answer for pending in commands if pending.decision is not None}:
            document = working.document(answer)
            if document is None:
                self._unread[answer.projection].add(answer.id)
            else:
                self._answers[answer] = document

    async def write(self, connection: Connection) -> None:
        """Write and commit all of it, or nothing; then read the answers that take more than their own row.

        When the connection is lost meanwhile, `tried_behind` of the commands says where they are to be looked for.
        """
        first_tried = [pending for pending in self.commands if not pending.may_have_been_written]
        for pending in first_tried:
            pending.tried_behind = self._entry.behind
        try:
            await self._entry.write(connection)
        except Exception as error:
            if not is_lost(error):
                for pending in first_tried:
                    pending.tried_behind = None
            raise
        for projection, ids in self._unread.items():
            for id_, document in (await read_documents(connection, projection, ids)).items():
                self._answers[Answer(projection, id_)] = document
        self.written = True

    def answer(self) -> None:
        """Tell the callers what came of their commands."""
        for pending in self.commands:
            if pending.done.done():
                continue
            if pending.decision is None:
                pending.done.set_exception(pending.refusal or RuntimeError("a command was not decided"))
            else:
                document = pending.remembered or self._answers.get(pending.decision.answer)
                pending.done.set_result(Outcome(document, pending.events))


def _has_lost_its_answer(pending: Pending, working: WorkingSet) -> bool:
    if pending.decision is None or not pending.left_its_answer or pending.remembered is not None:
        return False
    return working.lacks(pending.decision.answer)
