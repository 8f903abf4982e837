"""The read table of serving environments."""

from typing import assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Struct, UnsetType, structs

from modeltrail.domain.serving_environment import (
    DefaultsChosen,
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentDescribed,
    EnvironmentLaterEvent,
    EnvironmentRenamed,
    NamespaceChosen,
)
from modeltrail.domain.serving_options import Resources, ServingDefaults
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Column, Projection, Row, common_fields, new_row, own_row, types_in
from modeltrail.projections.times import Microseconds, to_microseconds

SQL = Statements("modeltrail.projections", "documents.sql")


class EnvironmentDefaultsBody(Struct, frozen=True, kw_only=True):
    """How an environment serves what does not say otherwise, as far as it says anything."""

    min_replicas: int | UnsetType = UNSET
    max_replicas: int | UnsetType = UNSET
    resources: Resources | UnsetType = UNSET
    runtime: str | UnsetType = UNSET
    protocol_version: str | UnsetType = UNSET

    def chosen(self) -> ServingDefaults:
        """The same, as it was chosen."""
        return ServingDefaults(**{name: value for name, value in structs.asdict(self).items() if value is not UNSET})


class EnvironmentBody(Struct, frozen=True, kw_only=True):
    """An environment in the order of the wire."""

    id: UUID
    created_at: Microseconds
    updated_at: Microseconds
    project_id: UUID
    name: str
    description: str
    external_id: str | UnsetType = UNSET
    defaults: EnvironmentDefaultsBody | UnsetType = UNSET


class EnvironmentRow(Row, frozen=True):
    """An environment."""

    body: EnvironmentBody


def _apply(row: EnvironmentRow | None, recorded: Recorded) -> EnvironmentRow | None:
    event, at = recorded.event, recorded.recorded_at
    if isinstance(event, EnvironmentCreated):
        return _created(event, recorded)
    if row is None or isinstance(event, EnvironmentDeleted):
        return None
    if not isinstance(event, EnvironmentLaterEvent):
        return row
    body = structs.replace(_changed(row.body, event), updated_at=to_microseconds(at))
    return structs.replace(row, body=body, updated_at=at)


def _created(event: EnvironmentCreated, recorded: Recorded) -> EnvironmentRow:
    at = recorded.recorded_at
    body = EnvironmentBody(
        id=recorded.stream,
        created_at=to_microseconds(at),
        updated_at=to_microseconds(at),
        project_id=event.project_id,
        name=event.name,
        description=event.description,
        external_id=event.external_id or UNSET,
        defaults=_shown(event.defaults),
    )
    return EnvironmentRow(id=recorded.stream, project_id=event.project_id, created_at=at, updated_at=at, body=body)


def _changed(
    body: EnvironmentBody, event: EnvironmentRenamed | EnvironmentDescribed | NamespaceChosen | DefaultsChosen
) -> EnvironmentBody:
    match event:
        case EnvironmentRenamed(name=name):
            return structs.replace(body, name=name)
        case EnvironmentDescribed(description=description):
            return structs.replace(body, description=description)
        case NamespaceChosen(external_id=external_id):
            return structs.replace(body, external_id=external_id or UNSET)
        case DefaultsChosen(defaults=defaults):
            return structs.replace(body, defaults=_shown(defaults))
        case _:
            assert_never(event)


def _shown(defaults: ServingDefaults) -> EnvironmentDefaultsBody | UnsetType:
    given = {name: value for name, value in structs.asdict(defaults).items() if value is not None}
    return EnvironmentDefaultsBody(**given) if given else UNSET


_read_body = msgspec.json.Decoder(EnvironmentBody).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> EnvironmentRow:
    return EnvironmentRow(**common_fields(record), body=_read_body(record["body"]))


SERVING_ENVIRONMENTS = Projection(
    name="serving_environments",
    version=1,
    columns=(
        Column("name", "text", lambda row: row.body.name),
        Column("body", "json", lambda row: _write(row.body)),
    ),
    unique=("project_id", "name"),
    counted=(),
    targets={EnvironmentCreated: new_row} | dict.fromkeys(types_in(EnvironmentLaterEvent), own_row),
    apply=_apply,
    read=_read,
    get_documents=SQL.get_environment_documents,
    document_of=lambda row: _write(row.body),
)
