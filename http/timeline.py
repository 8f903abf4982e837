"""The route that tells an inference service's story."""

import msgspec
from msgspec import Struct

from modeltrail.domain.ids import ServiceId
from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import Operation, Parameter, plain
from modeltrail.http.inference_services import MISSING, SERVICE, TAG
from modeltrail.http.lists import LIMIT
from modeltrail.http.past import past_of
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.projections.service_story import Moment
from modeltrail.projections.timeline import read_timeline


class Timeline(Struct, frozen=True):
    """A part of a service's story, oldest first. `next_after` is where the next part begins, if only later."""

    items: tuple[Moment, ...]
    page_size: int
    next_after: int


@get(
    "/inference_services/{service_id:str}/timeline",
    Operation(
        tag=TAG,
        query=(
            LIMIT,
            Parameter(
                "after",
                "Only what happened after this position of the log, as `next_after` gave it. No number: 0.",
                {"type": "integer", "minimum": 0, "default": 0},
            ),
        ),
        success=plain(Timeline, "What happened, in the order in which it did."),
        refusals=MISSING,
    ),
)
async def show_timeline(request: ApiRequest) -> Answer:
    """Tell what happened to an inference service: what was asked, by whom, and what the cluster made of it.

    Straight from the log. Ask again with `next_after` for what has happened since.
    """
    project_id = request.project_id()
    service_id = ServiceId(request.path_id("service_id", "id"))
    query = request.parsed_query()
    after, limit = query.after, query.limit
    services = request.services
    past = await past_of(request)
    await SERVICE.read(request, project_id, service_id, past)
    items = await read_timeline(services.pool, services.keys, service_id, after, limit, past)
    answer = Timeline(tuple(items), query.limit_asked_for, items[-1].position if items else after)
    return json(200, msgspec.json.encode(answer))


TIMELINE_ROUTES = (show_timeline,)
