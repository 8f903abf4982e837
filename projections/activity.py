"""What happened in each project on each day, counted: for dashboards. It follows the log, a moment behind."""

from collections.abc import Iterable
from datetime import UTC, date
from functools import lru_cache
from uuid import UUID, uuid5

import msgspec
from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ObjectDrifted,
    ServiceInterrupted,
    ServiceRecovered,
)
from modeltrail.domain.inference_service_messages import (
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    ServiceCreated,
    ServiceDeleted,
    Undeployed,
    UndeploymentRequested,
)
from modeltrail.domain.model_version_messages import (
    VersionDeleted,
    VersionMarkedFailed,
    VersionMarkedReady,
    VersionRegistered,
)
from modeltrail.domain.person import PersonErased
from modeltrail.domain.registered_model_messages import ModelArchived, ModelDeleted, ModelRegistered
from modeltrail.domain.serving_environment import EnvironmentCreated, EnvironmentDeleted
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Column, OneRow, Projection, Row, Target, common_fields, own_row, types_in
from modeltrail.projections.times import Microseconds, to_microseconds

SQL = Statements("modeltrail.projections", "documents.sql")


class ActivityBody(Struct, frozen=True, kw_only=True):
    """A day (UTC) in a project: how often each of these happened, and `events` of any kind. `created_at` and
    `updated_at` are when the first and the last of them did."""

    id: UUID
    created_at: Microseconds
    updated_at: Microseconds
    project_id: UUID
    day: date
    events: int = 0
    models_registered: int = 0
    models_archived: int = 0
    models_deleted: int = 0
    versions_registered: int = 0
    versions_ready: int = 0
    versions_failed: int = 0
    versions_deleted: int = 0
    environments_created: int = 0
    environments_deleted: int = 0
    services_created: int = 0
    services_deleted: int = 0
    deployments_requested: int = 0
    deployments_live: int = 0
    deployments_failed: int = 0
    canaries_promoted: int = 0
    canaries_aborted: int = 0
    undeployments_requested: int = 0
    undeployments_done: int = 0
    interruptions: int = 0
    recoveries: int = 0
    drifts: int = 0


class ActivityRow(Row, frozen=True):
    """A day in a project: how often what happened, by the name of its counter."""

    day: date
    counts: dict[str, int]


_COUNTED: dict[type[Event], str] = {
    ModelRegistered: "models_registered",
    ModelArchived: "models_archived",
    ModelDeleted: "models_deleted",
    VersionRegistered: "versions_registered",
    VersionMarkedReady: "versions_ready",
    VersionMarkedFailed: "versions_failed",
    VersionDeleted: "versions_deleted",
    EnvironmentCreated: "environments_created",
    EnvironmentDeleted: "environments_deleted",
    ServiceCreated: "services_created",
    ServiceDeleted: "services_deleted",
    DeploymentRequested: "deployments_requested",
    DeploymentSucceeded: "deployments_live",
    CanaryDeployed: "deployments_live",
    DeploymentFailed: "deployments_failed",
    CanaryPromoted: "canaries_promoted",
    CanaryAborted: "canaries_aborted",
    UndeploymentRequested: "undeployments_requested",
    Undeployed: "undeployments_done",
    ServiceInterrupted: "interruptions",
    EarlierVersionInterrupted: "interruptions",
    ObjectDisappeared: "interruptions",
    ServiceRecovered: "recoveries",
    EarlierVersionRecovered: "recoveries",
    ObjectDrifted: "drifts",
}
_COUNTERS = ("events", *dict.fromkeys(_COUNTED.values()))


@lru_cache(maxsize=1024)
def _id_of(project: UUID, day: date) -> UUID:
    return uuid5(project, day.isoformat())


def _day_of(recorded: Recorded) -> date:
    return recorded.recorded_at.astimezone(UTC).date()


def _its_day(recorded: Recorded) -> Iterable[Target]:
    return (OneRow(_id_of(recorded.context.project_id, _day_of(recorded))),)


def _apply(row: ActivityRow | None, recorded: Recorded) -> ActivityRow:
    at, counts = recorded.recorded_at, row.counts if row else {}
    counts = {**counts, "events": counts.get("events", 0) + 1}
    counted = _COUNTED.get(type(recorded.event))
    if counted is not None:
        counts[counted] = counts.get(counted, 0) + 1
    if row is not None:
        return structs.replace(row, counts=counts, updated_at=at)
    project, day = recorded.context.project_id, _day_of(recorded)
    return ActivityRow(
        id=_id_of(project, day), project_id=project, created_at=at, updated_at=at, day=day, counts=counts
    )


_read_body = msgspec.json.Decoder(ActivityBody).decode
_encode = msgspec.json.Encoder().encode


def _read(record: Record) -> ActivityRow:
    body = _read_body(record["body"])
    return ActivityRow(
        **common_fields(record),
        day=body.day,
        counts={name: count for name in _COUNTERS if (count := getattr(body, name))},
    )


def _write(row: ActivityRow) -> bytes:
    body = ActivityBody(
        id=row.id,
        created_at=to_microseconds(row.created_at),
        updated_at=to_microseconds(row.updated_at),
        project_id=row.project_id,
        day=row.day,
        **row.counts,
    )
    return _encode(body)


ACTIVITY = Projection(
    name="activity",
    version=1,
    mode="async",
    columns=(
        Column("day", "date", lambda row: row.day),
        Column("body", "json", _write),
    ),
    unique=(),
    # A person who is erased is no project's, and no day's.
    targets=dict.fromkeys((each for each in types_in(AnyEvent) if each is not PersonErased), own_row),
    rows_of=_its_day,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_activity_documents,
    document_of=_write,
)
