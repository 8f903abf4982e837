"""What values of a query string stand for, and what they are never taken for."""

from urllib.parse import quote
from uuid import UUID

import pytest

from modeltrail.http.errors import BadRequestError
from modeltrail.http.query import Query

SOME_ID = "abcdef00-1122-4344-9566-778899aabbcc"


def query(**values: str) -> Query:
    return Query("&".join(f"{name}={quote(value)}" for name, value in values.items()).encode())


@pytest.mark.parametrize(
    "value", ["2_0", " 20", "20 ", "20\0", "\N{ARABIC-INDIC DIGIT TWO}", "2e1", "0x20", "\N{SUPERSCRIPT TWO}"]
)
def test_only_plain_digits_are_a_number(value: str) -> None:
    assert query(limit=value).limit_asked_for == 0
    assert query(offset=value).offset == 0


@pytest.mark.parametrize(
    "value", [f"{SOME_ID}\0", f" {SOME_ID}", f"{SOME_ID}\n", SOME_ID[:-1] + "\N{FULLWIDTH DIGIT ONE}"]
)
def test_nothing_may_stand_around_a_uuid(value: str) -> None:
    assert query(stream=SOME_ID).uuid("stream") == UUID(SOME_ID)
    with pytest.raises(BadRequestError):
        query(stream=value).uuid("stream")


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-03T14:05:00Z",
        "2026-03-03t14:05:00Z",
        "2026-03-03 14:05:00+00:00",
        "2026-03-03T15:05:00.000000+01:00",
        "2026-03-03T09:05-05:00",
    ],
)
def test_times_are_taken_in_the_forms_of_rfc_3339(value: str) -> None:
    moment = query(since=value).moment("since")
    assert moment is not None
    assert moment.timestamp() == 1772546700


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-03T14:05:00Z\0",
        "2026-03-03T14:05:00Z\0garbage",
        "2026-03-03T14:05:00Zgarbage",
        "2026-03-03\x0014:05:00Z",
        "2026-03-03\N{BULLET}14:05:00Z",
        "2026-03-03T14:05:00Z\n",
    ],
)
def test_nothing_may_stand_in_or_behind_a_time(value: str) -> None:
    for name in ("at", "since"):
        with pytest.raises(BadRequestError, match="not a time such as"):
            query(**{name: value}).moment(name)
