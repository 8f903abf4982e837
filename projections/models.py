"""The read table of registered models, each with its latest and default version."""

from collections.abc import Callable, Iterable, Set
from typing import Any, assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ServiceInterrupted,
    ServiceRecovered,
)
from modeltrail.domain.inference_service_messages import DeploymentFailed, DeploymentSucceeded, Undeployed
from modeltrail.domain.model_version_messages import (
    VersionEvent,
    VersionLaterEvent,
    VersionRegistered,
    VersionTakenOver,
)
from modeltrail.domain.person import PersonErased
from modeltrail.domain.personal import whose
from modeltrail.domain.registered_model_messages import (
    DefaultVersionChanged,
    DeploymentStatus,
    ModelChanged,
    ModelDeleted,
    ModelEvent,
    ModelRegistered,
    ModelTakenOver,
)
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.model_body import ModelBody, changed, registered, taken_over
from modeltrail.projections.projection import (
    Column,
    OneRow,
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
from modeltrail.projections.times import to_seconds
from modeltrail.projections.version_body import VersionBody, evolved, new_version, without_people
from modeltrail.projections.words import folded

SQL = Statements("modeltrail.projections", "documents.sql")


class ModelRow(Row, frozen=True):
    """A model, and which of its versions a single model shows. `live_services` are those that the cluster serves.

    Of these versions it also keeps what is shown, so that its answer is one row. None where it is not known, because
    the version became the default when it was neither that nor the latest: who reads has to look for it then.
    `owner_person` is whose address it shows.
    """

    body: ModelBody
    owner_person: UUID | None = None
    latest_version_id: UUID | None = None
    default_version_id: UUID | None = None
    latest_version: VersionBody | None = None
    default_version: VersionBody | None = None
    live_services: tuple[UUID, ...] = ()


_DeploymentEvent = (
    DeploymentSucceeded
    | CanaryDeployed
    | DeploymentFailed
    | Undeployed
    | ServiceInterrupted
    | ServiceRecovered
    | EarlierVersionInterrupted
    | EarlierVersionRecovered
    | ObjectDisappeared
)


def _owned(person: UUID, _event: PersonErased) -> Iterable[Target]:
    return (RowsWhere("owner_person", person),)


def _its_model(_stream: UUID, event: VersionEvent | _DeploymentEvent) -> Iterable[Target]:
    return (OneRow(event.registered_model_id),)


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(ModelEvent), own_row),
    **dict.fromkeys(types_in(VersionEvent | _DeploymentEvent), _its_model),
    ModelRegistered: new_row,
    PersonErased: _owned,
}


def _apply(row: ModelRow | None, recorded: Recorded) -> ModelRow | None:
    event = recorded.event
    if isinstance(event, ModelRegistered):
        return _registered(event, recorded)
    if isinstance(event, ModelTakenOver):
        return _taken_over(row, event, recorded)
    if row is None or isinstance(event, ModelDeleted):
        return None
    return _CHANGES[type(event)](row, event, recorded)


def _with_model_changed(row: ModelRow, event: ModelChanged, recorded: Recorded) -> ModelRow:
    at = recorded.recorded_at
    return structs.replace(row, body=changed(row.body, event, to_seconds(at)), updated_at=at)


def _without_owner(row: ModelRow, _event: PersonErased, _recorded: Recorded) -> ModelRow:
    return structs.replace(row, body=structs.replace(row.body, owner_email=UNSET), owner_person=None)


def _registered(event: ModelRegistered, recorded: Recorded) -> ModelRow:
    at = recorded.recorded_at
    body = registered(event, recorded)
    return ModelRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=at,
        updated_at=at,
        body=body,
        owner_person=whose(event.owner_email),
    )


def _taken_over(row: ModelRow | None, event: ModelTakenOver, recorded: Recorded) -> ModelRow:
    """As it was there. Taken over once more, it keeps its versions, and what the cluster serves."""
    origin, live = event.origin, row.live_services if row else ()
    body = taken_over(event, recorded)
    if row is not None:
        status = row.body.deployment_status if live else body.deployment_status
        body = structs.replace(body, version_count=row.body.version_count, deployment_status=status)
    return ModelRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=origin.created_at,
        updated_at=origin.updated_at,
        revision=row.revision if row else 0,
        body=body,
        owner_person=whose(event.owner_email),
        latest_version_id=row.latest_version_id if row else None,
        default_version_id=origin.default_version_id,
        latest_version=row.latest_version if row else None,
        default_version=_known(origin.default_version_id, row.latest_version, row.default_version) if row else None,
        live_services=live,
    )


def _with_new_version(row: ModelRow, event: VersionRegistered | VersionTakenOver, recorded: Recorded) -> ModelRow:
    """The log's times never go back, so the version registered last is the newest."""
    is_again, is_latest = False, True
    if isinstance(event, VersionTakenOver):
        is_again, is_latest = event.is_again, event.is_latest
    if not is_again:
        row = structs.replace(row, body=structs.replace(row.body, version_count=row.body.version_count + 1))
    version = without_people(new_version(event, recorded))
    if is_latest or row.latest_version_id == version.id:
        row = structs.replace(row, latest_version_id=version.id, latest_version=version)
    return structs.replace(row, default_version=version) if row.default_version_id == version.id else row


