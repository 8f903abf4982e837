"""A row of the old service, made into what is taken over, with all that is odd about it.

The old service checked little, so a row may hold nearly anything. Nothing of it is left out, and nothing of it fails.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from modeltrail.domain.ids import ModelId, VersionId
from modeltrail.domain.model_version_messages import Artifact, VersionOrigin, VersionState, VersionStatus
from modeltrail.domain.registered_model_messages import DeploymentStatus, ModelOrigin, ModelState, Tags
from modeltrail.legacy.moments import EARLIEST, LATEST

LegacyRow = Mapping[str, Any]
"""A row of theirs by column, as asyncpg reads it: columns that older releases lack may be missing."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REGION = ("region_id", "region_name")
_TAGS = ("frameworks", "architectures", "tasks", "subjects")


class Oddity(Struct, frozen=True):
    """Something in a row that a client would not expect. The row is taken over all the same."""

    id: UUID
    says: str


class LegacyModel(Struct, frozen=True):
    """A model of theirs. `owner_email` is empty when there is none."""

    id: ModelId
    project_id: UUID
    owner_email: str
    origin: ModelOrigin

    @property
    def fingerprint(self) -> str:
        """The same only for the same content, of which people are no part."""
        return _fingerprint(self.project_id, self.origin)


class LegacyVersion(Struct, frozen=True):
    """A version of theirs. What opens its storage is shown to nobody."""

    id: VersionId
    registered_model_id: ModelId
    created_by_email: str
    updated_by_email: str
    access_key: str
    secret_key: str
    origin: VersionOrigin

    def __repr__(self) -> str:
        """Without people and secrets."""
        return f"LegacyVersion(id={self.id})"

    @property
    def fingerprint(self) -> str:
        """The same only for the same content, of which people and secrets are no part."""
        return _fingerprint(self.registered_model_id, self.origin)


def _fingerprint(scope: UUID, origin: ModelOrigin | VersionOrigin) -> str:
    content = msgspec.json.encode([scope, origin], order="deterministic")
    return hashlib.sha256(content).hexdigest()[:32]


class Reading:
    """Reads one row, and notes what is odd about it."""

    def __init__(self, row: LegacyRow) -> None:
        self.oddities: list[Oddity] = []
        self._row = row
        self._id: UUID = row["id"]

    def model(self, default_version_id: UUID | None, defaults: int) -> LegacyModel:
        """The row as a model, whose default version is this one of `defaults` that claim to be it."""
        if defaults > 1:
            self._note(f"{defaults} versions claim to be the default; the newest of them is")
        created_at, updated_at = self._times()
        origin = ModelOrigin(
            owner_id=self._row.get("owner_id"),
            name=self._name(),
            slug=self._text("slug"),
            description=self._text("description"),
            model_type=self._text("model_type"),
            model_size=self._row.get("model_size") or 0,
            state=self._one_of("state", ModelState),
            deployment_status=self._one_of("deployment_status", DeploymentStatus),
            tags=self._tags(),
            labels=self._labels() | self._region(),
            parent_model_id=self._row.get("parent_model_id"),
            default_version_id=None if default_version_id is None else VersionId(default_version_id),
            created_at=created_at,
            updated_at=updated_at,
        )
        return LegacyModel(ModelId(self._id), self._row["project_id"], self._text("owner_email"), origin)

    def version(self, *, is_default: bool) -> LegacyVersion:
        """The row as a version."""
        created_at, updated_at = self._times()
        origin = VersionOrigin(
            name=self._name(),
            description=self._text("description"),
            is_default=is_default,
            state=self._one_of("state", VersionState),
            status=self._one_of("status", VersionStatus),
            created_by_id=self._row.get("created_by_id"),
            updated_by_id=self._row.get("updated_by_id"),
            artifact=Artifact(
                artifact_type=self._text("artifact_type"),
                model_framework=self._text("model_framework"),
                model_framework_version=self._text("model_framework_version"),
                container_image=self._text("container_image"),
                uri=self._text("uri"),
            ),
            model_catalog_name=self._text("model_catalog_name"),
            labels=self._labels(),
            prebuilt_container_id=self._row.get("prebuilt_container_id"),
            created_at=created_at,
            updated_at=updated_at,
        )
        return LegacyVersion(
            id=VersionId(self._id),
            registered_model_id=ModelId(self._row["registered_model_id"]),
            created_by_email=self._text("created_by_email"),
            updated_by_email=self._text("updated_by_email"),
            access_key=self._text("access_key"),
            secret_key=self._text("secret_key"),
            origin=origin,
        )

    def _note(self, says: str) -> None:
        self.oddities.append(Oddity(self._id, says))

    def _text(self, column: str) -> str:
        value = self._row.get(column, "")
        if value is None:
            self._note(f"{column} is NULL; taken as empty")
        return value or ""

    def _name(self) -> str:
        name = self._text("name")
        if not name:
            self._note("name is empty")
        return name

    def _one_of(self, column: str, known: type[ModelState | DeploymentStatus | VersionState | VersionStatus]) -> str:
        value = self._text(column)
        if value not in [str(each) for each in known]:
            self._note(f"{column} {value!r} is none of {', '.join(known)}; kept as it is")
        return value

    def _times(self) -> tuple[datetime, datetime]:
        return self._time("created_at", "updated_at"), self._time("updated_at", "created_at")

    def _time(self, column: str, instead: str) -> datetime:
        value: datetime | None = self._row.get(column)
        if value is None:
            value = self._row.get(instead)
            self._note(f"{column} is NULL; taken as {'1970' if value is None else instead}")
        elif value in (EARLIEST, LATEST):
            shown = f"{value.replace(microsecond=0, tzinfo=None).isoformat()}Z"
            self._note(f"{column} is {shown}, or beyond the times that there are; shown as {shown}")
        return value or EPOCH

    def _json(self, column: str) -> object:
        """What a column holds, or the text of it where that is more than can be read."""
        value = self._row.get(column)
        try:
            return None if value is None else msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            self._note(f"{column} hold too large a number, or too much within each other")
            return value

    def _labels(self) -> dict[str, str]:
        given = self._json("labels")
        if given is None:
            return {}
        if not isinstance(given, dict):
            self._note("labels are not an object; kept as the text of the label 'labels'")
            given = {"labels": given}
        return {key: self._as_text(f"label {key!r}", value) for key, value in given.items()}

    def _tags(self) -> Tags:
        given = self._json("tags")
        if given is None:
            return Tags()
        if not isinstance(given, dict):
            self._note("tags are not an object; kept as a subject")
            given = {"subjects": [given]}
        if unknown := sorted(given.keys() - set(_TAGS)):
            self._note(f"tags has {', '.join(unknown)}, which no answer ever showed; not kept")
        return Tags(**{name: self._tag_list(name, given.get(name)) for name in _TAGS})

    def _tag_list(self, name: str, given: object) -> tuple[str, ...]:
        if given is None:
            return ()
        if not isinstance(given, list):
            self._note(f"tags.{name} is not a list; kept as its only element")
            given = [given]
        return tuple(self._as_text(f"tags.{name}", each) for each in given)

    def _as_text(self, where: str, value: object) -> str:
        if isinstance(value, str):
            return value
        self._note(f"{where} holds a value that is not text; kept as the text of it")
        return msgspec.json.encode(value).decode()

    def _region(self) -> dict[str, str]:
        """Older releases had columns for it."""
        return {column: str(value) for column in _REGION if (value := self._row.get(column))}
