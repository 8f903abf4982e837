"""The read table of inference services, each with the versions that it serves or was asked to serve."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar, assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Struct, UnsetType, structs

from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import (
    ObjectDisappeared,
    ObjectDrifted,
    ServiceFact,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
    disappearance_message,
    drift_message,
)
from modeltrail.domain.inference_service_messages import (
    DeploymentApplied,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentPostponed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentWithdrawn,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceCreated,
    ServiceDeleted,
    ServiceLaterEvent,
    ServiceRelabelled,
    ServiceRenamed,
    Undeployed,
    UndeploymentRequested,
    VersionChosen,
)
from modeltrail.domain.model_version_messages import VersionRenamed
from modeltrail.domain.registered_model_messages import ModelRenamed
from modeltrail.domain.serving_environment import EnvironmentRenamed
from modeltrail.domain.serving_options import LET_KSERVE_CHOOSE, Resources, ServingOptions
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
from modeltrail.projections.times import Microseconds, to_microseconds

SQL = Statements("modeltrail.projections", "documents.sql")

T = TypeVar("T")

_Change = DeploymentEvent | ServiceRenamed | ServiceRelabelled | VersionChosen | ServeModelAdded | ServeModelRemoved


class ServiceState(StrEnum):
    DEPLOYED = "DEPLOYED"
    UNDEPLOYED = "UNDEPLOYED"


class ServiceBody(Struct, frozen=True, kw_only=True):
    """A service as lists show it, in the order of the wire."""

    id: UUID
    created_at: Microseconds
    updated_at: Microseconds
    project_id: UUID
    name: str
    external_id: str | UnsetType = UNSET
    serving_environment_id: UUID
    serving_environment_name: str
    registered_model_id: UUID
    registered_model_name: str
    model_version_id: UUID | None
    desired_state: ServiceState
    current_state: ServiceState
    runtime: str
    url: str | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    min_replicas: int | UnsetType = UNSET
    max_replicas: int | UnsetType = UNSET
    resources: Resources | UnsetType = UNSET
    protocol_version: str | UnsetType = UNSET
    canary_traffic_percent: int | UnsetType = UNSET
    labels: dict[str, str]


class ServiceWithModels(ServiceBody, frozen=True, kw_only=True):
    """A service as it is shown on its own, with what it serves or was asked to serve, oldest first."""

    served_models: tuple[ServeModelBody, ...]


class ServiceRow(Row, frozen=True):
    """A service and its serve models, oldest first. It may wait for a version that is fit to be deployed."""

    body: ServiceBody
    served_models: tuple[ServeModelBody, ...] = ()
    awaits_version: bool = False


def _its_services(stream: UUID, _event: ModelRenamed) -> Iterable[Target]:
    return (RowsWhere("registered_model_id", stream),)


def _serving_it(stream: UUID, _event: VersionRenamed) -> Iterable[Target]:
    return (RowsWhere("model_version_id", stream),)


def _those_in_it(stream: UUID, _event: EnvironmentRenamed) -> Iterable[Target]:
    return (RowsWhere("serving_environment_id", stream),)


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(ServiceLaterEvent | ServiceFact), own_row),
    ServiceCreated: new_row,
    ModelRenamed: _its_services,
    VersionRenamed: _serving_it,
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
    if isinstance(event, EnvironmentRenamed):
        return structs.replace(row, body=structs.replace(row.body, serving_environment_name=event.name))
    if isinstance(event, VersionRenamed):
        return structs.replace(row, served_models=serve_models_after(row.served_models, recorded))
    if isinstance(event, ServiceDeleted):
        return None
    if isinstance(event, _Change):
        at = recorded.recorded_at
        return structs.replace(
            row,
            body=structs.replace(_changed(row.body, event), updated_at=to_microseconds(at)),
            served_models=serve_models_after(row.served_models, recorded),
            awaits_version=_awaits_version(row, event),
            updated_at=at,
        )
    if isinstance(event, ServiceFact):
        at = recorded.recorded_at
        body = structs.replace(_observed(row.body, event), updated_at=to_microseconds(at))
        served = serve_models_after(row.served_models, recorded)
        return structs.replace(row, body=body, served_models=served, updated_at=at)
    return row


def _created(event: ServiceCreated, recorded: Recorded) -> ServiceRow:
    at = recorded.recorded_at
    shown = to_microseconds(at)
    body = ServiceBody(
        id=recorded.stream,
        created_at=shown,
        updated_at=shown,
        project_id=event.project_id,
        name=event.name,
        external_id=UNSET,
        serving_environment_id=event.serving_environment_id,
        serving_environment_name=event.serving_environment_name,
        registered_model_id=event.registered_model_id,
        registered_model_name=event.registered_model_name,
        model_version_id=event.model_version_id,
        desired_state=ServiceState.DEPLOYED,
        current_state=ServiceState.UNDEPLOYED,
        runtime=event.runtime,
        url=UNSET,
        last_error=UNSET,
        labels=event.labels,
    )
    return ServiceRow(id=recorded.stream, project_id=event.project_id, created_at=at, updated_at=at, body=body)


def _awaits_version(row: ServiceRow, event: _Change) -> bool:
    match event:
        case DeploymentPostponed():
            return True
        case DeploymentRequested() | DeploymentWithdrawn():
            return False
        case _:
            return row.awaits_version


def _changed(body: ServiceBody, event: _Change) -> ServiceBody:  # noqa: C901 - one flat case per event
    match event:
        case DeploymentPostponed(model_version_id=version, message=message, options=options):
            return structs.replace(
                _with_options(body, options),
                desired_state=ServiceState.DEPLOYED,
                model_version_id=version or body.model_version_id,
                last_error=message,
            )
        case DeploymentWithdrawn():
            return structs.replace(body, desired_state=ServiceState.UNDEPLOYED, last_error=UNSET)
        case ServiceRenamed(name=name):
            return structs.replace(body, name=name)
        case ServiceRelabelled(labels=labels):
            return structs.replace(body, labels=labels)
        case VersionChosen(model_version_id=version):
            return structs.replace(body, model_version_id=version)
        case ServeModelAdded() | ServeModelRemoved():
            return body
        case DeploymentRequested(target=target):
            return structs.replace(
                _with_options(body, target.options),
                desired_state=ServiceState.DEPLOYED,
                model_version_id=target.model_version_id,
                last_error=UNSET,
            )
        case DeploymentApplied(external_id=external_id):
            return structs.replace(body, external_id=external_id)
        case DeploymentSucceeded(external_id=external_id, url=url):
            return structs.replace(
                body,
                current_state=ServiceState.DEPLOYED,
                external_id=external_id,
                url=url or UNSET,
                last_error=UNSET,
            )
        case DeploymentFailed(message=message):
            return structs.replace(body, last_error=message)
        case UndeploymentRequested():
            return structs.replace(body, desired_state=ServiceState.UNDEPLOYED)
        case Undeployed():
            return structs.replace(
                body, current_state=ServiceState.UNDEPLOYED, external_id=UNSET, url=UNSET, last_error=UNSET
            )
        case _:
            assert_never(event)


def _observed(body: ServiceBody, event: ServiceFact) -> ServiceBody:
    match event:
        case ServiceInterrupted(message=message):
            return structs.replace(body, current_state=ServiceState.UNDEPLOYED, last_error=message)
        case ServiceRecovered(external_id=external_id, url=url):
            return structs.replace(
                body,
                current_state=ServiceState.DEPLOYED,
                external_id=external_id,
                url=url or UNSET,
                last_error=UNSET,
            )
        case ServiceMoved(external_id=external_id, url=url):
            return structs.replace(body, external_id=external_id, url=url or UNSET)
        case ObjectDisappeared():
            return structs.replace(
                body,
                current_state=ServiceState.UNDEPLOYED,
                external_id=UNSET,
                url=UNSET,
                last_error=disappearance_message(event),
            )
        case ObjectDrifted():
            return structs.replace(body, last_error=drift_message(event))
        case UndeploymentStalled(message=message):
            return structs.replace(body, last_error=message)
        case _:
            assert_never(event)


def _with_options(body: ServiceBody, options: ServingOptions) -> ServiceBody:
    def shown(option: T | None) -> T | UnsetType:
        return UNSET if option is None else option

    return structs.replace(
        body,
        runtime=options.runtime or LET_KSERVE_CHOOSE,
        min_replicas=shown(options.min_replicas),
        max_replicas=shown(options.max_replicas),
        resources=shown(options.resources),
        protocol_version=shown(options.protocol_version),
        canary_traffic_percent=shown(options.canary_traffic_percent),
    )


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
    version=1,
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
