"""What a worker does while it holds the lease: it takes the requests without an answer, and follows the cluster."""

import asyncio
import time
from contextlib import aclosing
from typing import assert_never
from uuid import UUID

import msgspec
import structlog
from asyncpg import Connection

from modeltrail.commands.deployments import READ
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.connect import is_lost
from modeltrail.postgres.statements import Statements
from modeltrail.projections.deployment_tasks import TaskRow, ToApply, read_task
from modeltrail.workers.applying import Applier
from modeltrail.workers.cluster import (
    Applied,
    Bookmark,
    Change,
    Cluster,
    ClusterError,
    ClusterUnavailable,
    Deleted,
    ObservedService,
    WatchExpired,
)
from modeltrail.workers.lease import Lease
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.pauses import pauses, sleep
from modeltrail.workers.preflight import LONGEST_ANSWER
from modeltrail.workers.reports import Reporter
from modeltrail.workers.storage import Storage
from modeltrail.workers.task_runner import TaskRunner
from modeltrail.workers.upkeep import Upkeep
from modeltrail.workers.wakeups import Wakeups

_log = structlog.get_logger(__name__)
SQL = Statements("modeltrail.workers", "deploy.sql")

CALLS_AT_A_TIME = 32
LONGEST_PAUSE = 10.0  # seconds between two tries to follow the cluster, unless it asks for more
REFUSED_PAUSE = 5.0  # seconds at least, where it says that we may not
TASKS_PER_QUERY = 500


