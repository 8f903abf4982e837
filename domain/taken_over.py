"""What comes from another registry: whether it is still as it was there, here and there."""

from msgspec import Struct

from modeltrail.domain.errors import ConflictError


class TakenOver(Struct, frozen=True):
    """As what something was taken over the last time, and whether it has changed here since."""

    fingerprint: str
    is_untouched: bool = True


def is_unchanged_there(taken_over: TakenOver | None, fingerprint: str, kind: str) -> bool:
    """Whether it is the same there as the last time; if not, it may be taken over once more.

    Raises ConflictError for what did not come from there, and for what has gone its own way here.
    """
    if taken_over is None:
        raise ConflictError(f"{kind} id is taken by one that was registered here")
    if taken_over.fingerprint == fingerprint:
        return True
    if not taken_over.is_untouched:
        raise ConflictError(f"{kind} was changed both here and there since it was taken over")
    return False
