"""Faults on demand: what to break, for which requests, how often; and a record of all requests."""

import time
from collections import deque
from typing import Literal

import msgspec

Verb = Literal["get", "list", "watch", "create", "update", "patch", "apply", "delete"]


class Fail(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """Answer with an error `Status` in place of handling the request."""

    code: int
    reason: str = "InternalError"
    message: str = "this failure was asked for at the simulated cluster"
    retry_after: int | None = None


class Reset(msgspec.Struct, frozen=True, tag="reset", forbid_unknown_fields=True):
    """Reset the connection; with `after_handling` the write has happened and only its answer is lost."""

    after_handling: bool = False


class Delay(msgspec.Struct, frozen=True, tag="delay", forbid_unknown_fields=True):
    """Handle the request, but only after so many seconds."""

    seconds: float


class Hang(msgspec.Struct, frozen=True, tag="hang", forbid_unknown_fields=True):
    """Never answer, until the client gives up."""


class TearWatch(msgspec.Struct, frozen=True, tag="torn_watch", forbid_unknown_fields=True):
    """Send half of the watch's next line, then reset the connection."""


class ExpireHistory(msgspec.Struct, frozen=True, tag="expire_history", forbid_unknown_fields=True):
    """Forget the history and answer this watch `410 Gone`, as an event in the stream or as HTTP status."""

    form: Literal["event", "http"] = "event"


Action = Fail | Reset | Delay | Hang | TearWatch | ExpireHistory


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule. Absent conditions match everything; `times` requests are hit, then the rule is spent."""

    action: Action
    verb: Verb | None = None
    resource: str | None = None
    name_prefix: str = ""
    times: int = 1


class Recorded(msgspec.Struct, kw_only=True):
    """One request as it arrived; `at` is `time.time()`; `status` is 0 while, or if never, answered."""

    verb: str
    method: str
    path: str
    resource: str
    namespace: str
    name: str
    at: float
    status: int = 0


class Faults:
    """The rules in force, oldest first."""

    def __init__(self) -> None:
        self._rules: list[tuple[Fault, int]] = []

    def add(self, *faults: Fault) -> None:
        self._rules += [(fault, fault.times) for fault in faults]

    def clear(self) -> None:
        self._rules.clear()

    def left(self) -> list[Fault]:
        return [msgspec.structs.replace(fault, times=times) for fault, times in self._rules]

    def take(self, verb: str, resource: str, name: str) -> Action | None:
        """What to do to this request; using a rule spends one of its times."""
        for index, (fault, times) in enumerate(self._rules):
            if fault.verb not in (None, verb) or fault.resource not in (None, resource):
                continue
            if not name.startswith(fault.name_prefix):
                continue
            if times > 1:
                self._rules[index] = (fault, times - 1)
            else:
                del self._rules[index]
            return fault.action
        return None


class Requests:
    """The latest requests, oldest first, up to a bound."""

    def __init__(self, bound: int = 10_000) -> None:
        self._rows: deque[Recorded] = deque(maxlen=bound)

    def add(self, *, verb: str, method: str, path: str, resource: str, namespace: str, name: str) -> Recorded:
        row = Recorded(
            verb=verb, method=method, path=path, resource=resource, namespace=namespace, name=name, at=time.time()
        )
        self._rows.append(row)
        return row

    def clear(self) -> None:
        self._rows.clear()

    def all(self, verb: str | None = None, name: str | None = None) -> list[Recorded]:
        return [row for row in self._rows if verb in (None, row.verb) and name in (None, row.name)]
