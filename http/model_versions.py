"""Routes of model versions, below their model and on their own."""

from modeltrail.commands.credentials import seal_credentials
from modeltrail.commands.decision import Credentials
from modeltrail.commands.versions import Register, Revise
from modeltrail.domain.errors import version_not_found
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.model_version_messages import (
    Artifact,
    RegisterVersion,
    ReviseArtifact,
    VersionState,
    VersionStatus,
)
from modeltrail.eventlog.keys import KeyRing
from modeltrail.http import models
from modeltrail.http.answers import Answer, created, shown
from modeltrail.http.bodies import ArtifactPatch, GivenVersion, VersionCreation, VersionPatch
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Parameter, Tag, one, uuid_filter
from modeltrail.http.errors import BadRequestError
from modeltrail.http.lists import Page, given_texts, listed, page_of, text_filter
from modeltrail.http.query import Query
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import get, patch, post
from modeltrail.http.uuids import parse_uuid
from modeltrail.postgres.ids import new_id
from modeltrail.projections.lists import VERSION_LIST
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.version_body import VersionBody

DEFAULT_ARTIFACT_TYPE = "model-artifact"
CALLED = "version id"
FILTERS = ("state", "status")

TAG = Tag("Model versions", "What was trained: one artifact with its framework, below its model and on its own.")
MISSING = {404: "The project has no such version."}
TAKEN = {409: "Another version of the model has this name."}
FILTERS_DOCUMENTED = (
    text_filter("state", "Only those in this state.", *VersionState),
    text_filter("status", "Only those of this status.", *VersionStatus),
)

WANTED = (
    text_filter("name", "The version's name."),
    Parameter("externalId", "The version's id."),
    uuid_filter("parentResourceId", "The id of its model."),
    uuid_filter("registered_model_id", "The same, for those who give no `parentResourceId`."),
)

_version = Resource(MODEL_VERSIONS, version_not_found)
_creation = BodyReader(VersionCreation)
_patch = BodyReader(VersionPatch)


class VersionList(Page[tuple[VersionBody, ...]], frozen=True):
    """A page of versions."""


_LISTED = listed(TAG, VERSION_LIST, VersionList, *FILTERS_DOCUMENTED)
_SHOWN = Operation(tag=TAG, success=one(VersionBody, "The version."), refusals=MISSING)
_REVISED = Operation(
    tag=TAG,
    takes=VersionPatch,
    success=one(VersionBody, "The version after the change."),
    refusals={**MISSING, **TAKEN},
    checks_revision=True,
)


@post(
    "/models/{model_id:str}/versions",
    Operation(
        tag=TAG,
        takes=VersionCreation,
        success=one(VersionBody, "The new version.", 201),
        refusals={**models.MISSING, **TAKEN},
    ),
)
async def register_version(request: ApiRequest) -> Answer:
    """Register a version of a model."""
    project_id, model_id = request.project_id(), ModelId(request.path_id("model_id", models.CALLED))
    body = await request.read(_creation)
    version_id = VersionId(new_id())
    credentials = sealed_keys(body, request.services.keys, version_id, project_id)
    wish = RegisterVersion(
        project_id=project_id,
        registered_model_id=model_id,
        name=body.name,
        artifact=artifact_of(body),
        description=body.description or "",
        model_catalog_name=body.model_catalog_name or "",
        labels=body.labels or {},
        prebuilt_container_id=body.prebuilt_container_id,
        created_by_email=await request.sealed(body.created_by_email),
        updated_by_email=await request.sealed(body.updated_by_email),
        has_credentials=credentials is not None,
    )
    command = Register(version_id=version_id, wish=wish, is_default=body.is_default or False, credentials=credentials)
    return await submit(request, project_id, command, created)


def artifact_of(body: GivenVersion) -> Artifact:
    """What was trained, as the body describes it."""
    return Artifact(
        artifact_type=body.artifact_type or DEFAULT_ARTIFACT_TYPE,
        model_framework=body.model_framework,
        model_framework_version=body.model_framework_version,
        container_image=body.container_image or "",
        uri=body.uri,
    )


def sealed_keys(body: GivenVersion, keys: KeyRing, version_id: VersionId, project_id: ProjectId) -> Credentials | None:
    """What opens the version's storage, encrypted for this version only; None when nothing is given."""
    return seal_credentials(keys, project_id, version_id, body.access_key or "", body.secret_key or "")


