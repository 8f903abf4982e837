"""Telling the log what the cluster answered."""

import structlog

from modeltrail.commands.committing.committer import Committer, LogUnavailableError
from modeltrail.commands.deployments import ClusterReport, Report
from modeltrail.domain.ids import ProjectId, ServiceId
from modeltrail.eventlog.record import Context, System
from modeltrail.postgres.ids import new_id
from modeltrail.projections.request_row import RequestRow
from modeltrail.workers.pauses import pauses, sleep

_log = structlog.get_logger(__name__)
WORKER = System("deploy-worker")


class Reporter:
    """Gives reports to the committer, as often as it takes: the answer to a request must not be lost."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def report(self, request: RequestRow, news: ClusterReport) -> None:
        """Record `news` about `request`."""
        for pause in pauses():
            context = Context(
                project_id=ProjectId(request.project_id),
                command_id=new_id(),
                request_id=request.request_id,
                actor=WORKER,
                causation_id=request.requested_position,
            )
            try:
                await self._committer.submit(Report(ServiceId(request.id), news), context)
            except LogUnavailableError as error:
                _log.warning("the log cannot be written; trying again", error=str(error), service=str(request.id))
                await sleep(pause)
            else:
                _log.info("reported", news=type(news).__name__, service=str(request.id), request_id=request.request_id)
                return
