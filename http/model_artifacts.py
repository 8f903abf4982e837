"""Routes of model artifacts: model versions, seen as what was trained and where it lies."""

from modeltrail.commands.versions import Register, Revise
from modeltrail.domain.errors import version_not_found
from modeltrail.domain.ids import ModelId, VersionId
from modeltrail.domain.model_version_messages import RegisterVersion
from modeltrail.http import models
from modeltrail.http.answers import Answer, created, shown
from modeltrail.http.bodies import ArtifactCreation, ArtifactPatch
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Tag, one
from modeltrail.http.lists import Page, given_texts, listed, page_of
from modeltrail.http.model_versions import (
    FILTERS,
    FILTERS_DOCUMENTED,
    TAKEN,
    WANTED,
    artifact_of,
    revised_artifact,
    sealed_keys,
    wanted_version,
)
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import get, patch, post
from modeltrail.postgres.ids import new_id
from modeltrail.projections.lists import VERSION_LIST
from modeltrail.projections.model_artifacts import ARTIFACT_LIST, ArtifactBody, as_artifact
from modeltrail.projections.model_versions import MODEL_VERSIONS

CALLED = "artifact id"

TAG = Tag("Model artifacts", "Model versions, seen as what was trained and where it lies.")
MISSING = {404: "The project has no such artifact."}

_artifact = Resource(MODEL_VERSIONS, version_not_found, shown_as=as_artifact)
_creation = BodyReader(ArtifactCreation)
_patch = BodyReader(ArtifactPatch)


class ArtifactList(Page[tuple[ArtifactBody, ...]], frozen=True):
    """A page of artifacts."""


@post(
    "/model_artifacts",
    Operation(
        tag=TAG,
        takes=ArtifactCreation,
        success=one(ArtifactBody, "The new artifact.", 201),
        refusals={**models.MISSING, **TAKEN},
    ),
)
async def register_artifact(request: ApiRequest) -> Answer:
    """Register an artifact: a version of the model that the body names."""
    project_id = request.project_id()
    body = await request.read(_creation)
    version_id = VersionId(new_id())
    credentials = sealed_keys(body, request.services.keys, version_id, project_id)
    wish = RegisterVersion(
        project_id=project_id,
        registered_model_id=ModelId(body.registered_model_id),
        name=body.name,
        artifact=artifact_of(body),
        description=body.description or "",
        labels=body.labels or {},
        prebuilt_container_id=body.prebuilt_container_id,
        has_credentials=credentials is not None,
    )
    command = Register(version_id=version_id, wish=wish, is_default=False, credentials=credentials)
    return await submit(request, project_id, command, lambda version: created(as_artifact(version)))


@get("/model_artifacts", listed(TAG, ARTIFACT_LIST, ArtifactList, *FILTERS_DOCUMENTED))
async def list_artifacts(request: ApiRequest) -> Answer:
    """List the artifacts of all models of the project."""
    project_id = request.project_id()
    filters = given_texts(request.parsed_query(), FILTERS)
    return await page_of(request, ARTIFACT_LIST, {"project_id": project_id, **filters})


@get(
    "/model_artifacts/{artifact_id:str}",
    Operation(tag=TAG, success=one(ArtifactBody, "The artifact."), refusals=MISSING),
)
async def show_artifact(request: ApiRequest) -> Answer:
    """Show an artifact."""
    project_id = request.project_id()
    return await _artifact.show(request, project_id, request.path_id("artifact_id", CALLED))


@get(
    "/model_artifact",
    Operation(
        tag=TAG,
        query=WANTED,
        success=one(ArtifactBody, "The newest such artifact."),
        refusals={404: "None of them is given, or no artifact of the project has all that is given."},
    ),
)
async def find_artifact(request: ApiRequest) -> Answer:
    """Show the newest artifact that has all that is given: a name, an id as text, a model."""
    project_id = request.project_id()
    return await _artifact.find(request, project_id, VERSION_LIST, wanted_version(request, project_id))


@patch(
    "/model_artifacts/{artifact_id:str}",
    Operation(
        tag=TAG,
        takes=ArtifactPatch,
        success=one(ArtifactBody, "The artifact after the change."),
        refusals=MISSING,
        checks_revision=True,
    ),
)
async def revise_artifact(request: ApiRequest) -> Answer:
    """Change what is given of an artifact."""
    project_id = request.project_id()
    version_id = VersionId(request.path_id("artifact_id", CALLED))
    body = await request.read(_patch)
    command = Revise(
        project_id=project_id,
        version_id=version_id,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
        artifact=revised_artifact(body),
        labels=body.labels,
    )
    return await submit(request, project_id, command, lambda version: shown(as_artifact(version)))


ARTIFACT_ROUTES = (register_artifact, list_artifacts, show_artifact, find_artifact, revise_artifact)
