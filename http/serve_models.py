"""Routes of serve models."""

from modeltrail.commands.serve_models import Add, Remove
from modeltrail.domain.errors import serve_model_not_found
from modeltrail.domain.ids import ServeModelId, ServiceId, VersionId
from modeltrail.http.answers import Answer, NoContent, created, no_content
from modeltrail.http.bodies import ServeModelCreation
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Tag, nothing, one, uuid_filter
from modeltrail.http.lists import Page, given_ids, given_texts, listed, page_of, text_filter
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, carry_out, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import delete, get, post
from modeltrail.projections.lists import SERVE_MODEL_LIST
from modeltrail.projections.serve_models import SERVE_MODELS, ServeModelBody, ServeModelState

TAG = Tag("Serve models", "Which version is served by which inference service. Every deployment keeps one.")
MISSING = {404: "The project has no such serve model."}
IDS = ("inference_service_id", "model_version_id")

_serve_model = Resource(SERVE_MODELS, serve_model_not_found)
_creation = BodyReader(ServeModelCreation)


class ServeModelList(Page[tuple[ServeModelBody, ...]], frozen=True):
    """A page of serve models."""


@post(
    "/serve_models",
    Operation(
        tag=TAG,
        takes=ServeModelCreation,
        success=one(ServeModelBody, "The new serve model.", 201),
        refusals={
            404: "The project has no such inference service or version, or the version is of another model.",
            409: "The service has a serve model of this version.",
        },
    ),
)
async def create_serve_model(request: ApiRequest) -> Answer:
    """Note that an inference service is to serve a version. Deployments do so by themselves; this deploys nothing."""
    project_id = request.project_id()
    body = await request.read(_creation)
    command = Add(
        project_id=project_id,
        service_id=ServiceId(body.inference_service_id),
        version_id=VersionId(body.model_version_id),
    )
    return await submit(request, project_id, command, created)


@get(
    "/serve_models",
    listed(
        TAG,
        SERVE_MODEL_LIST,
        ServeModelList,
        *(uuid_filter(name, "Only those with this id here.") for name in IDS),
        text_filter("state", "Only those whose `last_known_state` is this.", *ServeModelState),
    ),
)
async def list_serve_models(request: ApiRequest) -> Answer:
    """List the project's serve models."""
    project_id, query = request.project_id(), request.parsed_query()
    having: dict[str, object] = {"project_id": project_id, **given_ids(query, IDS)}
    if state := given_texts(query, ("state",)):
        having["last_known_state"] = state["state"]
    return await page_of(request, SERVE_MODEL_LIST, having)


@get(
    "/serve_models/{serve_model_id:str}",
    Operation(tag=TAG, success=one(ServeModelBody, "The serve model."), refusals=MISSING),
)
async def show_serve_model(request: ApiRequest) -> Answer:
    """Show a serve model."""
    project_id = request.project_id()
    return await _serve_model.show(request, project_id, request.path_id("serve_model_id", "id"))


@delete(
    "/serve_models/{serve_model_id:str}",
    Operation(
        tag=TAG,
        success=nothing("It is gone."),
        refusals={**MISSING, 400: "Also refused: one whose version is deployed or on its way to the cluster."},
        checks_revision=True,
    ),
)
async def delete_serve_model(request: ApiRequest) -> NoContent:
    """Delete a serve model."""
    project_id = request.project_id()
    command = Remove(
        project_id=project_id,
        serve_model_id=ServeModelId(request.path_id("serve_model_id", "id")),
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    await carry_out(request, command, await request.context(project_id))
    return no_content()


SERVE_MODEL_ROUTES = (create_serve_model, list_serve_models, show_serve_model, delete_serve_model)
