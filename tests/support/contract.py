"""The contract of the registry's routes as a plain model in memory: what each request must be answered.

Written from the wire contract, not from the service, of which it imports nothing. What only the server can know (ids,
times) is taken over from its answers: see `Registry.learn`.
"""

import re
from dataclasses import dataclass, field

from support.contract_bodies import (
    ARTIFACT_CREATION,
    ARTIFACT_PATCH,
    MODEL_CREATION,
    MODEL_PATCH,
    VERSION_CREATION,
    VERSION_PATCH,
    Fields,
    Json,
    RefusedError,
    is_uuid,
    require_id,
    valid,
)

NO_MODEL = "registered model not found"
NO_VERSION = "model version not found"
TAGS = ("frameworks", "architectures", "tasks", "subjects")


@dataclass(eq=False)
class Model:
    """A registered model. `number` grows with every row that is made: the order of creation."""

    project: int
    number: int
    fields: Json
    versions: list["Version"] = field(default_factory=list)
    default: "Version | None" = None
    known: Json = field(default_factory=dict)  # id and times


@dataclass(eq=False)
class Version:
    """A version of a model."""

    model: Model
    number: int
    fields: Json
    known: Json = field(default_factory=dict)


def slug(name: str) -> str:
    """Keep `a-z 0-9 -`, lower `A-Z`, turn space and `_` into `-`, drop the rest, cut to 60."""
    kept = re.sub(r"[^A-Za-z0-9 _-]", "", name)
    return re.sub(r"[ _]", "-", kept).lower()[:60]


