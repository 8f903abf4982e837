"""Routes of click-to-deploy."""

from litestar import delete, post

from modeltrail.commands.deployments import Deploy, Undeploy
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ServiceId, VersionId
from modeltrail.http.answers import Answer, NoContent, json, no_content
from modeltrail.http.bodies import DeploymentOrder
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import submit
from modeltrail.postgres.ids import new_id
from modeltrail.projections.documents import Document

_order = BodyReader(DeploymentOrder)


@post("/deploy")
async def deploy(request: ApiRequest) -> Answer:
    """Put a version of a model on the cluster; the worker carries it out."""
    project_id = request.project_id()
    body = await request.read(_order)
    command = Deploy(
        project_id=project_id,
        service_id=ServiceId(new_id()),
        deployment_id=DeploymentId(new_id()),
        model_id=ModelId(body.registered_model_id),
        environment_id=EnvironmentId(body.serving_environment_id),
        default_namespace=request.services.default_namespace,
        version_id=None if body.model_version_id is None else VersionId(body.model_version_id),
        name=body.name or None,
        labels=body.labels or {},
    )
    return await submit(request, project_id, command, _initiated)


def _initiated(service: Document) -> Answer:
    return json(202, b'{"inference_service":%b,"status":"PENDING","message":"Deployment initiated"}' % service.body)


@delete("/inference_services/{service_id:str}/undeploy")
async def undeploy(request: ApiRequest) -> NoContent:
    """Take an inference service off the cluster."""
    project_id = request.project_id()
    command = Undeploy(
        project_id=project_id,
        service_id=ServiceId(request.path_id("service_id", "inference service id")),
        undeployment_id=DeploymentId(new_id()),
        cluster=request.services.cluster,
    )
    return await submit(request, project_id, command, lambda _service: no_content())


DEPLOYMENT_ROUTES = (deploy, undeploy)
