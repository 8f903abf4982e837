"""The route of what happened in a project, day by day."""

from modeltrail.http.answers import Answer
from modeltrail.http.documentation import Tag, uuid_filter
from modeltrail.http.errors import invalid
from modeltrail.http.lists import FollowingPage, following_page_of, listed
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.projections.activity import ACTIVITY, ActivityBody
from modeltrail.projections.lists import ACTIVITY_LIST

TAG = Tag("Overview", "What a project holds and what happened in it, a moment behind its other answers.")


class ActivityList(FollowingPage[tuple[ActivityBody, ...]], frozen=True):
    """A page of days on which something happened."""


@get(
    "/activity",
    listed(
        TAG,
        ACTIVITY_LIST,
        ActivityList,
        uuid_filter("project", "The same as in Project-ID, if anything."),
        says="Days on which something happened, each with its counts.",
    ),
)
async def list_activity(request: ApiRequest) -> Answer:
    """Count what happened on each day (UTC) in the project, the newest day first.

    Days on which nothing did are left out. `position` tells up to where in the log the counts go.
    """
    project_id = request.project_id()
    if request.parsed_query().uuid("project") not in (None, project_id):
        raise invalid("project", "must be that of the Project-ID header")
    return await following_page_of(request, ACTIVITY, ACTIVITY_LIST, {"project_id": project_id})


ACTIVITY_ROUTES = (list_activity,)
