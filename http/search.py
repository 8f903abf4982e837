"""The route that searches a project."""

import msgspec
from msgspec import Raw

from modeltrail.http.activity import TAG
from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import TEXT, Operation, Parameter, plain
from modeltrail.http.errors import invalid
from modeltrail.http.lists import LIMIT, OFFSET, FollowingPage, reach_of
from modeltrail.http.past import past_of
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.projections.search import SEARCH, Hit, Kind
from modeltrail.projections.searching import Wanted, search, search_past

LONGEST = 200


class SearchHits(FollowingPage[tuple[Hit, ...]], frozen=True):
    """A page of what was found, the best first."""


@get(
    "/search",
    Operation(
        tag=TAG,
        query=(
            Parameter(
                "q",
                "What to look for: words, or how they begin.",
                {**TEXT, "minLength": 1, "maxLength": LONGEST, "examples": ["churn xgb"]},
                required=True,
            ),
            Parameter("kind", "Only those of this kind.", {"type": "string", "enum": [*Kind]}),
            LIMIT,
            OFFSET,
        ),
        success=plain(SearchHits, "What was found, the best first."),
    ),
)
async def search_project(request: ApiRequest) -> Answer:
    """Search the project's models, versions, environments and inference services by words.

    A hit has all the words of `q` in its name, tags, labels or description, in any case and order, or words that begin
    so. Words are letters and digits; anything else stands between them. The very name goes first, then words in names
    before those in tags and labels, and those before words in descriptions. `position` tells up to where in the log
    the index goes: what was written after that is not found yet.
    """
    project_id, query = request.project_id(), request.parsed_query()
    asked, kind = query.text("q"), query.word("kind")
    if not asked:
        raise invalid("q", "must not be empty")
    if len(asked) > LONGEST:
        raise invalid("q", f"must have at most {LONGEST} characters")
    if kind and kind not in [*Kind]:
        raise invalid("kind", f"must be one of {', '.join(Kind)}")
    wanted = Wanted(asked, Kind(kind) if kind else None, query.limit, query.offset)
    past = await past_of(request)
    reach = await reach_of(request, SEARCH, past)
    if past is None:
        found = await search(request.services.pool, project_id, wanted)
    else:
        found = await search_past(past, project_id, wanted)
    body = FollowingPage(
        items=Raw(b"[%b]" % found.items),
        total=found.total,
        page_size=query.limit_asked_for,
        next_offset=wanted.offset + found.returned,
        position=reach.position,
        behind=reach.behind,
    )
    return json(200, msgspec.json.encode(body))


SEARCH_ROUTES = (search_project,)
