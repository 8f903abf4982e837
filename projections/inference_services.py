"""The read table of inference services, each with the versions that it serves or was asked to serve."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import structs

from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import ServiceFact
from modeltrail.domain.inference_service_messages import (
    DeploymentPostponed,
    DeploymentRequested,
    DeploymentWithdrawn,
    ServiceCreated,
    ServiceDeleted,
    ServiceLaterEvent,
)
from modeltrail.domain.model_version_messages import VersionRenamed, VersionTakenOver
from modeltrail.domain.registered_model_messages import ModelRenamed, ModelTakenOver
from modeltrail.domain.serving_environment import EnvironmentRenamed
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import (
    Column,
    Projection,
    Row,
    RowsWhere,
    Target,
    Targets,
    common_fields,
    new_row,
    own_row,
    types_in,
)
from modeltrail.projections.serve_models import ServeModelBody, serve_models_after
from modeltrail.projections.service_body import ServiceBody, ServiceBodyChange, changed, created, observed
from modeltrail.projections.times import to_microseconds

SQL = Statements("modeltrail.projections", "documents.sql")


class ServiceRow(Row, frozen=True):
    """A service and its serve models, oldest first. It may wait for a version that is fit to be deployed."""

    body: ServiceBody
    served_models: tuple[ServeModelBody, ...] = ()
    awaits_version: bool = False


def _its_services(stream: UUID, _event: ModelRenamed | ModelTakenOver) -> Iterable[Target]:
    return (RowsWhere("registered_model_id", stream),)


def _those_of_its_model(_stream: UUID, event: VersionRenamed) -> Iterable[Target]:
    """Any of them may serve the version, or be noted to, whichever its own is."""
    return (RowsWhere("registered_model_id", event.registered_model_id),)


def _those_of_its_model_once_more(_stream: UUID, event: VersionTakenOver) -> Iterable[Target]:
    return (RowsWhere("registered_model_id", event.registered_model_id),) if event.is_again else ()


def _those_in_it(stream: UUID, _event: EnvironmentRenamed) -> Iterable[Target]:
    return (RowsWhere("serving_environment_id", stream),)


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(ServiceLaterEvent | ServiceFact), own_row),
    ServiceCreated: new_row,
    **dict.fromkeys((ModelRenamed, ModelTakenOver), _its_services),
    VersionRenamed: _those_of_its_model,
    VersionTakenOver: _those_of_its_model_once_more,
    EnvironmentRenamed: _those_in_it,
}


def _apply(row: ServiceRow | None, recorded: Recorded) -> ServiceRow | None:
    event = recorded.event
    if isinstance(event, ServiceCreated):
        return _created(event, recorded)
    if row is None:
        return None
    if isinstance(event, ModelRenamed):
        return structs.replace(row, body=structs.replace(row.body, registered_model_name=event.name))
    if isinstance(event, ModelTakenOver):
        return structs.replace(row, body=structs.replace(row.body, registered_model_name=event.origin.name))
    if isinstance(event, EnvironmentRenamed):
        return structs.replace(row, body=structs.replace(row.body, serving_environment_name=event.name))
    if isinstance(event, VersionRenamed | VersionTakenOver):
        return structs.replace(row, served_models=serve_models_after(row.served_models, recorded))
    if isinstance(event, ServiceDeleted):
        return None
    if isinstance(event, ServiceBodyChange):
        at = recorded.recorded_at
        return structs.replace(
            row,
            body=structs.replace(changed(row.body, event), updated_at=to_microseconds(at)),
            served_models=serve_models_after(row.served_models, recorded),
            awaits_version=_awaits_version(row, event),
            updated_at=at,
        )
    if isinstance(event, ServiceFact):
        at = recorded.recorded_at
        body = structs.replace(observed(row.body, event), updated_at=to_microseconds(at))
        served = serve_models_after(row.served_models, recorded)
        return structs.replace(row, body=body, served_models=served, updated_at=at)
    return row


def _created(event: ServiceCreated, recorded: Recorded) -> ServiceRow:
    at = recorded.recorded_at
    body = created(event, recorded)
    return ServiceRow(id=recorded.stream, project_id=event.project_id, created_at=at, updated_at=at, body=body)


def _awaits_version(row: ServiceRow, event: ServiceBodyChange) -> bool:
    match event:
        case DeploymentPostponed():
            return True
        case DeploymentRequested() | DeploymentWithdrawn():
            return False
        case _:
            return row.awaits_version


_read_body = msgspec.json.Decoder(ServiceBody).decode
_read_served = msgspec.json.Decoder(tuple[ServeModelBody, ...]).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> ServiceRow:
    return ServiceRow(
        **common_fields(record),
        body=_read_body(record["body"]),
        served_models=_read_served(record["served_models"]),
        awaits_version=record["awaiting_model_id"] is not None,
    )


def _document(record: Record) -> bytes:
    return _with_served(record["body"], record["served_models"])


def _with_served(body: bytes, served: bytes) -> bytes:
    return b'%b,"served_models":%b}' % (body[:-1], served)


INFERENCE_SERVICES = Projection(
    name="inference_services",
    version=2,
    columns=(
        Column("serving_environment_id", "uuid", lambda row: row.body.serving_environment_id),
        Column("registered_model_id", "uuid", lambda row: row.body.registered_model_id),
        Column("model_version_id", "uuid", lambda row: row.body.model_version_id),
        # Null unless it waits for one of the model's versions: the services to look at when a version changes.
        Column("awaiting_model_id", "uuid", lambda row: row.body.registered_model_id if row.awaits_version else None),
        Column("name", "text", lambda row: row.body.name),
        Column("external_id", "text", lambda row: row.body.external_id or None),
        Column("desired_state", "text", lambda row: row.body.desired_state),
        Column("current_state", "text", lambda row: row.body.current_state),
        Column("served_models", "json", lambda row: _write(row.served_models)),
        Column("body", "json", lambda row: _write(row.body)),
    ),
    unique=("serving_environment_id", "name"),
    counted=("desired_state", "current_state"),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_service_documents,
    document=_document,
    document_of=lambda row: _with_served(_write(row.body), _write(row.served_models)),
)
