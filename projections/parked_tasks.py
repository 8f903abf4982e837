"""The tasks that the deploy worker is not at, as operators see them."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Connection, Record

from modeltrail.domain.ids import DeploymentId
from modeltrail.postgres.statements import Statements
from modeltrail.projections.deployment_tasks import Parked, read_task

SQL = Statements("modeltrail.projections", "parked_tasks.sql")

_UNREADABLE = "this version of modeltrail cannot read it; run a newer one, whose worker takes it up by itself"


class ParkedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment or undeployment that nobody is at. `cause` says at what the worker failed `tries` times in a row.

    What this version cannot even read was never tried: that cannot be retried or dismissed either.
    """

    id: DeploymentId
    wanted: str
    inference_service_id: UUID
    project_id: UUID
    name: str
    namespace: str
    since: datetime
    tries: int
    cause: str

    @property
    def is_readable(self) -> bool:
        """Whether it can be decided on."""
        return self.tries > 0


class _Place(msgspec.Struct, frozen=True):
    namespace: str = ""


class _Task(msgspec.Struct):
    """As little of a task as can be shown."""

    deployment_id: DeploymentId | None = None
    undeployment_id: DeploymentId | None = None
    name: str = ""
    namespace: str = ""
    target: _Place = _Place()


async def list_parked(connection: Connection) -> list[ParkedTask]:
    """All of them, those that were asked for first first."""
    rows = await connection.fetch(SQL.list_unanswered)
    return [_shown(row, parked) for row in rows if (parked := _parked(row)) is not None]


def _parked(row: Record) -> Parked | None:
    try:
        return read_task(row).parked
    except msgspec.DecodeError:
        return Parked(row["created_at"], 0, _UNREADABLE)


def _shown(row: Record, parked: Parked) -> ParkedTask:
    try:
        task = msgspec.json.decode(row["body"], type=_Task)
    except msgspec.DecodeError:
        task = _Task()
    return ParkedTask(
        id=task.deployment_id or task.undeployment_id or DeploymentId(row["id"]),
        wanted="undeployment" if task.undeployment_id else "deployment",
        inference_service_id=row["id"],
        project_id=row["project_id"],
        name=task.name,
        namespace=task.namespace or task.target.namespace,
        since=parked.since,
        tries=parked.tries,
        cause=parked.cause,
    )
