"""What Prometheus reads: how this process serves, and how the log, its projections and the deploy worker stand."""

import asyncio

from modeltrail.commands.deployments import SUBSCRIPTION
from modeltrail.http.answers import Answer
from modeltrail.http.documentation import Operation, Success
from modeltrail.http.health import TAG, ask_quickly
from modeltrail.http.measures import Measures
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.projections.vitals import read_vitals


@get(
    "/metrics",
    Operation(
        tag=TAG,
        success=Success(
            status=200,
            says="In the text format of Prometheus, or in that of OpenMetrics where `Accept` prefers it. What is known"
            " of the database is left out while it does not answer.",
            media_type="text/plain",
        ),
    ),
)
async def show_metrics(request: ApiRequest) -> Answer:
    """How this process serves, and how far what follows the log is behind."""
    services = request.services
    vitals = await ask_quickly(services.pool, lambda connection: read_vitals(connection, SUBSCRIPTION))
    measures: Measures = request.scope["litestar_app"].state.measures
    accept = (request.raw_header(b"accept") or b"").decode("latin-1")
    # In a thread: thousands of lines take as long as a hundred requests.
    body, media_type = await asyncio.to_thread(measures.exposed, accept, services.committer.waiting, vitals)
    return Answer(200, body, (b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body)))


METRIC_ROUTES = (show_metrics,)
