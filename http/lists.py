"""Answers with many items."""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import TEXT, Operation, Parameter, Tag, plain
from modeltrail.http.errors import BadRequestError
from modeltrail.http.past import past_of
from modeltrail.http.query import DEFAULT_LIMIT, LARGEST_LIMIT, Query
from modeltrail.http.requests import ApiRequest
from modeltrail.projections.lists import DEFAULT_SORT, Listing, Slice

Items = TypeVar("Items")

LIMIT = Parameter(
    "limit",
    f"How many items at most. 0, less or no number: {DEFAULT_LIMIT}; more than {LARGEST_LIMIT}:"
    f" {LARGEST_LIMIT}. `page_size` echoes what was asked for (0 for no number).",
    {"type": "integer", "default": DEFAULT_LIMIT},
)


class Page(Struct, Generic[Items], frozen=True):
    """Some of the matches, and how many there are."""

    items: Items
    total: int
    page_size: int
    next_offset: int


def listed(tag: Tag, listing: Listing, page: type[Struct], *filters: Parameter) -> Operation:
    """The documentation of a route that lists."""
    return Operation(tag=tag, success=plain(page, "The matches on this page."), query=(*filters, *_paging(listing)))


def _paging(listing: Listing) -> tuple[Parameter, ...]:
    return (
        LIMIT,
        Parameter(
            "offset",
            "How many items to skip. No number: 0.",
            {"type": "integer", "minimum": 0, "default": 0},
        ),
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
    sort_by = query.word("sort_by") or DEFAULT_SORT
    if not listing.sorts_by(sort_by):
        raise BadRequestError("invalid sort_by")
    part = Slice(query.limit, query.offset, sort_by, query.is_ascending)
    past = await past_of(request, request.project_id())
    if past is None:
        page = await listing.page(request.services.lists, having, part, name_part)
    else:
        page = await past.page(listing, having, part, name_part)
    body = Page(Raw(b"[%b]" % page.items), page.total, query.limit_asked_for, part.offset + page.returned)
    return json(200, msgspec.json.encode(body))


def given_texts(query: Query, names: Iterable[str]) -> dict[str, str]:
    """The filters among `names` that are given."""
    return {name: value for name in names if (value := query.text(name))}


def given_ids(query: Query, names: Iterable[str]) -> dict[str, UUID]:
    """The filters among `names` that are given. Raises BadRequestError when one is no UUID."""
    return {name: value for name in names if (value := query.uuid(name)) is not None}
