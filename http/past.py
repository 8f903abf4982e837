"""`?at=` on routes that read: which moment of the past they are to answer for."""

from modeltrail.http.requests import ApiRequest
from modeltrail.projections.past import Past


async def past_of(request: ApiRequest) -> Past | None:
    """The moment that the query string names; None for the present. Raises BadRequestError, and NotYetError."""
    given = request.scope["query_string"]
    if b"at=" not in given and b"%" not in given:  # nearly always; letters of its name may be percent-encoded
        return None
    moment = request.parsed_query().at
    if moment is None:
        return None
    return await request.services.past.at(request.project_id(), moment)
