"""Query strings as Go's gin reads them: of a repeated parameter the first counts, an empty one is absent."""

import re
from datetime import datetime
from urllib.parse import parse_qsl
from uuid import UUID

from modeltrail.http.errors import BadRequestError, invalid
from modeltrail.http.texts import FORBIDDEN, is_storable
from modeltrail.http.uuids import parse_uuid
from modeltrail.moments import is_moment

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
LARGEST_INT = 2**63 - 1

_UNESCAPED_PLUS = re.compile(r" (\d\d:\d\d)$")
# datetime.fromisoformat takes any character between date and time, and in Python 3.11 whatever stands after U+0000.
_TIME = re.compile(r"[0-9TtWZ:.,+ -]+", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Query:
    """The parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, query_string: bytes) -> None:
        self._values: dict[str, str] = {}
        if query_string:
            text = query_string.decode("utf-8", "surrogateescape")
            for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
                self._values.setdefault(name, value)

    def text(self, name: str) -> str:
        """A text, empty when absent. Raises BadRequestError when no database could hold it."""
        value = self.word(name)
        if value and not is_storable(value):
            raise invalid(name, FORBIDDEN)
        return value

    def word(self, name: str) -> str:
        """A text as it came, empty when absent: only to be compared with known ones."""
        return self._values.get(name, "")

    def uuid(self, name: str) -> UUID | None:
        """A UUID, or None when absent. Raises BadRequestError when it is none."""
        value = self.text(name)
        if not value:
            return None
        parsed = parse_uuid(value)
        if parsed is None:
            raise BadRequestError(f"invalid {name}")
        return parsed

    @property
    def limit_asked_for(self) -> int:
        """What `page_size` echoes: 20 when absent, 0 when not a number."""
        return self._integer("limit", absent=DEFAULT_LIMIT)

    @property
    def limit(self) -> int:
        """How many items a page holds at most."""
        asked = self.limit_asked_for
        return min(asked, LARGEST_LIMIT) if asked > 0 else DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        """How many items go before the page. Raises BadRequestError when negative."""
        return self._natural("offset")

    @property
    def after(self) -> int:
        """The position of the log after which the page begins. Raises BadRequestError when it can be none."""
        return self._position("after") or 0

    @property
    def before(self) -> int | None:
        """The last position that a page may hold; None when any may. Raises BadRequestError as `after` does."""
        position = self._position("before")
        return None if position is None else position - 1

    @property
    def at(self) -> int | datetime | None:
        """The moment of the past that is asked about: a position of the log, or a time. Raises BadRequestError."""
        text = self.word("at")
        if not text:
            return None
        if text.isascii() and text.isdecimal():
            return min(int(text[:20]), LARGEST_INT)
        return self.moment("at")

    def moment(self, name: str) -> datetime | None:
        """A time, or None when absent. Raises BadRequestError when it is none, or has no zone."""
        text = self.word(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(_UNESCAPED_PLUS.sub(r"+\1", text)) if _TIME.fullmatch(text) else None
        except ValueError:
            moment = None
        if not is_moment(moment):
            raise invalid(name, "not a time such as 2026-03-03T14:05:00Z")
        return moment

    @property
    def is_ascending(self) -> bool:
        """Whether the smallest goes first: only `asc`, spelt so, says that."""
        return self.word("order") == "asc"

    def _position(self, name: str) -> int | None:
        """A position of the log, or None when absent. Raises BadRequestError when it can be none."""
        text = self.word(name)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise invalid(name, "not a position of the log, which is a number")
        return self._natural(name)

    def _natural(self, name: str) -> int:
        """The number, 0 when there is none. Raises BadRequestError when it is negative."""
        number = self._integer(name, absent=0)
        if number < 0:
            raise invalid(name, "must not be negative")
        return number

    def _integer(self, name: str, *, absent: int) -> int:
        """A number as Go's strconv.Atoi gives it when its error is ignored: 0 for no number, else cut to 64 bits."""
        text = self._values.get(name)
        if text is None:
            return absent
        if not _INTEGER.fullmatch(text):
            return 0
        digits = text.lstrip("+-").lstrip("0")
        magnitude = int(digits or "0") if len(digits) <= len(str(LARGEST_INT)) else LARGEST_INT + 1
        return max(-magnitude, -LARGEST_INT - 1) if text[0] == "-" else min(magnitude, LARGEST_INT)
