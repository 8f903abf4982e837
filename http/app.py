"""The API put together: every route, under its path, with one way of saying what went wrong."""

from litestar import Router

from modeltrail.http.activity import ACTIVITY_ROUTES
from modeltrail.http.application import Application
from modeltrail.http.canaries import CANARY_ROUTES
from modeltrail.http.deployments import DEPLOYMENT_ROUTES
from modeltrail.http.errors import answer_to
from modeltrail.http.events import EVENT_ROUTES
from modeltrail.http.health import HEALTH_ROUTES
from modeltrail.http.inference_services import SERVICE_ROUTES
from modeltrail.http.limits import LARGEST_BODY
from modeltrail.http.metrics import METRIC_ROUTES
from modeltrail.http.model_artifacts import ARTIFACT_ROUTES
from modeltrail.http.model_versions import VERSION_ROUTES
from modeltrail.http.models import MODEL_ROUTES
from modeltrail.http.requests import ApiRequest
from modeltrail.http.schema import SCHEMA_ROUTES, schema_of
from modeltrail.http.search import SEARCH_ROUTES
from modeltrail.http.serve_models import SERVE_MODEL_ROUTES
from modeltrail.http.services import Services
from modeltrail.http.serving_environments import ENVIRONMENT_ROUTES
from modeltrail.http.timeline import TIMELINE_ROUTES

BASE_PATH = "/api/v1/model-registry"

_RESOURCES = (
    *MODEL_ROUTES,
    *VERSION_ROUTES,
    *ARTIFACT_ROUTES,
    *ENVIRONMENT_ROUTES,
    *SERVICE_ROUTES,
    *TIMELINE_ROUTES,
    *SERVE_MODEL_ROUTES,
    *DEPLOYMENT_ROUTES,
    *CANARY_ROUTES,
    *EVENT_ROUTES,
    *ACTIVITY_ROUTES,
    *SEARCH_ROUTES,
)


def create_app(services: Services) -> Application:
    """The ASGI application. What it answers is in the wire contract; what it works with is in `services`.

    Raises UndocumentedRouteError when a route says nothing of itself.
    """
    app = Application(
        route_handlers=[*HEALTH_ROUTES, *METRIC_ROUTES, *SCHEMA_ROUTES, Router(BASE_PATH, route_handlers=_RESOURCES)],
        request_class=ApiRequest,
        exception_handlers={Exception: answer_to},
        request_max_body_size=LARGEST_BODY,
        openapi_config=None,  # it cannot see what routes read and answer; see openapi.py
        logging_config=None,
        debug=False,
    )
    app.work_with(services)
    app.state.schema = schema_of(app, BASE_PATH)
    return app
