"""What went wrong, as the caller sees it: a status and `{"error": "..."}`, from one place."""

from typing import Any

import structlog
from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import Scope

from modeltrail.commands.committing.committer import LogUnavailableError
from modeltrail.domain.errors import (
    ConflictError,
    DomainError,
    ForgottenPersonError,
    KeyReusedError,
    NotFoundError,
    RuleError,
    StaleError,
)
from modeltrail.eventlog.keys import UnusableKeyError
from modeltrail.failures import causes_of, stack_of
from modeltrail.http.answers import Answer, error
from modeltrail.postgres.connect import is_passing
from modeltrail.projections.past import BusyPastError, UnknownPastError, UnsettledError

_log = structlog.get_logger(__name__)

RETRY_AFTER = (b"retry-after", b"1")
NO_KEY = "this cannot be decrypted or encrypted: a secret key is missing here; tell whoever runs this service"

_DOMAIN_STATUS: dict[type[DomainError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    RuleError: 400,
    StaleError: 412,
    KeyReusedError: 422,
}
_ROUTING_MESSAGE = {
    404: "not found",
    405: "method not allowed",
    413: "request body is too large: at most 1 MiB is taken",
}


class BadRequestError(Exception):
    """The request cannot be understood; the message says which part of it, and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BusyError(Exception):
    """This process has no room for the request; the message says for what."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def invalid(field: str, problem: str) -> BadRequestError:
    """An error that names a field of the request."""
    return BadRequestError(f"invalid {field}: {problem}")


def answer_to(request: Request[Any, Any, Any], failure: Exception) -> Answer:
    """The answer to a request that failed. What is nobody's mistake but ours is logged, and not told."""
    if isinstance(failure, BadRequestError):
        return error(400, failure.message)
    if isinstance(failure, BusyError | ForgottenPersonError):
        return error(503, failure.message, RETRY_AFTER)
    if isinstance(failure, DomainError):
        return error(_status_of(failure), failure.message)
    if isinstance(failure, UnknownPastError):
        return _unanswered(failure)
    if isinstance(failure, LogUnavailableError):
        return _unavailable(request, failure, _unwritten(failure))
    if isinstance(failure, UnusableKeyError):
        # Somebody rotated the keys before this process was given the new one, which takes a restart.
        _log.error(
            "stored data needs a secret key that is not at hand", **_facts(request.scope, failure), key=str(failure)
        )
        return error(503, NO_KEY, RETRY_AFTER)
    if is_passing(failure):
        return _unavailable(request, failure, "the database cannot be reached; try again")
    if type(failure) is InternalServerException:  # litestar's word for a caller that left in mid-sentence
        return error(400, "the request body ended too early")
    if isinstance(failure, HTTPException) and failure.status_code < 500:
        return _refused_by_litestar(failure)
    _report(request, failure)
    return error(500, "internal server error")


def _unanswered(failure: UnknownPastError) -> Answer:
    if isinstance(failure, BusyPastError | UnsettledError):
        return error(503, f"{failure}; try again", RETRY_AFTER)
    return error(400, f"invalid at: {failure}")


def report_broken_off(scope: Scope, failure: Exception) -> None:
    """Log why an answer ends early whose status has been sent already."""
    facts = _facts(scope, failure)
    if isinstance(failure, UnusableKeyError):
        _log.error(
            "an answer breaks off: stored data needs a secret key that is not at hand", **facts, key=str(failure)
        )
    elif is_passing(failure):
        _log.warning("an answer breaks off: the database cannot be read", **facts)
    else:
        _log.error("an answer breaks off", **facts, stack=stack_of(failure))


def _status_of(refusal: DomainError) -> int:
    return next((status for kind, status in _DOMAIN_STATUS.items() if isinstance(refusal, kind)), 400)


def _unwritten(failure: LogUnavailableError) -> str:
    if failure.unknown:
        return "the database cannot be reached; the change may have been made all the same"
    return "no change can be written now; try again"


def _unavailable(request: Request[Any, Any, Any], failure: Exception, message: str) -> Answer:
    _log.warning("a request cannot be served now", **_facts(request.scope, failure))
    return error(503, message, RETRY_AFTER)


def _refused_by_litestar(failure: HTTPException) -> Answer:
    message = _ROUTING_MESSAGE.get(failure.status_code) or failure.detail
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in _headers(failure)]
    return error(failure.status_code, message, *headers)


def _headers(failure: HTTPException) -> list[tuple[str, str]]:
    given = {name.lower(): value for name, value in (failure.headers or {}).items()}
    if "allow" in given:  # litestar counts OPTIONS in, which we do not serve; see application.py
        methods = sorted(method.strip() for method in given["allow"].split(","))
        given["allow"] = ", ".join(method for method in methods if method != "OPTIONS")
    return list(given.items())


def _report(request: Request[Any, Any, Any], failure: Exception) -> None:
    _log.error("a request failed", **_facts(request.scope, failure), stack=stack_of(failure))


def _facts(scope: Scope, failure: Exception) -> dict[str, object]:
    """Which request it was, without anything that the caller sent but the request id, and why it failed."""
    return {
        "request_id": scope["request_id"],  # type: ignore[typeddict-item] # ours; see application.py
        "method": scope.get("method"),
        "route": scope.get("path_template"),
        "cause": causes_of(failure),
    }
