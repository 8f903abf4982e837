"""Times that people give, on the command line and in a query string."""

from datetime import datetime
from typing import TypeGuard

FIRST_YEAR, LAST_YEAR = 2, 9998  # in all time zones


def is_moment(given: datetime | None) -> TypeGuard[datetime]:
    """Whether it is a time with a zone, in a year that there is in every zone."""
    return given is not None and given.tzinfo is not None and FIRST_YEAR <= given.year <= LAST_YEAR
