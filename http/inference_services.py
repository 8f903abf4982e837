"""Routes of inference services."""

from litestar import get

from modeltrail.domain.errors import service_not_found
from modeltrail.http.answers import Answer
from modeltrail.http.lists import given_ids, given_texts, page_of
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.lists import SERVICE_LIST

_service = Resource(INFERENCE_SERVICES, service_not_found)


@get("/inference_services")
async def list_services(request: ApiRequest) -> Answer:
    """List the project's inference services."""
    project_id, query = request.project_id(), request.parsed_query()
    ids = given_ids(query, ("serving_environment_id", "registered_model_id", "model_version_id"))
    states = given_texts(query, ("desired_state", "current_state"))
    if state := query.text("state"):
        states.setdefault("current_state", state)
    return await page_of(request, SERVICE_LIST, {"project_id": project_id, **ids, **states})


@get("/inference_services/{service_id:str}")
async def show_service(request: ApiRequest) -> Answer:
    """Show an inference service with the models that it serves."""
    project_id = request.project_id()
    return await _service.show(request, project_id, request.path_id("service_id", "id"))


SERVICE_ROUTES = (list_services, show_service)
