"""What may be said of an exception in a log: where and why, and nothing that anybody sent."""

import traceback

from asyncpg import DataError

# Messages of these quote the value that they stumbled over, and that may be anybody's address or key.
_QUOTING = (ValueError, LookupError, DataError)


def causes_of(failure: BaseException) -> list[str]:
    """The error and those that led to it, each as its type and, unless it could quote a value, its message."""
    return [_describe(each) for each in _chain(failure)]


def stack_of(failure: BaseException) -> str:
    """The places that the error came through. A formatted traceback would quote the errors' messages."""
    frames = traceback.extract_tb(failure.__traceback__)
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)


def place_of(failure: BaseException) -> str:
    """The error's type, and the place in our own code that it came out of, in a few words."""
    places = [
        f" in {name}, line {line}"
        for frame, line in traceback.walk_tb(failure.__traceback__)
        if (name := frame.f_globals.get("__name__", "")).startswith("modeltrail.")
    ]
    return f"{type(failure).__qualname__}{places[-1] if places else ''}"


def _chain(failure: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while failure is not None and failure not in chain:
        chain.append(failure)
        failure = failure.__cause__ or failure.__context__
    return chain


def _describe(failure: BaseException) -> str:
    name = f"{type(failure).__module__}.{type(failure).__qualname__}"
    if isinstance(failure, _QUOTING) or not failure.args:
        return name
    # Not str(): PostgreSQL's DETAIL, which asyncpg adds there, quotes whole rows.
    return f"{name}: {failure.args[0]}"


def leaves_of(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    """The errors in a group, and in the groups in it."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves_of(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
