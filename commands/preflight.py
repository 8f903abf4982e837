"""Asking the cluster, before a deployment is accepted, what it would say to it.

What is asked is what the command would leave for the deploy worker, so the worker is who asks the cluster: the API has
no client for it. Whoever does not answer in time is not waited for: the deployment is accepted, as it would be anyhow.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import structlog
from asyncpg import Pool
from msgspec import Struct

from modeltrail.commands.committing.rehearsal import Rehearsal
from modeltrail.commands.decision import Command
from modeltrail.commands.deployments import SUBSCRIPTION
from modeltrail.domain.errors import RuleError
from modeltrail.eventlog.record import Context
from modeltrail.postgres.asking import Asker
from modeltrail.postgres.connect import is_lost
from modeltrail.postgres.statements import Statements
from modeltrail.projections.deployment_tasks import DEPLOYMENT_TASKS, TaskRow, ToApply
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

_log = structlog.get_logger(__name__)
SQL = Statements("modeltrail.commands", "preflight.sql")

PREFLIGHT = "modeltrail_preflight"  # the channel on which the deploy worker is asked
SECONDS = 1.5  # for each look at it: as a rule there is one, and the answer to the caller comes within two
SILENCE = 10.0  # seconds for which nobody is asked after nobody has answered
LARGEST = 7_000  # bytes of a question: a notification holds 8,000

FINE = "fine"
UNKNOWN = "unknown"
REFUSED = "refused: "


class Proposal(Struct, frozen=True):
    """What the worker would be told to do for a service."""

    service: UUID
    task: ToApply


read_proposal = msgspec.json.Decoder(Proposal).decode
_write = msgspec.json.Encoder().encode


class Preflight:
    """One per process. Holds connections of the pool only while it asks, a few at a time."""

    def __init__(self, pool: Pool, projections: Iterable[Projection[Any]]) -> None:  # Any: of any kind
        self._pool = pool
        self._tables = [Table(projection) for projection in projections]
        self._asker = Asker(pool)
        self._silent_until = 0.0

    async def check(self, command: Command, context: Context) -> None:
        """Raises RuleError, in the cluster's words, when it would refuse what `command` asks of it."""
        if time.monotonic() < self._silent_until:
            return
        refused: list[Proposal] = []
        refusal: str | None = None
        try:
            async with asyncio.timeout(SECONDS) as patience:
                # What is refused may be due to somebody who was faster with the same. Then the command is refused, or
                # answered, without the cluster by now, or asks it for something else: another made-up name.
                while (proposals := await self._proposals(command, context)) != refused:
                    refused, refusal = proposals, None
                    refusal = await self._refusal(proposals)
                    if refusal is None:
                        return
                    patience.reschedule(asyncio.get_running_loop().time() + SECONDS)
        except Exception as error:
            if not is_lost(error):
                raise
            if refusal is None:
                self._note_silence()
        if refusal is not None:
            raise RuleError(f"the cluster refuses this deployment: {refusal}")

    async def _refusal(self, proposals: Iterable[Proposal]) -> str | None:
        """Why the cluster would refuse one of them, in its words; None when it says of none that it would."""
        answers = [await self._answer(proposal) for proposal in proposals]
        if None in answers:
            self._note_silence()
        refused = next((answer for answer in answers if answer is not None and answer.startswith(REFUSED)), None)
        return None if refused is None else refused.removeprefix(REFUSED)

    def _note_silence(self) -> None:
        self._silent_until = time.monotonic() + SILENCE
        _log.warning("the cluster was not asked before a deployment: nobody answered in time")

    async def _answer(self, proposal: Proposal) -> str | None:
        question = _write(proposal).decode()
        if len(question.encode()) > LARGEST:
            return UNKNOWN
        return await self._asker.ask(PREFLIGHT, question, SECONDS)

    async def _proposals(self, command: Command, context: Context) -> list[Proposal]:
        """What the worker would get to do; nothing when there is no worker, or the command is refused anyhow."""
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(SQL.is_worked_on, SUBSCRIPTION):
                return []
            rehearsal = await Rehearsal.begin(connection, self._tables)
            await rehearsal.decide([(command, context)])
        rows: list[TaskRow] = rehearsal.rows_left(DEPLOYMENT_TASKS)
        return [Proposal(row.id, row.task) for row in rows if isinstance(row.task, ToApply)]
