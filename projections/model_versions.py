"""The read table of model versions."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, structs

from modeltrail.domain.event import Event
from modeltrail.domain.model_version_messages import (
    VersionLaterEvent,
    VersionRegistered,
    VersionTakenOver,
)
from modeltrail.domain.person import PersonErased
from modeltrail.domain.personal import whose
from modeltrail.domain.registered_model_messages import DefaultVersionChanged
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
    new_row,
    own_row,
    types_in,
)
from modeltrail.projections.version_body import VersionBody, evolved, new_version, without_people

SQL = Statements("modeltrail.projections", "documents.sql")


class VersionRow(Row, frozen=True):
    """A version. `has_credentials`: something is kept that opens its storage. Each person is one whose address it
    shows."""

    body: VersionBody
    has_credentials: bool = False
    created_by_person: UUID | None = None
    updated_by_person: UUID | None = None


def _both_defaults(_stream: UUID, event: DefaultVersionChanged) -> Iterable[Target]:
    moved = (event.previous_version_id, event.version_id)
    return [OneRow(version) for version in moved if version is not None]


def _by_person(person: UUID, _event: PersonErased) -> Iterable[Target]:
    return (RowsWhere("created_by_person", person), RowsWhere("updated_by_person", person))


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(VersionLaterEvent), own_row),
    VersionRegistered: new_row,
    VersionTakenOver: own_row,
    DefaultVersionChanged: _both_defaults,
    PersonErased: _by_person,
}


def _apply(row: VersionRow | None, recorded: Recorded) -> VersionRow | None:
    event = recorded.event
    if isinstance(event, VersionRegistered | VersionTakenOver):
        return _new(row, event, recorded)
    if row is None:
        return None
    if isinstance(event, PersonErased):
        return _without(row, recorded.stream)
    body = evolved(row.body, recorded)
    return None if body is None else structs.replace(row, body=body, updated_at=recorded.recorded_at)


def _without(row: VersionRow, person: UUID) -> VersionRow:
    """Both places at once, so that it is one change."""
    if row.created_by_person == person:
        row = structs.replace(row, body=structs.replace(row.body, created_by_email=UNSET), created_by_person=None)
    if row.updated_by_person == person:
        row = structs.replace(row, body=structs.replace(row.body, updated_by_email=UNSET), updated_by_person=None)
    return row


def _new(row: VersionRow | None, event: VersionRegistered | VersionTakenOver, recorded: Recorded) -> VersionRow:
    """`row` is what was known of a version that is taken over once more."""
    made_at, changed_at = recorded.recorded_at, recorded.recorded_at
    if isinstance(event, VersionTakenOver):
        made_at, changed_at = event.origin.created_at, event.origin.updated_at
    return VersionRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=made_at,
        updated_at=changed_at,
        revision=row.revision if row else 0,
        body=new_version(event, recorded),
        has_credentials=event.has_credentials,
        created_by_person=whose(event.created_by_email),
        updated_by_person=whose(event.updated_by_email),
    )


_read_body = msgspec.json.Decoder(VersionBody).decode
_write = msgspec.json.Encoder().encode


def _brief(row: VersionRow) -> bytes | None:
    body = without_people(row.body)
    return None if body is row.body else _write(body)


def _read(record: Record) -> VersionRow:
    return VersionRow(
        **common_fields(record),
        body=_read_body(record["body"]),
        has_credentials=record["has_credentials"],
        created_by_person=record["created_by_person"],
        updated_by_person=record["updated_by_person"],
    )


MODEL_VERSIONS = Projection(
    name="model_versions",
    version=2,
    columns=(
        Column("registered_model_id", "uuid", lambda row: row.body.registered_model_id),
        Column("name", "text", lambda row: row.body.name),
        Column("state", "text", lambda row: row.body.state),
        Column("status", "text", lambda row: row.body.status),
        Column("has_credentials", "boolean", lambda row: row.has_credentials),
        Column("created_by_person", "uuid", lambda row: row.created_by_person),
        Column("updated_by_person", "uuid", lambda row: row.updated_by_person),
        Column("body", "json", lambda row: _write(row.body)),
        Column("brief", "json", _brief),
    ),
    unique=("registered_model_id", "name"),
    counted=("state", "status"),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_version_documents,
    document_of=lambda row: _write(row.body),
    parent_of=lambda row: row.body.registered_model_id,
)
