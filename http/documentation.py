"""What a route says of itself in the API's document: all that its method, path and docstring do not tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

Json = dict[str, Any]  # Any: JSON

# PostgreSQL stores no U+0000.
TEXT: Json = {"type": "string", "pattern": "^[^\\u0000]*$"}
UUID_TEXT: Json = {"type": "string", "format": "uuid", "examples": ["0198c9a2-6f3e-7c41-9d0a-4b8f2e6d1c35"]}
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Tag:
    """A chapter of the document."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something in the query string."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXT)  # Any: JSON
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """How a route answers: with a JSON `body`, with a `json_type` of a `media_type`, or with nothing."""

    status: int
    says: str
    body: type[Struct] | None = None
    media_type: str | None = None
    json_type: str = "string"
    has_revision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route takes and answers. Headers and answers that many routes share are in conventions.py.

    `refusals` says, by status, why this very route refuses a request; `failures` are those that do not answer with the
    error body. `checks_revision` is for routes that read If-Match.
    """

    tag: Tag
    success: Success
    takes: type[Struct] | None = None
    query: tuple[Parameter, ...] = ()
    refusals: Mapping[int, str] = field(default_factory=dict)
    failures: Mapping[int, Success] = field(default_factory=dict)
    checks_revision: bool = False


def one(body: type[Struct], says: str, status: int = 200) -> Success:
    """A single resource with its revision as ETag."""
    return Success(status=status, says=says, body=body, has_revision=True)


def plain(body: type[Struct], says: str, status: int = 200) -> Success:
    """JSON that has no revision."""
    return Success(status=status, says=says, body=body)


def nothing(says: str) -> Success:
    """Done, and nothing to say."""
    return Success(status=204, says=says)


def uuid_filter(name: str, description: str) -> Parameter:
    """A filter that must be a UUID."""
    return Parameter(name, description, UUID_TEXT)