@get("/models/{model_id:str}/versions", _LISTED)
async def list_versions_of_model(request: ApiRequest) -> Answer:
    """List the versions of a model; of an unknown model there are none."""
    project_id, model_id = request.project_id(), request.path_id("model_id", models.CALLED)
    filters = given_texts(request.parsed_query(), FILTERS)
    having = {"project_id": project_id, "registered_model_id": model_id, **filters}
    return await page_of(request, VERSION_LIST, having)


@get("/models/{model_id:str}/versions/{version_id:str}", _SHOWN)
async def show_version_of_model(request: ApiRequest) -> Answer:
    """Show a version, if it is of this model."""
    project_id, model_id = request.project_id(), request.path_id("model_id", models.CALLED)
    return await _version.show(request, project_id, request.path_id("version_id", CALLED), parent_id=model_id)


@patch("/models/{model_id:str}/versions/{version_id:str}", _REVISED)
async def revise_version_of_model(request: ApiRequest) -> Answer:
    """Change what is given of a version, if it is of this model."""
    project_id, model_id = request.project_id(), ModelId(request.path_id("model_id", models.CALLED))
    return await _revise(request, project_id, VersionId(request.path_id("version_id", CALLED)), model_id)


@get("/model_versions", _LISTED)
async def list_versions(request: ApiRequest) -> Answer:
    """List the versions of all models of the project."""
    project_id = request.project_id()
    filters = given_texts(request.parsed_query(), FILTERS)
    return await page_of(request, VERSION_LIST, {"project_id": project_id, **filters})


@get("/model_versions/{version_id:str}", _SHOWN)
async def show_version(request: ApiRequest) -> Answer:
    """Show a version."""
    project_id = request.project_id()
    return await _version.show(request, project_id, request.path_id("version_id", CALLED))


@get(
    "/model_version",
    Operation(
        tag=TAG,
        query=WANTED,
        success=one(VersionBody, "The newest such version."),
        refusals={404: "None of them is given, or no version of the project has all that is given."},
    ),
)
async def find_version(request: ApiRequest) -> Answer:
    """Show the newest version that has all that is given: a name, an id as text, a model."""
    project_id = request.project_id()
    return await _version.find(request, project_id, VERSION_LIST, wanted_version(request, project_id))


def wanted_version(request: ApiRequest, project_id: ProjectId) -> dict[str, object]:
    """What a version must have, by column, as the query string names it. Raises NotFoundError when it names nothing."""
    wanted = _wanted(request.parsed_query())
    if not wanted or None in wanted.values():
        raise version_not_found()
    return {"project_id": project_id, **wanted}


def _wanted(query: Query) -> dict[str, object]:
    """What a version must have, by column; None is what none has."""
    wanted: dict[str, object] = {}
    parent = query.text("parentResourceId") or query.text("registered_model_id")
    if parent:
        wanted["registered_model_id"] = parse_uuid(parent)
        if wanted["registered_model_id"] is None:
            raise BadRequestError("invalid parentResourceId")
    if name := query.text("name"):
        wanted["name"] = name
    if external_id := query.text("externalId"):
        wanted["id"] = parse_uuid(external_id)
    return wanted


@patch("/model_versions/{version_id:str}", _REVISED)
async def revise_version(request: ApiRequest) -> Answer:
    """Change what is given of a version."""
    project_id = request.project_id()
    return await _revise(request, project_id, VersionId(request.path_id("version_id", CALLED)))


async def _revise(
    request: ApiRequest, project_id: ProjectId, version_id: VersionId, model_id: ModelId | None = None
) -> Answer:
    body = await request.read(_patch)
    command = Revise(
        project_id=project_id,
        version_id=version_id,
        model_id=model_id,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
        name=body.name,
        description=body.description,
        is_default=body.is_default,
        state=body.state,
        status=body.status,
        artifact=revised_artifact(body),
        labels=body.labels,
    )
    return await submit(request, project_id, command, shown)


def revised_artifact(body: ArtifactPatch) -> ReviseArtifact:
    """What is to change. An empty type is the default one, as on creation."""
    return ReviseArtifact(
        artifact_type=DEFAULT_ARTIFACT_TYPE if body.artifact_type == "" else body.artifact_type,
        model_framework=body.model_framework,
        model_framework_version=body.model_framework_version,
        container_image=body.container_image,
        uri=body.uri,
    )


VERSION_ROUTES = (
    register_version,
    list_versions_of_model,
    show_version_of_model,
    revise_version_of_model,
    list_versions,
    show_version,
    find_version,
    revise_version,
)
