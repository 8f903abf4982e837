"""Routes of registered models."""

from typing import Literal

import msgspec
from msgspec import Struct

from modeltrail.commands.model_deletion import Delete
from modeltrail.commands.models import Register, Revise
from modeltrail.domain.errors import model_not_found
from modeltrail.domain.ids import ModelId
from modeltrail.domain.registered_model_messages import ModelState, RegisterModel, Tags
from modeltrail.http.answers import Answer, created, json, shown
from modeltrail.http.bodies import ModelCreation, ModelPatch
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Parameter, Tag, one, plain
from modeltrail.http.lists import Page, given_texts, listed, page_of, text_filter
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, carry_out, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import delete, get, patch, post
from modeltrail.http.uuids import parse_uuid
from modeltrail.postgres.ids import new_id
from modeltrail.projections.lists import MODEL_LIST
from modeltrail.projections.model_body import ModelBody, ModelWithVersions
from modeltrail.projections.models import MODELS

DEFAULT_TYPE = "CUSTOMTRAIN"
CALLED = "model id"

TAG = Tag("Registered models", "What a team calls one thing that it trains, over all its versions.")
MISSING = {404: "The project has no such model."}
TAKEN = {409: "Another model of the project has this name."}

_model = Resource(MODELS, model_not_found)
_creation = BodyReader(ModelCreation)
_patch = BodyReader(ModelPatch)


class ModelList(Page[tuple[ModelBody, ...]], frozen=True):
    """A page of models."""


class Deleted(Struct, frozen=True):
    """What was asked for is done."""

    status: Literal["deleted"] = "deleted"


@post(
    "/models",
    Operation(
        tag=TAG,
        takes=ModelCreation,
        success=one(ModelWithVersions, "The new model.", 201),
        refusals={404: "The project has no model with the `parent_model_id`.", **TAKEN},
    ),
)
async def register_model(request: ApiRequest) -> Answer:
    """Register a model."""
    project_id = request.project_id()
    body = await request.read(_creation)
    wish = RegisterModel(
        model_id=ModelId(new_id()),
        project_id=project_id,
        name=body.name,
        description=body.description or "",
        owner_email=await request.sealed(body.owner_email),
        model_type=body.model_type or DEFAULT_TYPE,
        tags=body.tags.tags() if body.tags else Tags(),
        labels=body.labels or {},
        parent_model_id=None if body.parent_model_id is None else ModelId(body.parent_model_id),
    )
    return await submit(request, project_id, Register(wish), created)


@get(
    "/models",
    listed(
        TAG,
        MODEL_LIST,
        ModelList,
        text_filter("state", "Only those in this state.", *ModelState),
        text_filter("model_type", "Only those of this type.", DEFAULT_TYPE),
        text_filter("search", "Only those with this in their name, in any case.", "churn"),
    ),
)
async def list_models(request: ApiRequest) -> Answer:
    """List the project's models."""
    project_id, query = request.project_id(), request.parsed_query()
    having = {"project_id": project_id, **given_texts(query, ("state", "model_type"))}
    return await page_of(request, MODEL_LIST, having, name_part=query.text("search"))


@get(
    "/models/{model_id:str}",
    Operation(tag=TAG, success=one(ModelWithVersions, "The model."), refusals=MISSING),
)
async def show_model(request: ApiRequest) -> Answer:
    """Show a model with its latest and its default version."""
    project_id = request.project_id()
    return await _model.show(request, project_id, request.path_id("model_id", CALLED))


@get(
    "/model",
    Operation(
        tag=TAG,
        query=(text_filter("name", "The model's name."), Parameter("externalId", "The model's id.")),
        success=one(ModelWithVersions, "The model."),
        refusals={404: "Neither is given, or no model of the project has all that is given."},
    ),
)
async def find_model(request: ApiRequest) -> Answer:
    """Show the model that has all that is given: a name, an id as text."""
    project_id, query = request.project_id(), request.parsed_query()
    name, external_id = query.text("name"), query.text("externalId")
    having: dict[str, object] = {"project_id": project_id}
    if name:
        having["name"] = name
    if external_id:
        having["id"] = parse_uuid(external_id)
    if len(having) == 1 or None in having.values():
        raise model_not_found()
    return await _model.find(request, project_id, MODEL_LIST, having)


@patch(
    "/models/{model_id:str}",
    Operation(
        tag=TAG,
        takes=ModelPatch,
        success=one(ModelWithVersions, "The model after the change."),
        refusals={**MISSING, **TAKEN},
        checks_revision=True,
    ),
)
async def revise_model(request: ApiRequest) -> Answer:
    """Change what is given of a model."""
    project_id, model_id = request.project_id(), ModelId(request.path_id("model_id", CALLED))
    body = await request.read(_patch)
    command = Revise(
        project_id=project_id,
        model_id=model_id,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
        name=body.name,
        description=body.description,
        model_type=DEFAULT_TYPE if body.model_type == "" else body.model_type,
        model_size=body.model_size,
        state=body.state,
        deployment_status=body.deployment_status,
        tags=body.tags.tags() if body.tags else None,
        labels=body.labels,
    )
    return await submit(request, project_id, command, shown)


@delete(
    "/models/{model_id:str}",
    Operation(
        tag=TAG,
        success=plain(Deleted, "It is gone, with its versions and their credentials."),
        refusals={
            **MISSING,
            400: "Also refused: a model that is not archived, or is deployed or on its way to the cluster.",
        },
        checks_revision=True,
    ),
)
async def delete_model(request: ApiRequest) -> Answer:
    """Delete a model and its versions."""
    project_id, model_id = request.project_id(), ModelId(request.path_id("model_id", CALLED))
    expected = expected_revision(request.raw_header(b"if-match"))
    command = Delete(project_id=project_id, model_id=model_id, expected_revision=expected)
    await carry_out(request, command, await request.context(project_id))
    return json(200, msgspec.json.encode(Deleted()))


MODEL_ROUTES = (register_model, list_models, show_model, find_model, revise_model, delete_model)
