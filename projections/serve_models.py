"""The read table of serve models: each version that a service serves or was asked to serve."""

from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.event import Event
from modeltrail.domain.ids import ServiceId, VersionId, serve_model_id
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ServiceInterrupted,
    ServiceRecovered,
)
from modeltrail.domain.inference_service_messages import (
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceDeleted,
    ServiceRenamed,
    Undeployed,
)
from modeltrail.domain.model_version_messages import VersionRenamed, VersionTakenOver
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import (
    Column,
    OneRow,
    Projection,
    Row,
    RowsWhere,
    Target,
    Targets,
    common_fields,
    types_in,
)
from modeltrail.projections.times import Microseconds, to_microseconds

SQL = Statements("modeltrail.projections", "documents.sql")


class ServeModelState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FAILED = "FAILED"


class ServeModelBody(Struct, frozen=True):
    """One version on one service, in the order of the wire."""

    id: UUID
    created_at: Microseconds
    updated_at: Microseconds
    project_id: UUID
    inference_service_id: UUID
    inference_service_name: str
    model_version_id: UUID
    model_version_name: str
    last_known_state: ServeModelState


class ServeModelRow(Row, frozen=True):
    """A serve model."""

    body: ServeModelBody


def new_serve_model(event: AnyEvent, recorded: Recorded) -> ServeModelBody | None:
    """The serve model that `event` makes where its service has none for the version."""
    match event:
        case DeploymentRequested(target=target, name=service_name):
            version, version_name = target.model_version_id, target.model_version_name
        case ServeModelAdded(inference_service_name=service_name):
            version, version_name = event.model_version_id, event.model_version_name
        case _:
            return None
    shown = to_microseconds(recorded.recorded_at)
    return ServeModelBody(
        id=serve_model_id(ServiceId(recorded.stream), version),
        created_at=shown,
        updated_at=shown,
        project_id=recorded.context.project_id,
        inference_service_id=recorded.stream,
        inference_service_name=service_name,
        model_version_id=version,
        model_version_name=version_name,
        last_known_state=ServeModelState.PENDING,
    )


def changed_serve_model(body: ServeModelBody, recorded: Recorded) -> ServeModelBody | None:  # noqa: C901 - one flat case per event
    """What an event makes of a serve model of its service or version; None when it is gone."""
    state: ServeModelState | None = None
    match recorded.event:
        case VersionRenamed(name=name) if recorded.stream == body.model_version_id:
            return structs.replace(body, model_version_name=name)
        case VersionTakenOver(origin=origin) if recorded.stream == body.model_version_id:
            return structs.replace(body, model_version_name=origin.name)
        case ServiceRenamed(name=name):
            return structs.replace(body, inference_service_name=name)
        case Undeployed() | ServiceDeleted():
            return None
        case ServeModelRemoved(model_version_id=version):
            return None if version == body.model_version_id else body
        case DeploymentSucceeded(model_version_id=version) | ServiceRecovered(model_version_id=version):
            if version != body.model_version_id:
                return None  # a roll-out replaces what served before
            state = ServeModelState.RUNNING
        case CanaryDeployed(model_version_id=canary, stable_version_id=stable):
            if body.model_version_id not in (canary, stable):
                return None  # it replaces another canary, too
            if body.model_version_id != canary and body.last_known_state is ServeModelState.RUNNING:
                return body
            state = ServeModelState.RUNNING  # the other, too: it may wait for a deployment that this one replaced
        case EarlierVersionRecovered(model_version_id=version) if version == body.model_version_id:
            state = ServeModelState.RUNNING
        case DeploymentRequested(target=target) if target.model_version_id == body.model_version_id:
            state = ServeModelState.PENDING
        case (
            DeploymentFailed(model_version_id=version)
            | ServiceInterrupted(model_version_id=version)
            | EarlierVersionInterrupted(model_version_id=version)
        ) if version == body.model_version_id:
            state = ServeModelState.FAILED
        case ObjectDisappeared(model_version_id=version) if (
            version == body.model_version_id or body.last_known_state is ServeModelState.RUNNING
        ):
            state = ServeModelState.FAILED  # a canary is gone with it
        case _:
            return body
    return structs.replace(body, last_known_state=state, updated_at=to_microseconds(recorded.recorded_at))


def serve_models_after(served: tuple[ServeModelBody, ...], recorded: Recorded) -> tuple[ServeModelBody, ...]:
    """All serve models of a service after an event, oldest first."""
    new = new_serve_model(recorded.event, recorded)
    if new is not None and all(each.id != new.id for each in served):
        return (*served, new)
    changed = (changed_serve_model(each, recorded) for each in served)
    return tuple(each for each in changed if each is not None)


_OfOneVersion = (
    DeploymentFailed
    | ServiceInterrupted
    | EarlierVersionInterrupted
    | EarlierVersionRecovered
    | ServeModelAdded
    | ServeModelRemoved
)


def _the_one_asked_for(stream: UUID, event: DeploymentRequested) -> Iterable[Target]:
    return _the_one(stream, event.target.model_version_id)


def _the_one_named(stream: UUID, event: _OfOneVersion) -> Iterable[Target]:
    return _the_one(stream, event.model_version_id)


def _the_one(stream: UUID, version: VersionId) -> Iterable[Target]:
    return (OneRow(serve_model_id(ServiceId(stream), version)),)


def _all_of_the_service(stream: UUID, _event: object) -> Iterable[Target]:
    return (RowsWhere("inference_service_id", stream),)


def _all_of_the_version(stream: UUID, _event: VersionRenamed) -> Iterable[Target]:
    return (RowsWhere("model_version_id", stream),)


def _all_of_the_version_once_more(stream: UUID, event: VersionTakenOver) -> Iterable[Target]:
    return (RowsWhere("model_version_id", stream),) if event.is_again else ()


_TARGETS: dict[type[Event], Targets] = {
    DeploymentRequested: _the_one_asked_for,
    **dict.fromkeys(types_in(_OfOneVersion), _the_one_named),
    **dict.fromkeys(
        (
            DeploymentSucceeded,
            CanaryDeployed,
            ServiceRecovered,
            ObjectDisappeared,
            Undeployed,
            ServiceDeleted,
            ServiceRenamed,
        ),
        _all_of_the_service,
    ),
    VersionRenamed: _all_of_the_version,
    VersionTakenOver: _all_of_the_version_once_more,
}


def _apply(row: ServeModelRow | None, recorded: Recorded) -> ServeModelRow | None:
    at = recorded.recorded_at
    if row is None:
        new = new_serve_model(recorded.event, recorded)
        if new is None:
            return None
        # Its id is that of the service and the version, so it may have been there before.
        return ServeModelRow(
            id=new.id,
            project_id=new.project_id,
            created_at=at,
            updated_at=at,
            revision=recorded.position,
            body=new,
        )
    body = changed_serve_model(row.body, recorded)
    return None if body is None else structs.replace(row, body=body, updated_at=at)


_read_body = msgspec.json.Decoder(ServeModelBody).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> ServeModelRow:
    return ServeModelRow(**common_fields(record), body=_read_body(record["body"]))


SERVE_MODELS = Projection(
    name="serve_models",
    version=6,
    columns=(
        Column("inference_service_id", "uuid", lambda row: row.body.inference_service_id),
        Column("model_version_id", "uuid", lambda row: row.body.model_version_id),
        Column("last_known_state", "text", lambda row: row.body.last_known_state),
        Column("body", "json", lambda row: _write(row.body)),
    ),
    unique=(),
    counted=("last_known_state",),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_serve_model_documents,
    document_of=lambda row: _write(row.body),
)