class Session:
    """The time of one lease: all that is known is read anew when it begins."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        connection: Connection,
        for_upkeep: Connection,
        cluster: Cluster,
        storage: Storage,
        reporter: Reporter,
        options: WorkerOptions,
        lease: Lease,
    ) -> None:
        self._group = group
        self._connection = connection
        self._cluster = cluster
        self._storage = storage
        self._reporter = reporter
        self._options = options
        self._lease = lease
        self._slots = asyncio.Semaphore(CALLS_AT_A_TIME)
        self._runners: dict[UUID, TaskRunner] = {}
        self._running: set[UUID] = set()
        self.upkeep = Upkeep(for_upkeep, cluster, reporter, options, self._slots, group)
        self._applier = Applier(cluster, storage, options, self.upkeep)
        self._inbox: dict[UUID, Applied | Deleted] = {}  # the newest change of each service that nobody has handled
        self._handling: set[UUID] = set()  # services whose changes are being handled
        self._seen = 0  # the position of the newest request that was taken

    async def run(self) -> None:
        """Take tasks and follow the cluster, each in a task of the group, until cancelled."""
        wakeups = Wakeups(self._connection)
        await wakeups.start()
        await self._take_tasks()
        self._group.create_task(self._observe(), name="observe")
        while True:
            await wakeups.next()
            await self._take_tasks()

    async def read(self, question: str) -> str:
        """Read the state of the service with this id from the cluster; `READ` when that is done, else why it is not."""
        try:
            await self._read(UUID(question))
        except ClusterError as error:
            return str(error)[:LONGEST_ANSWER]
        except Exception as error:
            if is_lost(error):
                raise
            # A mistake about one service, at which anybody can ask as often as they like, must not end the worker.
            _log.error("a question failed", question=question, cause=causes_of(error), stack=stack_of(error))
            return "the deploy worker failed at it, as its log tells"
        return READ

    async def _read(self, service: UUID) -> None:
        runner = self._runners.get(service)
        if runner is None or runner.is_done:
            await self.upkeep.read(service)
            return
        async with self._slots:
            observed = await self._cluster.get(*runner.place)
        if observed is not None and observed.service_id == service:
            await self._consider(runner, observed)

    async def _take_tasks(self) -> None:
        """Begin with every request that came since the last look."""
        while rows := await self._connection.fetch(SQL.list_tasks_after, self._seen, TASKS_PER_QUERY):
            for row in rows:
                self._seen = self._lease.position = row["requested_position"]
                try:
                    task = read_task(row)
                except msgspec.DecodeError as error:
                    # Nor can it be parked: the log's writer reads the row, too. `modeltrail worker parked` shows it.
                    _log.error("a deployment task cannot be read", service=str(row["id"]), cause=causes_of(error))
                else:
                    self._begin(task)
            if len(rows) < TASKS_PER_QUERY:
                return

    def _begin(self, task: TaskRow) -> None:
        runner = self._runners.get(task.id)
        if runner is None:
            runner = TaskRunner(
                task, self._cluster, self._applier, self._storage, self._reporter, self._options, self._slots
            )
            self._runners[task.id] = runner
        else:
            runner.replace(task)
        self._start(runner)

    def _start(self, runner: TaskRunner) -> None:
        """Let the runner try, now, whether it waits for its next try or for the cluster's answer."""
        service = runner.task.id
        runner.nudge()
        if service not in self._running:
            self._running.add(service)
            self._group.create_task(self._run(runner), name=f"task {service}")

    async def _run(self, runner: TaskRunner) -> None:
        service = runner.task.id
        try:
            await runner.run()
        finally:
            self._running.discard(service)
        if runner.is_done and isinstance(runner.task.task, ToApply):
            # Until the answer was written, all that the cluster told of the object was taken for a part of it.
            await self.upkeep.look_again(service)
        self._forget_if_done(service)

    def _forget_if_done(self, service: UUID) -> None:
        runner = self._runners.get(service)
        if runner is not None and runner.is_done and service not in self._running:
            del self._runners[service]

    async def _observe(self) -> None:
        """Follow the cluster: list, then watch, and list again whenever the watch may have missed something."""
        retries = pauses(longest=LONGEST_PAUSE)
        while True:
            began = time.monotonic()
            patience = await self._list_and_watch()
            if time.monotonic() - began > LONGEST_PAUSE:
                retries = pauses(longest=LONGEST_PAUSE)  # it went well, whatever ended it
            if patience is not None:
                # Also where the list is answered and only the watch is not: all objects, over and over, are not cheap.
                await sleep(max(next(retries), patience))

    async def _list_and_watch(self) -> float | None:
        """Once, until the watch ends. How many seconds to wait at least before the next time; None when it is due."""
        try:
            began = time.monotonic()
            services, version = await self._cluster.list()
            self._lease.follows_cluster = True
            await self._consider_all(services)
            self._start_those_without_object({service.service_id for service in services})
            _log.info("synced", services=len(services), seconds=round(time.monotonic() - began, 3))
            # Only the watch has an end: a long resync that was cut short would begin again for ever.
            async with (
                asyncio.timeout(self._options.resync_seconds),
                aclosing(self._cluster.watch(version)) as changes,
            ):
                async for change in changes:
                    self._follow(change)
        except TimeoutError:
            _log.debug("resync")
        except WatchExpired:
            _log.info("the watch expired; listing again")
            return 0.0
        except ClusterUnavailable as error:
            self._lease.follows_cluster = False
            _log.warning("the cluster cannot be watched; trying again", error=str(error))
            return error.retry_after or 0.0
        except ClusterError as error:
            self._lease.follows_cluster = False
            _log.error("the cluster refuses to be watched; trying again", error=str(error))
            return REFUSED_PAUSE
        return None

    def _follow(self, change: Change) -> None:
        """Note the newest of each service; one service's slow answer holds up no other's."""
        match change:
            case Applied(service=service) | Deleted(service=service):
                if service.service_id is not None:
                    self._inbox[service.service_id] = change
                    self._start_handling(service.service_id)
            case Bookmark():
                pass
            case _:
                assert_never(change)

    def _start_handling(self, service: UUID) -> None:
        if service not in self._handling:
            self._handling.add(service)
            self._group.create_task(self._handle(service), name=f"changes of {service}")

    async def _handle(self, service: UUID) -> None:
        """Handle the service's changes until there are none; those that a newer one has overtaken are left out."""
        try:
            while change := self._inbox.pop(service, None):
                runner = self._runners.get(service)
                match change:
                    case Applied(service=observed) if runner is not None and not runner.is_done:
                        await self._consider(runner, observed)
                    case Applied(service=observed):
                        await self.upkeep.look(service, observed)
                    case Deleted() if runner is not None and not runner.is_done:
                        self._start(runner)
                    case Deleted():
                        await self.upkeep.miss(service)
                    case _:
                        assert_never(change)
        finally:
            self._handling.discard(service)

    async def _consider_all(self, services: list[ObservedService]) -> None:
        for observed in services:
            if observed.service_id in self._runners:
                self._follow(Applied(observed))  # beside each other: their reports share a commit
        await self.upkeep.resync(services)

    async def _consider(self, runner: TaskRunner, observed: ObservedService) -> None:
        waits = runner.task.id not in self._running
        if await runner.try_to_consider(observed) and not (waits and runner.is_overwritten(observed)):
            if runner.is_done:
                await self.upkeep.look(runner.task.id, observed)  # others may have changed what is ready now
            self._forget_if_done(runner.task.id)
        else:
            self._start(runner)  # it looks itself, and then applies once more, or parks the task

    def _start_those_without_object(self, present: set[UUID | None]) -> None:
        """Let them try once more: who waits for an answer on an object that is not there would wait for ever."""
        for service, runner in self._runners.items():
            if service not in present and not runner.is_done:
                self._start(runner)
