"""Routes that end a canary."""

from modeltrail.commands.canary import Abort, Promote
from modeltrail.domain.ids import DeploymentId, ServiceId
from modeltrail.http.answers import Answer, resource
from modeltrail.http.deployments import CALLED, TAG
from modeltrail.http.documentation import Operation, one
from modeltrail.http.inference_services import MISSING
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import submit
from modeltrail.http.revisions import expected_revision
from modeltrail.http.routes import post
from modeltrail.postgres.ids import new_id
from modeltrail.projections.service_body import ServiceWithModels


@post(
    "/inference_services/{service_id:str}/promote",
    Operation(
        tag=TAG,
        success=one(ServiceWithModels, "The service; its canary is on its way to all the traffic.", 202),
        refusals={**MISSING, 400: "Also refused: a service without a canary, and one whose canary is not ready."},
        checks_revision=True,
    ),
)
async def promote(request: ApiRequest) -> Answer:
    """Give the canary of an inference service all the traffic."""
    return await _end(request, Promote)


@post(
    "/inference_services/{service_id:str}/abort",
    Operation(
        tag=TAG,
        success=one(ServiceWithModels, "The service; all its traffic goes back to the version before.", 202),
        refusals={**MISSING, 400: "Also refused: a service without a canary."},
        checks_revision=True,
    ),
)
async def abort(request: ApiRequest) -> Answer:
    """Take all traffic from the canary of an inference service, back to the version that was live before."""
    return await _end(request, Abort)


async def _end(request: ApiRequest, kind: type[Promote | Abort]) -> Answer:
    project_id = request.project_id()
    command = kind(
        project_id=project_id,
        service_id=ServiceId(request.path_id("service_id", CALLED)),
        deployment_id=DeploymentId(new_id()),
        expected_revision=expected_revision(request.raw_header(b"if-match")),
    )
    return await submit(request, project_id, command, lambda service: resource(202, service))


CANARY_ROUTES = (promote, abort)
