"""Routes of the event log itself: what happened in the project, who did it, and what came of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec import UNSET, Struct, UnsetType

from modeltrail.domain.errors import NotFoundError
from modeltrail.domain.ids import ProjectId
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.people import PersonKeys
from modeltrail.eventlog.reader import LogReader, ShownEvent
from modeltrail.eventlog.selection import (
    OF_NO_PROJECT,
    Selection,
    later_than,
    streams_of_model,
    up_to,
    within_times,
)
from modeltrail.eventlog.upcasting import shapes_of
from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import Operation, Parameter, Success, Tag, plain, uuid_filter
from modeltrail.http.errors import BadRequestError, invalid
from modeltrail.http.event_stream import AT_ONCE, BYTES_AT_ONCE, MEDIA_TYPE, StreamedEvents
from modeltrail.http.lists import LIMIT, text_filter
from modeltrail.http.past import past_of
from modeltrail.http.query import LARGEST_INT, Query
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.http.services import Services

TAG = Tag("Events", "The log that everything else is made from: what happened, who did it, when, and because of what.")

AFTER = Parameter("after", "Only events after this position of the log.", {"type": "integer", "minimum": 0})
FILTERS = (
    uuid_filter("stream", "Only of this model, version, environment or inference service."),
    uuid_filter("model", "Everything that touched this model: its versions, their deployments, too."),
    text_filter("type", "Only events of this type.", "registered_model.renamed"),
    text_filter("actor", "Only what this person asked for.", "ada@example.com"),
    text_filter("request_id", "Only what came of this request."),
)
TIME = {"type": "string", "examples": ["2026-03-03T14:05:00Z"]}


class EventPage(Struct, frozen=True, omit_defaults=True):
    """Some events. Go on with `next_after` where the oldest go first, with `next_before` where the newest do."""

    items: tuple[ShownEvent, ...]
    page_size: int
    next_after: int | UnsetType = UNSET
    next_before: int | UnsetType = UNSET


class EventWithRelatives(Struct, frozen=True):
    """An event, and all that came of the same request, oldest first: each names its cause as `causation_id`.

    Of a request that made more than a thousand events, or whose events caused more than that, `related` holds the
    oldest, and `more_related` is true: `GET /events?request_id=` has them all, page by page.
    """

    event: ShownEvent
    related: tuple[ShownEvent, ...]
    more_related: bool


@get(
    "/events",
    Operation(
        tag=TAG,
        query=(
            *FILTERS,
            Parameter("since", "Only what was recorded at this time or later.", TIME),
            Parameter("until", "Only what was recorded before this time.", TIME),
            AFTER,
            Parameter("before", "Only events before this position of the log.", {"type": "integer", "minimum": 0}),
            Parameter(
                "order",
                "`asc` for the oldest first, or anything else for the newest.",
                {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
            ),
            LIMIT,
        ),
        success=plain(EventPage, "The events that fit all filters."),
    ),
)
async def list_events(request: ApiRequest) -> Answer:
    """List what happened in the project."""
    project_id, query = request.project_id(), request.parsed_query()
    past = await past_of(request)
    after, before, since, until = query.after, query.before, query.moment("since"), query.moment("until")
    selection = await _selection(request.services, query, project_id)
    found: Sequence[ShownEvent] = ()
    if selection is not None:
        selection = up_to(up_to(later_than(selection, after), before), past.position if past else None)
        selection = await within_times(request.services.pool, selection, since, until)
        async with _log(request.services) as log:
            found = await (log.oldest if query.is_ascending else log.newest)(selection, query.limit)
    if query.is_ascending:
        page = EventPage(tuple(found), query.limit_asked_for, next_after=found[-1].position if found else after)
    else:
        last = found[0].position if found else 0
        page = EventPage(tuple(reversed(found)), query.limit_asked_for, next_before=last)
    return json(200, msgspec.json.encode(page))


@get(
    "/events/{position:str}",
    Operation(
        tag=TAG,
        success=plain(EventWithRelatives, "The event."),
        refusals={404: "The project has no event at this position."},
    ),
)
async def show_event(request: ApiRequest) -> Answer:
    """Show an event with its causes and effects: the request, what came of it, what the deploy worker made of that."""
    project_id = request.project_id()
    position = _position(request.scope["path_params"]["position"])
    past = await past_of(request)
    end = LARGEST_INT if past is None else past.position
    async with _log(request.services) as log:
        related = await log.related(position, end)
    theirs = (each for each in related.events if each.project_id == project_id and each.type != OF_NO_PROJECT)
    known = tuple(each for each in theirs if each.position <= end)
    event = next((each for each in known if each.position == position), None)
    if event is None:
        raise NotFoundError("event not found")
    return json(200, msgspec.json.encode(EventWithRelatives(event, known, related.are_more)))


@get(
    "/events/stream",
    Operation(
        tag=TAG,
        query=(
            *FILTERS,
            AFTER,
            Parameter(
                "follow",
                "`false` to end where the log ends now, instead of waiting for what is still to come.",
                {"type": "string", "enum": ["true", "false"], "default": "true"},
            ),
        ),
        success=Success(status=200, says="Events, one `data` each, as long as you stay.", media_type=MEDIA_TYPE),
    ),
)
async def stream_events(request: ApiRequest) -> StreamedEvents:
    """Follow what happens in the project, as server-sent events.

    Begins after position `after`; without that with what is still to come. The `id` of each is its position; one
    without `data` comes first, and says where it begins. After a broken connection go on with the last one in the
    header Last-Event-ID, as browsers do by themselves. With `at` it ends there.
    """
    project_id, query, services = request.project_id(), request.parsed_query(), request.services
    past = await past_of(request)
    end = (await read_head(services.pool)).position
    after = _first(request, query, end)
    await _selection(services, query, project_id)  # what is wrong with it is said before the stream begins
    until = past.position if past is not None else end if query.word("follow") == "false" else None

    async def read(position: int) -> Sequence[ShownEvent]:
        # Looked up anew each time: a model may have got another version meanwhile.
        selection = await _selection(services, query, project_id)
        if selection is None:
            return ()
        async with _log(services) as log:
            return await log.oldest_within(up_to(later_than(selection, position), until), AT_ONCE, BYTES_AT_ONCE)

    return StreamedEvents(services.streams.chunks(read, after, until))


def _first(request: ApiRequest, query: Query, end: int) -> int:
    """The position after which a stream begins."""
    given = request.raw_header(b"last-event-id")
    if given is not None:
        called = "Last-Event-ID"
        after = _position(given.decode("latin-1"), called)
    elif query.word("after"):
        called, after = "after", query.after
    else:
        return end
    if after > end:
        raise invalid(called, f"the log ends at position {end}")
    return after


def _position(text: str, called: str = "position") -> int:
    if not (text.isascii() and text.isdecimal()):
        raise invalid(called, "it is a number of the log, from 1 on")
    return min(int(text[:20]), LARGEST_INT)


async def _selection(services: Services, query: Query, project_id: ProjectId) -> Selection | None:
    """What the filters say; None when nothing can fit them. Raises BadRequestError.

    Not while a connection of the pool is held: many who each hold one, and want another, would wait for ever.
    """
    stream, model = query.uuid("stream"), query.uuid("model")
    if stream and model:
        raise BadRequestError("stream and model are both given; name one of them")
    streams = (stream,) if stream else await streams_of_model(services.pool, model) if model else None
    type_, persons = query.text("type"), None
    if actor := query.text("actor"):
        persons = await services.people.find(actor)
        if not persons:
            return None
    return Selection(
        project=project_id,
        streams=streams,
        topics=tuple(sorted(shapes_of(type_))) if type_ else None,
        persons=persons,
        request_id=query.text("request_id") or None,
    )


@asynccontextmanager
async def _log(services: Services) -> AsyncIterator[LogReader]:
    async with services.pool.acquire() as connection:
        yield LogReader(connection, PersonKeys(connection, services.keys))


EVENT_ROUTES = (list_events, show_event, stream_events)
