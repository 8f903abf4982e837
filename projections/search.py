"""What can be searched for, with the words of its texts. It follows the log, a moment behind."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Struct, UnsetType, structs

from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_messages import (
    ServiceCreated,
    ServiceDeleted,
    ServiceRelabelled,
    ServiceRenamed,
)
from modeltrail.domain.model_version_messages import (
    VersionDeleted,
    VersionDescribed,
    VersionRegistered,
    VersionRelabelled,
    VersionRenamed,
    VersionTakenOver,
)
from modeltrail.domain.registered_model_messages import (
    ModelDeleted,
    ModelDescribed,
    ModelRegistered,
    ModelRelabelled,
    ModelRenamed,
    ModelRetagged,
    ModelTakenOver,
    Tags,
)
from modeltrail.domain.serving_environment import (
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentDescribed,
    EnvironmentRenamed,
)
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Column, Projection, Row, Targets, common_fields, new_row, own_row
from modeltrail.projections.words import joined_words

SQL = Statements("modeltrail.projections", "documents.sql")

# Characters. All of a row's words, with their positions, must fit into a tsvector, which holds 1 MB.
_LONGEST_LIST = 20_000
_LONGEST_DESCRIPTION = 40_000


class Kind(StrEnum):
    """What was found."""

    MODEL = "model"
    VERSION = "model_version"
    ENVIRONMENT = "serving_environment"
    SERVICE = "inference_service"


_PATHS = {
    Kind.MODEL: "/models",
    Kind.VERSION: "/model_versions",
    Kind.ENVIRONMENT: "/serving_environments",
    Kind.SERVICE: "/inference_services",
}


class Hit(Struct, frozen=True, kw_only=True):
    """Something that was found. `path` is where it is, below the base path; `registered_model_id` is the model that a
    version or an inference service is of."""

    kind: Kind
    id: UUID
    name: str
    path: str
    registered_model_id: UUID | UnsetType = UNSET


class SearchRow(Row, frozen=True):
    """A hit, and the words besides its name's that lead to it."""

    hit: Hit
    tag_words: str = ""
    label_words: str = ""
    description_words: str = ""


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys((ModelRegistered, VersionRegistered, EnvironmentCreated, ServiceCreated), new_row),
    **dict.fromkeys(
        (
            *(ModelTakenOver, ModelRenamed, ModelDescribed, ModelRetagged, ModelRelabelled, ModelDeleted),
            *(VersionTakenOver, VersionRenamed, VersionDescribed, VersionRelabelled, VersionDeleted),
            *(EnvironmentRenamed, EnvironmentDescribed, EnvironmentDeleted),
            *(ServiceRenamed, ServiceRelabelled, ServiceDeleted),
        ),
        own_row,
    ),
}


def _apply(row: SearchRow | None, recorded: Recorded) -> SearchRow | None:
    event = recorded.event
    match event:
        case VersionRegistered() | VersionTakenOver():  # the most frequent ones first
            return _version(row, event, recorded)
        case ModelRegistered() | ModelTakenOver():
            return _model(row, event, recorded)
        case ModelDeleted() | VersionDeleted() | EnvironmentDeleted() | ServiceDeleted():
            return None
        case EnvironmentCreated():
            return _new(row, recorded, event.project_id, Kind.ENVIRONMENT, event.name, _description(event.description))
        case ServiceCreated():
            labels, model = _label_words(event.labels), event.registered_model_id
            return _new(row, recorded, event.project_id, Kind.SERVICE, event.name, label_words=labels, model=model)
        case _:
            return None if row is None else structs.replace(_changed(row, event), updated_at=recorded.recorded_at)


def _model(row: SearchRow | None, event: ModelRegistered | ModelTakenOver, recorded: Recorded) -> SearchRow:
    told = event.origin if isinstance(event, ModelTakenOver) else event
    return _new(
        row,
        recorded,
        event.project_id,
        Kind.MODEL,
        told.name,
        _description(told.description),
        tag_words=_tag_words(told.tags),
        label_words=_label_words(told.labels),
    )


def _version(row: SearchRow | None, event: VersionRegistered | VersionTakenOver, recorded: Recorded) -> SearchRow:
    told = event.origin if isinstance(event, VersionTakenOver) else event
    return _new(
        row,
        recorded,
        event.project_id,
        Kind.VERSION,
        told.name,
        _description(told.description),
        label_words=_label_words(told.labels),
        model=event.registered_model_id,
    )


def _new(
    row: SearchRow | None,
    recorded: Recorded,
    project: UUID,
    kind: Kind,
    name: str,
    description_words: str = "",
    *,
    tag_words: str = "",
    label_words: str = "",
    model: UUID | UnsetType = UNSET,
) -> SearchRow:
    """`row` is what was known of it, when it is taken over once more."""
    id_, at = recorded.stream, recorded.recorded_at
    return SearchRow(
        id=id_,
        project_id=project,
        created_at=row.created_at if row else at,
        updated_at=at,
        revision=row.revision if row else 0,
        hit=Hit(kind=kind, id=id_, name=name, path=f"{_PATHS[kind]}/{id_}", registered_model_id=model),
        tag_words=tag_words,
        label_words=label_words,
        description_words=description_words,
    )


def _changed(row: SearchRow, event: Event) -> SearchRow:
    match event:
        case ModelRenamed() | VersionRenamed() | EnvironmentRenamed() | ServiceRenamed():
            return structs.replace(row, hit=structs.replace(row.hit, name=event.name))
        case ModelDescribed() | VersionDescribed() | EnvironmentDescribed():
            return structs.replace(row, description_words=_description(event.description))
        case ModelRelabelled() | VersionRelabelled() | ServiceRelabelled():
            return structs.replace(row, label_words=_label_words(event.labels))
        case ModelRetagged():
            return structs.replace(row, tag_words=_tag_words(event.tags))
        case _:
            return row


def _description(text: str) -> str:
    return joined_words((text,), _LONGEST_DESCRIPTION)


def _label_words(labels: Mapping[str, str]) -> str:
    return joined_words((text for label in labels.items() for text in label), _LONGEST_LIST)


def _tag_words(tags: Tags) -> str:
    texts = (*tags.frameworks, *tags.architectures, *tags.tasks, *tags.subjects)
    return joined_words(texts, _LONGEST_LIST)


def name_words(name: str) -> str:
    """The words of a name."""
    return joined_words((name,), _LONGEST_LIST)


_read_hit = msgspec.json.Decoder(Hit).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> SearchRow:
    return SearchRow(
        **common_fields(record),
        hit=_read_hit(record["body"]),
        tag_words=record["tag_words"],
        label_words=record["label_words"],
        description_words=record["description_words"],
    )


SEARCH = Projection(
    name="search",
    version=1,
    mode="async",
    columns=(
        Column("kind", "text", lambda row: row.hit.kind.value),
        Column("name", "text", lambda row: row.hit.name),
        Column("name_words", "text", lambda row: name_words(row.hit.name)),
        Column("tag_words", "text", lambda row: row.tag_words),
        Column("label_words", "text", lambda row: row.label_words),
        Column("description_words", "text", lambda row: row.description_words),
        Column("body", "json", lambda row: _write(row.hit)),
    ),
    unique=(),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_search_documents,
    document_of=lambda row: _write(row.hit),
)
