"""What many routes have in common in the API's document: headers, and answers to what went wrong.

A new header or status is one entry here, with the rule that says which routes have it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from modeltrail.commands.remembered import KEPT
from modeltrail.http.bodies import EMAIL_LENGTH
from modeltrail.http.documentation import UUID_TEXT, Json, Operation, Parameter
from modeltrail.http.errors import RETRY_AFTER
from modeltrail.http.event_stream import MEDIA_TYPE
from modeltrail.http.idempotency import LONGEST_KEY
from modeltrail.http.limits import BODY_SECONDS, LARGEST_BODY
from modeltrail.http.request_ids import LONGEST_ID

HOUR = timedelta(hours=1)
REVISION: Json = {"type": "string", "pattern": '^"[0-9]{1,19}"$', "examples": ['"3"']}


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, and what it says of itself."""

    method: str
    path: str
    is_of_a_project: bool
    operation: Operation


Rule = Callable[[Route], bool]


def everywhere(_route: Route) -> bool:
    return True


def of_a_project(route: Route) -> bool:
    return route.is_of_a_project


def only_looks(route: Route) -> bool:
    return route.method == "get" or (route.method == "post" and route.operation.success.status == 200)  # sync


def writes(route: Route) -> bool:
    return route.is_of_a_project and not only_looks(route)


def reads_a_body(route: Route) -> bool:
    # With an Idempotency-Key, also a body that says nothing is read: it is part of what the request is known by.
    return route.operation.takes is not None or is_carried_out_once(route)


def is_a_stream(route: Route) -> bool:
    return route.operation.success.media_type == MEDIA_TYPE


def shows_a_revision(route: Route) -> bool:
    return route.operation.success.has_revision


def is_carried_out_once(route: Route) -> bool:
    return writes(route) and route.method == "post"


def may_be_held_already(route: Route) -> bool:
    return route.method == "get" and shows_a_revision(route)


def checks_revision(route: Route) -> bool:
    return route.operation.checks_revision


def reads(route: Route) -> bool:
    return route.is_of_a_project and route.method == "get"


@dataclass(frozen=True, slots=True)
class Header:
    """A header. `name` is also the key of its component."""

    name: str
    applies: Rule
    description: str
    schema: Json
    required: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status that says what went wrong. `name` is the key of its component; a route may add to `description`."""

    status: int
    name: str
    applies: Rule
    description: str


REQUEST_HEADERS = (
    Header(
        "Project-ID",
        of_a_project,
        "Whose rows the request is about. A row of another project is answered as one that does not exist.",
        UUID_TEXT,
        required=True,
    ),
    Header(
        "X-Request-ID",
        everywhere,
        f"Echoed, and kept with every event. Absent, longer than {LONGEST_ID} characters or not printable ASCII: one is"
        " made up. With other characters than `A-Z a-z 0-9 . _ : / + = -`, the log keeps a made-up one.",
        {"type": "string"},
    ),
    Header(
        "X-User-Email",
        writes,
        "On whose behalf the change is made. The log keeps it, encrypted.",
        {"type": "string", "maxLength": EMAIL_LENGTH, "pattern": "@", "examples": ["ada@example.com"]},
    ),
    Header(
        "Idempotency-Key",
        is_carried_out_once,
        f"Sent again within {KEPT // HOUR} hours, the same request under the same key has the first answer, byte for"
        " byte. A key belongs to one project. A refused request leaves it unused.",
        {
            "type": "string",
            "pattern": f"^[!-~]{{1,{LONGEST_KEY}}}$",
            "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        },
    ),
    Header(
        "If-Match",
        checks_revision,
        "The revision that the change was decided on, as ETag gave it, or `*` for any.",
        {"type": "string", "pattern": '^("[0-9]{1,19}"|\\*)$', "examples": ['"3"']},
    ),
    Header(
        "If-None-Match",
        may_be_held_already,
        "Revisions that the caller has, with commas between, or `*`; one of them is answered with 304.",
        {"type": "string", "examples": ['"3"']},
    ),
    Header(
        "Last-Event-ID",
        is_a_stream,
        "The position of the last event that came before the connection broke: the stream goes on after it, whatever"
        " `after` says.",
        {"type": "string", "pattern": "^[0-9]+$", "examples": ["42"]},
    ),
)

AT = Parameter(
    "at",
    "Answer as it was then: after the event at this position of the log, or at this time (RFC 3339). People who were"
    " erased since stay erased.",
    {"type": "string", "examples": ["2026-03-03T14:05:00Z", "42"]},
)

ANSWER_HEADERS = (
    Header("X-Request-ID", everywhere, "The request's id.", {"type": "string"}, required=True),
    Header("ETag", shows_a_revision, "The resource's revision.", REVISION, required=True),
    Header(
        "Idempotent-Replayed",
        is_carried_out_once,
        "Present when this is the first answer, sent again.",
        {"type": "string", "const": "true"},
    ),
)
WAIT = Header(
    "Retry-After",
    of_a_project,
    "After how many seconds to try again.",
    {"type": "integer", "const": int(RETRY_AFTER[1])},
    required=True,
)
ALLOW = Header("Allow", everywhere, "The methods that the path has.", {"type": "string"}, required=True)

NOT_MODIFIED = 304
UNAVAILABLE = 503

REFUSALS = (
    Refusal(
        400,
        "BadRequest",
        of_a_project,
        "The request cannot be understood, or breaks a rule: the message says which part of it, and why.",
    ),
    Refusal(408, "RequestTimeout", reads_a_body, f"The body did not arrive within {BODY_SECONDS:g} seconds."),
    Refusal(412, "PreconditionFailed", checks_revision, "If-Match names a revision that is not the newest."),
    Refusal(413, "ContentTooLarge", reads_a_body, f"The body is larger than {LARGEST_BODY} bytes."),
    Refusal(
        422,
        "UnprocessableContent",
        is_carried_out_once,
        "The Idempotency-Key was used for another request: another path or another body.",
    ),
    Refusal(
        500,
        "InternalServerError",
        of_a_project,
        "A mistake of the service. The cause is in its log, under the request's id.",
    ),
    Refusal(
        UNAVAILABLE,
        "ServiceUnavailable",
        of_a_project,
        "The database does not answer in time, too many large requests or answers are under way, or this process lacks"
        " a secret key, which its operator must give it. The message says which, and whether a change was made.",
    ),
)
