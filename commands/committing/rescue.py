"""Writing commands for sure: one batch at a time, over as many connections as it takes, and at last one by one."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from asyncpg import Connection, ReadOnlySQLTransactionError, UniqueViolationError

from modeltrail.commands.committing.batch import AnswerGoneError, Batch, Pending, decide_all
from modeltrail.commands.committing.session import LogUnavailableError, Session
from modeltrail.commands.committing.working_set import WorkingSet
from modeltrail.domain.errors import id_is_taken
from modeltrail.eventlog.first_mention import DIGESTS
from modeltrail.eventlog.log import committed_commands
from modeltrail.eventlog.turn import Turn
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.connect import TROUBLE, is_lost
from modeltrail.projections.table import Table

_log = structlog.get_logger(__name__)

RECONNECT_PAUSE = 0.05


class NotWrittenError(Exception):
    """The batch was not tried, because one ahead of it failed."""


class Rescue:
    """Takes over when a batch has failed, and sees to it that every one of its callers is told what is true."""

    def __init__(self, session: Session, tables: Sequence[Table[Any]], reconnect_seconds: float) -> None:
        self._session = session
        self._tables = tables
        self._reconnect_seconds = reconnect_seconds

    async def write(self, commands: Sequence[Pending], lost: BaseException | None = None) -> None:
        """Write a batch; if it fails as a whole, each of its commands alone, so that one harms nobody else.

        With `lost`, a first try has ended with that, and the connection is of no use any more.
        """
        try:
            await self._write_through_losses(commands, lost)
        except Exception as error:  # noqa: BLE001 - whichever it was, each caller is told
            await self.after(error, commands)

    async def after(self, error: BaseException, commands: Sequence[Pending]) -> None:
        """Go on with a batch that has failed with `error`."""
        if not commands:
            return
        if isinstance(error, ReadOnlySQLTransactionError):
            self._session.disconnect()  # a new connection may lead to the server that takes writes now
        if is_lost(error):
            await self.write(commands, error)
        elif isinstance(error, (LogUnavailableError, *TROUBLE)):
            fail(
                commands, LogUnavailableError(str(error), unknown=any(each.may_have_been_written for each in commands))
            )
        elif isinstance(error, NotWrittenError):
            await self.write(commands)
        elif isinstance(error, AnswerGoneError):
            middle = len(commands) // 2  # halved until the two that cannot be written together are apart
            await self.write(commands[:middle])
            await self.write(commands[middle:])
        elif len(commands) == 1:
            fail(commands, _reason(error, commands[0]))
        else:
            for pending in commands:
                await self.write([pending])

    async def _write_through_losses(self, commands: Sequence[Pending], lost: BaseException | None) -> None:
        """Write a batch, over as many connections as it takes.

        A connection that is lost at commit leaves open whether the batch was written. The next try takes the lock,
        which waits for the lost one to end, and then looks for the batch's commands after the old head.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._reconnect_seconds
        told = False
        while True:
            if lost is not None:
                if loop.time() > deadline:
                    raise LogUnavailableError("the database cannot be reached") from lost
                if not told:  # not with each of the tries, which are many
                    _log.warning("the database connection was lost; trying again", cause=causes_of(lost))
                    told = True
                self._session.disconnect()
                await asyncio.sleep(RECONNECT_PAUSE)
            try:
                return await self._write(*await self._session.writer(), commands)
            except Exception as error:
                if not is_lost(error):
                    raise
                lost = error

    async def _write(self, connection: Connection, turn: Turn, commands: Sequence[Pending]) -> None:
        working = await WorkingSet.begin(turn, self._tables)
        todo = await _not_yet_written(connection, commands)
        for pending in todo:
            pending.reset()
        await decide_all(connection, working, todo)
        batch = Batch(working, commands)
        await batch.write(connection)
        batch.answer()


async def _not_yet_written(connection: Connection, commands: Sequence[Pending]) -> Sequence[Pending]:
    tried = {pending.context.command_id: pending.tried_behind for pending in commands if pending.tried_behind}
    if not tried:
        return commands
    behind = min(head.position for head in tried.values())
    written = await committed_commands(connection, behind, list(tried))
    return [pending for pending in commands if pending.context.command_id not in written]


def _reason(error: BaseException, pending: Pending) -> BaseException:
    """What the caller of a command is told that failed all alone."""
    constraint = str(getattr(error, "constraint_name", "")) if isinstance(error, UniqueViolationError) else ""
    if constraint.endswith("_pkey"):
        return id_is_taken()  # by a stream of the log, or by a row of a read table
    if constraint == DIGESTS:
        # By a process of an older version, which needs no lock for it; the next try finds the key.
        gone_ahead = "the key of a person who is named for the first time has just been stored by another process"
        return LogUnavailableError(gone_ahead, unknown=pending.may_have_been_written)
    kind = type(pending.command).__name__
    _log.error("a command could not be written", command=kind, cause=causes_of(error), stack=stack_of(error))
    if pending.may_have_been_written:
        return LogUnavailableError("the command failed after a connection was lost", unknown=True)
    return error


def fail(commands: Iterable[Pending], error: BaseException) -> None:
    """Tell all callers who still wait the same."""
    for pending in commands:
        if not pending.done.done():
            pending.done.set_exception(error)
