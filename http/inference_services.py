"""Routes of inference services."""

from modeltrail.domain.errors import service_not_found
from modeltrail.http.answers import Answer
from modeltrail.http.documentation import Operation, Tag, one, uuid_filter
from modeltrail.http.lists import Page, given_ids, given_texts, listed, page_of, text_filter
from modeltrail.http.requests import ApiRequest
from modeltrail.http.resources import Resource
from modeltrail.http.routes import get
from modeltrail.projections.inference_services import INFERENCE_SERVICES, ServiceBody, ServiceState, ServiceWithModels
from modeltrail.projections.lists import SERVICE_LIST

TAG = Tag("Inference services", "What was deployed, and what the cluster says of it.")
MISSING = {404: "The project has no such inference service."}
IDS = ("serving_environment_id", "registered_model_id", "model_version_id")
STATES = ("desired_state", "current_state")

_service = Resource(INFERENCE_SERVICES, service_not_found)


class ServiceList(Page[tuple[ServiceBody, ...]], frozen=True):
    """A page of inference services."""


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
    return await _service.show(request, project_id, request.path_id("service_id", "id"))


SERVICE_ROUTES = (list_services, show_service)
