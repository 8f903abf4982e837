"""Answers with many items."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import TEXT, Operation, Parameter, Tag, plain
from modeltrail.http.errors import BadRequestError
from modeltrail.http.past import past_of
from modeltrail.http.query import DEFAULT_LIMIT, LARGEST_LIMIT, Query
from modeltrail.http.requests import ApiRequest
from modeltrail.projections.checkpoint import Reach, read_reach
from modeltrail.projections.lists import DEFAULT_SORT, Listing, Slice
from modeltrail.projections.past import Past
from modeltrail.projections.projection import Projection

Items = TypeVar("Items")

LIMIT = Parameter(
    "limit",
    f"How many items at most. 0, less or no number: {DEFAULT_LIMIT}; more than {LARGEST_LIMIT}:"
    f" {LARGEST_LIMIT}. `page_size` echoes what was asked for (0 for no number).",
    {"type": "integer", "default": DEFAULT_LIMIT},
)
OFFSET = Parameter("offset", "How many items to skip. No number: 0.", {"type": "integer", "minimum": 0, "default": 0})


class Page(Struct, Generic[Items], frozen=True):
    """Some of the matches, and how many there are."""

    items: Items
    total: int
    page_size: int
    next_offset: int


class FollowingPage(Page[Items], Generic[Items], frozen=True):
    """A page of what follows the log a moment behind it: everything up to `position` is in it, and the `behind` events
    after that are not yet."""

    position: int
    behind: int


def listed(
    tag: Tag, listing: Listing, page: type[Struct], *filters: Parameter, says: str = "The matches on this page."
) -> Operation:
    """The documentation of a route that lists."""
    return Operation(tag=tag, success=plain(page, says), query=(*filters, *_paging(listing)))


def _paging(listing: Listing) -> tuple[Parameter, ...]:
    return (
        LIMIT,
        OFFSET,
        Parameter(
            "sort_by",
            "The field of the item to sort by. Equals are in the order of their ids.",
            {"type": "string", "enum": sorted(listing.sortable), "default": DEFAULT_SORT},
        ),
        Parameter(
            "order",
            "`asc`, or anything else for descending.",
            {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
        ),
    )


def text_filter(name: str, description: str, *examples: str) -> Parameter:
    """A filter that is compared with a field as it is."""
    return Parameter(name, description, {**TEXT, "examples": list(examples)} if examples else TEXT)


async def page_of(request: ApiRequest, listing: Listing, having: Mapping[str, object], name_part: str = "") -> Answer:
    """The page that the query string asks for, of the rows that hold `having` and `name_part` in their name."""
    query = request.parsed_query()
    part = _part(query, listing)
    page = await _page(request, query, await past_of(request), listing, having, part, name_part)
    return json(200, msgspec.json.encode(page))


async def following_page_of(
    request: ApiRequest,
    projection: Projection[Any],  # Any: of any kind
    listing: Listing,
    having: Mapping[str, object],
) -> Answer:
    """The same of a table that follows the log."""
    query, past = request.parsed_query(), await past_of(request)
    reach = await reach_of(request, projection, past)
    page = await _page(request, query, past, listing, having, _part(query, listing))
    body = FollowingPage(page.items, page.total, page.page_size, page.next_offset, reach.position, reach.behind)
    return json(200, msgspec.json.encode(body))


async def reach_of(request: ApiRequest, projection: Projection[Any], past: Past | None) -> Reach:  # Any: of any kind
    """How far an answer that is read after this goes, at least: a table may have moved on by then, never back."""
    return await read_reach(request.services.pool, projection) if past is None else Reach(past.position, 0)


def _part(query: Query, listing: Listing) -> Slice:
    sort_by = query.word("sort_by") or DEFAULT_SORT
    if not listing.sorts_by(sort_by):
        raise BadRequestError("invalid sort_by")
    return Slice(query.limit, query.offset, sort_by, query.is_ascending)


async def _page(
    request: ApiRequest,
    query: Query,
    past: Past | None,
    listing: Listing,
    having: Mapping[str, object],
    part: Slice,
    name_part: str = "",
) -> Page[Raw]:
    if past is None:
        page = await listing.page(request.services.lists, having, part, name_part)
    else:
        page = await past.page(listing, having, part, name_part)
    return Page(Raw(b"[%b]" % page.items), page.total, query.limit_asked_for, part.offset + page.returned)


def given_texts(query: Query, names: Iterable[str]) -> dict[str, str]:
    """The filters among `names` that are given."""
    return {name: value for name in names if (value := query.text(name))}


def given_ids(query: Query, names: Iterable[str]) -> dict[str, UUID]:
    """The filters among `names` that are given. Raises BadRequestError when one is no UUID."""
    return {name: value for name in names if (value := query.uuid(name)) is not None}
