"""Answers with many items."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from modeltrail.http.answers import Answer, json
from modeltrail.http.errors import BadRequestError
from modeltrail.http.query import Query
from modeltrail.http.requests import ApiRequest
from modeltrail.projections.lists import DEFAULT_SORT, Listing, Slice


async def page_of(request: ApiRequest, listing: Listing, having: Mapping[str, object], name_part: str = "") -> Answer:
    """The page that the query string asks for, of the rows that hold `having` and `name_part` in their name."""
    query = request.parsed_query()
    sort_by = query.word("sort_by") or DEFAULT_SORT
    if not listing.sorts_by(sort_by):
        raise BadRequestError("invalid sort_by")
    part = Slice(query.limit, query.offset, sort_by, query.is_ascending)
    page = await listing.page(request.services.pool, having, part, name_part)
    return json(
        200,
        b'{"items":[%b],"total":%d,"page_size":%d,"next_offset":%d}'
        % (page.items, page.total, query.limit_asked_for, part.offset + page.returned),
    )


def given_texts(query: Query, names: Iterable[str]) -> dict[str, str]:
    """The filters among `names` that are given."""
    return {name: value for name in names if (value := query.text(name))}


def given_ids(query: Query, names: Iterable[str]) -> dict[str, UUID]:
    """The filters among `names` that are given. Raises BadRequestError when one is no UUID."""
    return {name: value for name in names if (value := query.uuid(name)) is not None}