class Registry:
    """All projects' models and versions."""

    def __init__(self, projects: list[str]) -> None:
        self.projects = projects
        self.models: list[Model] = []
        self._numbers = 0

    # --- commands: each returns what is shown, and raises RefusedError -------------------------------------------

    def create_model(self, project: int, body: Json) -> Model:
        given = valid(body, MODEL_CREATION)
        parent = None if given.get("parent_model_id") is None else self._model(project, given["parent_model_id"])
        self._require_free_model_name(project, given["name"], None)
        tags = given.get("tags") or {}
        model = Model(
            project,
            self._next(),
            {
                "owner_email": given.get("owner_email") or "",
                "name": given["name"],
                "slug": slug(given["name"]),
                "description": given.get("description") or "",
                "model_type": given.get("model_type") or "CUSTOMTRAIN",
                "model_size": 0,
                "state": "LIVE",
                "deployment_status": "UNDEPLOYED",
                "tags": {name: tags.get(name) or [] for name in TAGS},
                "labels": given.get("labels") or {},
                "parent_model_id": parent and parent.known["id"],
            },
        )
        self.models.append(model)
        return model

    def patch_model(self, project: int, id_: str, body: Json, *, stale: bool) -> tuple[Model, bool]:
        require_id(id_, "model id")
        given = valid(body, MODEL_PATCH)
        model = self._model(project, id_)
        if stale:
            raise RefusedError(412)
        if given.get("name") is not None:
            self._require_free_model_name(project, given["name"], model)
        if given.get("tags") is not None:
            given["tags"] = {name: given["tags"].get(name) or [] for name in TAGS}
        if given.get("model_type") == "":
            given["model_type"] = "CUSTOMTRAIN"
        return model, _change(model.fields, given)

    def delete_model(self, project: int, id_: str, *, stale: bool) -> Model:
        require_id(id_, "model id")
        model = self._model(project, id_)
        if stale:
            raise RefusedError(412)
        if model.fields["state"] != "ARCHIVED":
            raise RefusedError(400, "cannot delete model: must be archived with no READY versions")
        self.models.remove(model)
        for child in self.models:
            if child.fields["parent_model_id"] == id_:
                child.fields["parent_model_id"] = None
                child.known.pop("updated_at", None)  # whether that moves is not said
        return model

    def create_version(self, project: int, model_id: str, body: Json) -> Version:
        require_id(model_id, "model id")
        return self._created_version(project, model_id, valid(body, VERSION_CREATION))

    def create_artifact(self, project: int, body: Json) -> Version:
        given = valid(body, ARTIFACT_CREATION)
        return self._created_version(project, given["registered_model_id"], given)

    def _created_version(self, project: int, model_id: str, given: Json) -> Version:
        model = self._model(project, model_id)
        _require_free_version_name(model, given["name"], None)
        version = Version(
            model,
            self._next(),
            {
                "name": given["name"],
                "description": given.get("description") or "",
                "state": "LIVE",
                "status": "PENDING",
                "created_by_email": given.get("created_by_email") or "",
                "updated_by_email": given.get("updated_by_email") or "",
                "artifact_type": given.get("artifact_type") or "model-artifact",
                "model_framework": given["model_framework"],
                "model_framework_version": given["model_framework_version"],
                "container_image": given.get("container_image") or "",
                "model_catalog_name": given.get("model_catalog_name") or "",
                "uri": given["uri"],
                "labels": given.get("labels") or {},
                "prebuilt_container_id": given.get("prebuilt_container_id"),
            },
        )
        model.versions.append(version)
        if given.get("is_default"):
            _move_default(model, version)
        return version

    def patch_version(
        self,
        project: int,
        id_: str,
        body: Json,
        *,
        stale: bool,
        model_id: str | None = None,
        fields: Fields = VERSION_PATCH,
    ) -> tuple[Version, bool]:
        if model_id is not None:
            require_id(model_id, "model id")
        require_id(id_, "artifact id" if fields is ARTIFACT_PATCH else "version id")
        given = valid(body, fields)
        version = self._version(project, id_, model_id)
        if stale:
            raise RefusedError(412)
        if given.get("name") is not None:
            _require_free_version_name(version.model, given["name"], version)
        if given.get("artifact_type") == "":
            given["artifact_type"] = "model-artifact"
        wish = given.pop("is_default", None)
        is_default = version.model.default is version
        if wish is not None and wish != is_default:
            _move_default(version.model, version if wish else None)
        return version, _change(version.fields, given) or (wish is not None and wish != is_default)

    # --- queries --------------------------------------------------------------------------------------------------

    def model(self, project: int, id_: str) -> Model:
        require_id(id_, "model id")
        return self._model(project, id_)

    def version(self, project: int, id_: str, model_id: str | None = None, called: str = "version id") -> Version:
        if model_id is not None:
            require_id(model_id, "model id")
        require_id(id_, called)
        return self._version(project, id_, model_id)

    def find_model(self, project: int, query: dict[str, str]) -> Model:
        name, id_ = query.get("name"), query.get("externalId")
        found = [
            model
            for model in self._models(project)
            if (name or id_) and name in (None, "", model.fields["name"]) and id_ in (None, "", model.known["id"])
        ]
        if not found:
            raise RefusedError(404, NO_MODEL)
        return found[-1]

    def find_version(self, project: int, query: dict[str, str]) -> Version:
        name, id_ = query.get("name"), query.get("externalId")
        model_id = query.get("parentResourceId") or query.get("registered_model_id")
        if model_id and not is_uuid(model_id):
            raise RefusedError(400, "invalid parentResourceId")
        found = [
            version
            for version in self.versions_of(project)
            if (name or id_ or model_id)
            and name in (None, "", version.fields["name"])
            and id_ in (None, "", version.known["id"])
            and model_id in (None, "", version.model.known["id"])
        ]
        if not found:
            raise RefusedError(404, NO_VERSION)
        return max(found, key=lambda version: version.number)

    def models_like(self, project: int, query: dict[str, str]) -> list[Model]:
        wanted = {name: query[name] for name in ("state", "model_type") if query.get(name)}
        part = query.get("search", "").lower()
        return [
            model
            for model in self._models(project)
            if model.fields.items() >= wanted.items() and part in model.fields["name"].lower()
        ]

    def versions_of(
        self, project: int, model_id: str | None = None, query: dict[str, str] | None = None
    ) -> list[Version]:
        if model_id is not None:
            require_id(model_id, "model id")
        wanted = {name: value for name, value in (query or {}).items() if name in ("state", "status") and value}
        return [
            version
            for model in self._models(project)
            if model_id in (None, model.known["id"])
            for version in model.versions
            if version.fields.items() >= wanted.items()
        ]

    # --- what is shared -------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _models(self, project: int) -> list[Model]:
        return [model for model in self.models if model.project == project]

    def _model(self, project: int, id_: str) -> Model:
        found = next((model for model in self._models(project) if model.known["id"] == id_), None)
        if found is None:
            raise RefusedError(404, NO_MODEL)
        return found

    def _version(self, project: int, id_: str, model_id: str | None) -> Version:
        for version in self.versions_of(project):
            if version.known["id"] == id_ and model_id in (None, version.model.known["id"]):
                return version
        raise RefusedError(404, NO_VERSION)

    def _require_free_model_name(self, project: int, name: str, but: Model | None) -> None:
        if any(model.fields["name"] == name and model is not but for model in self._models(project)):
            raise RefusedError(409, "model with this name already exists in the project")


def _require_free_version_name(model: Model, name: str, but: Version | None) -> None:
    if any(version.fields["name"] == name and version is not but for version in model.versions):
        raise RefusedError(409, "version with this name already exists for this model")


def _move_default(model: Model, version: Version | None) -> None:
    for each in (model.default, version):
        if each is not None:
            each.known.pop("updated_at", None)
    model.default = version
    model.known.pop("updated_at", None)


def _change(fields: Json, given: Json) -> bool:
    changes = {name: value for name, value in given.items() if value is not None and fields[name] != value}
    fields.update(changes)
    return bool(changes)