def _with_version_changed(row: ModelRow, _event: VersionLaterEvent, recorded: Recorded) -> ModelRow:
    """Also where it shows nothing of that version: its revision moves with each of them."""
    latest = _touched(row.latest_version, recorded, {recorded.stream})
    if row.default_version is row.latest_version:
        return structs.replace(row, latest_version=latest, default_version=latest)
    default = _touched(row.default_version, recorded, {recorded.stream})
    return structs.replace(row, latest_version=latest, default_version=default)


def _with_default_moved(row: ModelRow, event: DefaultVersionChanged, recorded: Recorded) -> ModelRow:
    moved = {event.previous_version_id, event.version_id}
    latest, default = (_touched(each, recorded, moved) for each in (row.latest_version, row.default_version))
    known = _known(event.version_id, latest, default)
    return structs.replace(row, default_version_id=event.version_id, latest_version=latest, default_version=known)


def _known(id_: UUID | None, *versions: VersionBody | None) -> VersionBody | None:
    return next((each for each in versions if each is not None and each.id == id_), None)


def _touched(version: VersionBody | None, recorded: Recorded, touched: Set[UUID | None]) -> VersionBody | None:
    return version if version is None or version.id not in touched else evolved(version, recorded)


def _deployed(row: ModelRow, event: _DeploymentEvent, recorded: Recorded) -> ModelRow:
    others = tuple(service for service in row.live_services if service != recorded.stream)
    match event:
        case DeploymentSucceeded() | CanaryDeployed() | ServiceRecovered():
            live, status = (*others, recorded.stream), DeploymentStatus.DEPLOYED
        case DeploymentFailed():
            live, status = row.live_services, DeploymentStatus.FAILED
        case EarlierVersionRecovered():
            live, status = (*others, recorded.stream), DeploymentStatus.FAILED  # as the newest deployment has
        case ServiceInterrupted() | EarlierVersionInterrupted() | ObjectDisappeared():
            live, status = others, DeploymentStatus.FAILED
        case Undeployed():
            live, status = others, DeploymentStatus.DEPLOYED if others else DeploymentStatus.UNDEPLOYED
        case _:
            assert_never(event)
    at = recorded.recorded_at
    body = structs.replace(row.body, deployment_status=status, updated_at=to_seconds(at))
    return structs.replace(row, body=body, live_services=live, updated_at=at)


# Looked up by the type of the event: a chain of isinstance took longer than the change itself.
_CHANGES: dict[type[Event], Callable[[ModelRow, Any, Recorded], ModelRow]] = {  # Any: each takes one type of event
    **dict.fromkeys(types_in(ModelChanged), _with_model_changed),
    **dict.fromkeys(types_in(VersionLaterEvent), _with_version_changed),
    **dict.fromkeys((VersionRegistered, VersionTakenOver), _with_new_version),
    **dict.fromkeys(types_in(_DeploymentEvent), _deployed),
    DefaultVersionChanged: _with_default_moved,
    PersonErased: _without_owner,
}


_read_body = msgspec.json.Decoder(ModelBody).decode
_decode_version = msgspec.json.Decoder(VersionBody).decode
_read_ids = msgspec.json.Decoder(tuple[UUID, ...]).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> ModelRow:
    return ModelRow(
        **common_fields(record),
        body=_read_body(record["body"]),
        owner_person=record["owner_person"],
        latest_version_id=record["latest_version_id"],
        default_version_id=record["default_version_id"],
        latest_version=_read_version(record, "latest_version"),
        default_version=_read_version(record, "default_version"),
        live_services=_read_ids(record["live_services"]),
    )


def _read_version(record: Record, column: str) -> VersionBody | None:
    text = record[column]
    return None if text is None else _decode_version(text)


def _write_version(version: VersionBody | None) -> bytes | None:
    return None if version is None else _write(version)


def _folded_name(row: ModelRow) -> str | None:
    """The name as searches compare it, where it is not written so."""
    name = folded(row.body.name)
    return None if name == row.body.name else name


def _document(record: Record) -> bytes:
    """The model as a single resource: its body, then the versions that it shows."""
    return _shown(record["body"], record["latest"], record["default"])


def _document_of(row: ModelRow) -> bytes | None:
    if (row.latest_version_id and not row.latest_version) or (row.default_version_id and not row.default_version):
        return None
    return _shown(_write(row.body), _write_version(row.latest_version), _write_version(row.default_version))


def _shown(body: bytes, latest: bytes | None, default: bytes | None) -> bytes:
    if latest is not None:
        body = b'%b,"latest_version":%b}' % (body[:-1], latest)
    if default is not None:
        body = b'%b,"default_version":%b}' % (body[:-1], default)
    return body


MODELS = Projection(
    name="models",
    version=3,
    columns=(
        Column("name", "text", lambda row: row.body.name),
        Column("folded_name", "text", _folded_name),
        Column("state", "text", lambda row: row.body.state),
        Column("model_type", "text", lambda row: row.body.model_type),
        Column("parent_model_id", "uuid", lambda row: row.body.parent_model_id),
        Column("owner_person", "uuid", lambda row: row.owner_person),
        Column("latest_version_id", "uuid", lambda row: row.latest_version_id),
        Column("default_version_id", "uuid", lambda row: row.default_version_id),
        Column("latest_version", "json", lambda row: _write_version(row.latest_version)),
        Column("default_version", "json", lambda row: _write_version(row.default_version)),
        Column("live_services", "json", lambda row: _write(row.live_services) if row.live_services else b"[]"),
        Column("body", "json", lambda row: _write(row.body)),
    ),
    unique=("project_id", "name"),
    counted=("state", "model_type"),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_model_documents,
    document=_document,
    document_of=_document_of,
)
