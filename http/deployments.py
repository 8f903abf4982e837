"""Routes of click-to-deploy."""

from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from modeltrail.commands.deployments import READ, SYNC, Cluster, Deploy, Undeploy
from modeltrail.commands.inference_services import RollBack
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ServiceId, VersionId
from modeltrail.domain.serving_options import check_canary
from modeltrail.http.answers import Answer, NoContent, error, json, no_content, resource
from modeltrail.http.bodies import DeploymentOrder, RollBackOrder
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.documentation import Operation, Tag, nothing, one, plain
from modeltrail.http.inference_services import MISSING, SERVICE
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import cluster_agrees, submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import delete, post
from modeltrail.postgres.ids import new_id
from modeltrail.projections.documents import Document
from modeltrail.projections.service_body import ServiceWithModels

CALLED = "inference service id"  # on routes that act on the cluster; on the others the contract says "id"

TAG = Tag("Click-to-deploy", "One call puts a version on the cluster, one takes it off again.")

SYNC_SECONDS = 1.9  # the answer comes within 2

_order = BodyReader(DeploymentOrder)
_rollback = BodyReader(RollBackOrder)

Service = TypeVar("Service")


class Initiated(Struct, Generic[Service], frozen=True):
    """A deployment on its way."""

    inference_service: Service
    status: Literal["PENDING"] = "PENDING"
    message: Literal["Deployment initiated"] = "Deployment initiated"


class Deployment(Initiated[ServiceWithModels], frozen=True):
    """A deployment on its way. What comes of it is seen on the inference service."""


@post(
    "/deploy",
    Operation(
        tag=TAG,
        takes=DeploymentOrder,
        success=plain(Deployment, "It is on its way to the cluster.", 202),
        refusals={
            400: "Also refused: a version that is not READY, and a name or namespace that Kubernetes would refuse.",
            404: "The project has no such environment, model or version, or the version is of another model.",
            409: "An inference service of the environment has this name.",
        },
    ),
)
async def deploy(request: ApiRequest) -> Answer:
    """Put a version of a model on the cluster; the worker carries it out."""
    project_id = request.project_id()
    body = await request.read(_order)
    check_canary(body.options(), request.services.mode)
    command = Deploy(
        project_id=project_id,
        service_id=ServiceId(new_id()),
        deployment_id=DeploymentId(new_id()),
        model_id=ModelId(body.registered_model_id),
        environment_id=EnvironmentId(body.serving_environment_id),
        default_namespace=request.services.default_namespace,
        version_id=None if body.model_version_id is None else VersionId(body.model_version_id),
        name=body.name or None,
        options=body.options(),
        labels=body.labels or {},
    )
    return await submit(request, project_id, command, _initiated, cluster_agrees)


def _initiated(service: Document) -> Answer:
    return json(202, msgspec.json.encode(Initiated(Raw(service.body))))


@delete(
    "/inference_services/{service_id:str}/undeploy",
    Operation(
        tag=TAG,
        success=nothing("It is on its way off the cluster."),
        refusals=MISSING,
        checks_revision=True,
    ),
)
async def undeploy(request: ApiRequest) -> NoContent:
    """Take an inference service off the cluster."""
    project_id = request.project_id()
    command = Undeploy(
        project_id=project_id,
        service_id=ServiceId(request.path_id("service_id", CALLED)),
        undeployment_id=DeploymentId(new_id()),
        cluster=request.services.cluster,
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    return await submit(request, project_id, command, lambda _service: no_content())


@post(
    "/inference_services/{service_id:str}/rollback",
    Operation(
        tag=TAG,
        takes=RollBackOrder,
        success=one(ServiceWithModels, "The service, with a new deployment on its way.", 202),
        refusals={
            400: "Also refused: a service that is off the cluster or had no other version live; a version not READY.",
            404: "The project has no such inference service, or its model no such version.",
        },
        checks_revision=True,
    ),
)
async def roll_back(request: ApiRequest) -> Answer:
    """Go back to the version that was live before, or to the given one, as a new deployment."""
    project_id = request.project_id()
    service_id = ServiceId(request.path_id("service_id", CALLED))
    body = await request.read(_rollback)
    command = RollBack(
        project_id=project_id,
        service_id=service_id,
        deployment_id=DeploymentId(new_id()),
        version_id=None if body.model_version_id is None else VersionId(body.model_version_id),
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    return await submit(request, project_id, command, lambda service: resource(202, service), cluster_agrees)


@post(
    "/inference_services/{service_id:str}/sync",
    Operation(
        tag=TAG,
        success=one(ServiceWithModels, "The service, as the cluster has it now."),
        refusals={
            **MISSING,
            503: "Or the service's state could not be read from the cluster within 2 seconds.",
        },
    ),
)
async def sync(request: ApiRequest) -> Answer:
    """Read the service's state from the cluster now, instead of waiting for the cluster to tell."""
    project_id = request.project_id()
    service_id = request.path_id("service_id", CALLED)
    await SERVICE.read(request, project_id, service_id)
    if request.services.cluster is Cluster.CONFIGURED:
        answer = await request.services.asker.ask(SYNC, str(service_id), SYNC_SECONDS)
        if answer != READ:
            reason = "no deploy worker answered within 2 seconds; is one running?" if answer is None else answer
            return error(503, f"the state could not be read from the cluster: {reason}", (b"retry-after", b"1"))
    return resource(200, await SERVICE.read(request, project_id, service_id))


DEPLOYMENT_ROUTES = (deploy, undeploy, roll_back, sync)
