"""The deploy worker: consumes the requests in the log, drives KServe, and reports what became of them.

It acts on what is, not on what was announced: the read table `deployment_tasks` holds, as of the newest event, each
request without an answer. A notification only says that it is time to look. So a worker that was killed anywhere
begins again by looking, and does again, harmlessly, what it did not get to report.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from asyncpg import Connection

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.deployments import SUBSCRIPTION, SYNC
from modeltrail.commands.preflight import PREFLIGHT
from modeltrail.failures import causes_of, leaves_of
from modeltrail.postgres.asking import Answering
from modeltrail.postgres.connect import is_passing, opened
from modeltrail.workers.cluster import Cluster
from modeltrail.workers.lease import Lease, LeaseLostError
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.pauses import pauses, sleep
from modeltrail.workers.preflight import Preflight
from modeltrail.workers.reports import Reporter
from modeltrail.workers.session import Session
from modeltrail.workers.storage import Locked, Storage

_log = structlog.get_logger(__name__)

# One that listens, or waits for something to look at, stands still for hours and keeps nobody waiting.
_SETTINGS = "SET idle_session_timeout = 0"


class DeployWorker:
    """One process's share in the work: it works while it holds the lease, and stands by otherwise."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        committer: Committer,
        cluster: Cluster,
        *,
        owner: str,
        options: WorkerOptions | None = None,
        storage: Storage | None = None,
    ) -> None:
        """`connect` opens a connection of the worker's own; `owner` names this process to operators. Without
        `storage`, versions whose storage must be opened cannot be deployed."""
        self._connect = connect
        self._cluster = cluster
        self._reporter = Reporter(committer)
        self._owner = owner
        self._options = options or WorkerOptions()
        self._storage = storage or Locked()
        self._stopping = False

    async def run(self) -> None:
        """Work until cancelled, over lost connections and lost leases."""
        work = asyncio.create_task(self._work_on(), name="deploy worker")
        try:
            await asyncio.wait([work])
        finally:
            # A flag beside the cancellation, which is lost when a connection breaks while it takes effect.
            self._stopping = True
            work.cancel()
            await asyncio.wait([work])
        work.result()

    async def _work_on(self) -> None:
        retries = pauses(longest=5.0)
        while not self._stopping:
            try:
                async with AsyncExitStack() as stack:
                    opening = [opened(self._connect, _SETTINGS) for _ in range(4)]
                    connections = [await stack.enter_async_context(each) for each in opening]
                    await self._work(*connections)
            except* LeaseLostError as lost:
                _log.warning("the lease was lost; standing by", error=str(lost.exceptions[0]))
            except* Exception as group:
                if not all(is_passing(error) for error in leaves_of(group)):
                    raise
                _log.warning("the database cannot be used; trying again", cause=causes_of(leaves_of(group)[0]))
                await sleep(next(retries))

    async def _work(
        self, for_lease: Connection, for_tasks: Connection, for_upkeep: Connection, for_questions: Connection
    ) -> None:
        lease = Lease(for_lease, SUBSCRIPTION, self._owner)
        await lease.acquire()
        try:
            async with asyncio.TaskGroup() as group:
                session = Session(
                    group, for_tasks, for_upkeep, self._cluster, self._storage, self._reporter, self._options, lease
                )
                group.create_task(lease.keep(), name="lease")
                group.create_task(session.run(), name="tasks")
                preflight = Preflight(self._cluster, self._storage, self._options.mode, session.upkeep)
                answers = {SYNC: session.read, PREFLIGHT: preflight.answer}
                group.create_task(Answering(for_questions, answers).run(), name="questions")
        finally:
            await lease.release()
