"""Routes of inference services."""

from modeltrail.commands.inference_services import Create, Delete, Revise
from modeltrail.domain.errors import service_not_found
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ServiceId, VersionId
from modeltrail.domain.serving_options import check_canary
from modeltrail.http.answers import Answer, NoContent, created, no_content, shown
from modeltrail.http.bodies import ServiceCreation, ServicePatch
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Parameter, Tag, nothing, one, uuid_filter
from modeltrail.http.lists import Page, given_ids, given_texts, listed, page_of, text_filter
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource, carry_out, cluster_agrees, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import delete, get, patch, post
from modeltrail.postgres.ids import new_id
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.lists import SERVICE_LIST
from modeltrail.projections.service_body import ServiceBody, ServiceState, ServiceWithModels

TAG = Tag("Inference services", "What was deployed, and what the cluster says of it.")
MISSING = {404: "The project has no such inference service."}
IDS = ("serving_environment_id", "registered_model_id", "model_version_id")
STATES = ("desired_state", "current_state")

TAKEN = {409: "Another inference service of the environment has this name."}

SERVICE = Resource(INFERENCE_SERVICES, service_not_found)
_creation = BodyReader(ServiceCreation)
_patch = BodyReader(ServicePatch)


class ServiceList(Page[tuple[ServiceBody, ...]], frozen=True):
    """A page of inference services."""


@post(
    "/inference_services",
    Operation(
        tag=TAG,
        takes=ServiceCreation,
        success=one(ServiceWithModels, "The new service, on its way to the cluster or waiting for a version.", 201),
        refusals={
            400: "Also refused: a name or namespace that Kubernetes would refuse, and what KServe could not serve.",
            404: "The project has no such environment, model or version, or the version is of another model.",
            **TAKEN,
        },
    ),
)
async def create_service(request: ApiRequest) -> Answer:
    """Create an inference service, which asks for its deployment.

    While its version (the one given, else the model's default, else its latest) is not READY, or there is none, it
    waits, as `last_error` says, and is deployed as soon as a version qualifies.
    """
    project_id = request.project_id()
    body = await request.read(_creation)
    check_canary(body.options(), request.services.mode)
    command = Create(
        project_id=project_id,
        service_id=ServiceId(new_id()),
        deployment_id=DeploymentId(new_id()),
        name=body.name,
        environment_id=EnvironmentId(body.serving_environment_id),
        model_id=ModelId(body.registered_model_id),
        default_namespace=request.services.default_namespace,
        version_id=None if body.model_version_id is None else VersionId(body.model_version_id),
        options=body.options(),
        labels=body.labels or {},
    )
    return await submit(request, project_id, command, created, cluster_agrees)


@get(
    "/inference_services",
    listed(
        TAG,
        SERVICE_LIST,
        ServiceList,
        *(uuid_filter(name, "Only those with this id here.") for name in IDS),
        *(text_filter(name, "Only those in this state.", *ServiceState) for name in STATES),
        text_filter("state", "The same as `current_state`, which goes before it.", *ServiceState),
    ),
)
async def list_services(request: ApiRequest) -> Answer:
    """List the project's inference services."""
    project_id, query = request.project_id(), request.parsed_query()
    ids = given_ids(query, IDS)
    states = given_texts(query, STATES)
    if state := query.text("state"):
        states.setdefault("current_state", state)
    return await page_of(request, SERVICE_LIST, {"project_id": project_id, **ids, **states})


@get(
    "/inference_services/{service_id:str}",
    Operation(tag=TAG, success=one(ServiceWithModels, "The service."), refusals=MISSING),
)
async def show_service(request: ApiRequest) -> Answer:
    """Show an inference service with the models that it serves."""
    project_id = request.project_id()
    return await SERVICE.show(request, project_id, request.path_id("service_id", "id"))


@get(
    "/inference_service",
    Operation(
        tag=TAG,
        query=(
            Parameter("externalId", "The UID of its object in the cluster."),
            text_filter("name", "The service's name.", "churn-live"),
            uuid_filter("serving_environment_id", "The environment that it is in."),
        ),
        success=one(ServiceWithModels, "The service."),
        refusals={404: "Neither is given, or no inference service of the project has all that is given."},
    ),
)
async def find_service(request: ApiRequest) -> Answer:
    """Show the inference service that has all that is given: an `externalId`, or a name, best with its environment.

    Names are unique within an environment; of several services with the name it is the newest.
    """
    project_id, query = request.project_id(), request.parsed_query()
    texts = given_texts(query, ("name",))
    having: dict[str, object] = {"project_id": project_id, **texts, **given_ids(query, ("serving_environment_id",))}
    if external_id := query.text("externalId"):
        having["external_id"] = external_id
    if not {"external_id", "name"} & having.keys():
        raise service_not_found()
    return await SERVICE.find(request, project_id, SERVICE_LIST, having)


@patch(
    "/inference_services/{service_id:str}",
    Operation(
        tag=TAG,
        takes=ServicePatch,
        success=one(ServiceWithModels, "The service after the change; the cluster follows."),
        refusals={
            400: "Also refused: a new name while something of it is in the cluster, a version that is not READY in the"
            " place of one that is there, and a deployment while it is being undeployed.",
            404: "The project has no such inference service, or its model no such version.",
            **TAKEN,
        },
        checks_revision=True,
    ),
)
async def revise_service(request: ApiRequest) -> Answer:
    """Change what is given of an inference service. What is in the cluster follows.

    `desired_state` asks for a deployment or an undeployment. Another version, other labels, replicas, resources,
    another runtime or protocol are rolled out.
    """
    project_id, service_id = request.project_id(), ServiceId(request.path_id("service_id", "id"))
    body = await request.read(_patch)
    check_canary(body.options(), request.services.mode)
    command = Revise(
        project_id=project_id,
        service_id=service_id,
        deployment_id=DeploymentId(new_id()),
        default_namespace=request.services.default_namespace,
        cluster=request.services.cluster,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
        name=body.name,
        desired_state=body.desired_state,
        version_id=None if body.model_version_id is None else VersionId(body.model_version_id),
        options=body.options(),
        labels=body.labels,
    )
    return await submit(request, project_id, command, shown, cluster_agrees)


@delete(
    "/inference_services/{service_id:str}",
    Operation(
        tag=TAG,
        success=nothing("It is gone; what is left of it in the cluster is on its way out."),
        refusals={**MISSING, 400: "Also refused: a service that is deployed."},
        checks_revision=True,
    ),
)
async def delete_service(request: ApiRequest) -> NoContent:
    """Delete an inference service that is not deployed."""
    project_id = request.project_id()
    command = Delete(
        project_id=project_id,
        service_id=ServiceId(request.path_id("service_id", "id")),
        undeployment_id=DeploymentId(new_id()),
        cluster=request.services.cluster,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    await carry_out(request, command, await request.context(project_id))
    return no_content()


SERVICE_ROUTES = (create_service, list_services, show_service, find_service, revise_service, delete_service)
