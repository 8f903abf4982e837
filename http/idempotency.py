"""`Idempotency-Key`: a POST that is sent again has the answer that it had the first time."""

import re

import msgspec
from msgspec import Struct

from modeltrail.domain.ids import ProjectId
from modeltrail.eventlog.request_seal import Asked, RequestSeal
from modeltrail.http.answers import Header, Sent, T
from modeltrail.http.errors import invalid
from modeltrail.http.requests import ApiRequest

LONGEST_KEY = 255
REPLAYED: Header = (b"idempotent-replayed", b"true")

_FIT = re.compile(rb"[\x21-\x7e]{1,%d}" % LONGEST_KEY)


class StoredAnswer(Struct, frozen=True, array_like=True):
    """An answer as it is kept: all of it but the request id, which is that of each request."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


_write = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(StoredAnswer).decode


async def request_seal(request: ApiRequest, project_id: ProjectId) -> RequestSeal | None:
    """What a POST with an idempotency key is known by; None for other requests.

    Raises BadRequestError for a key that is none.
    """
    key = request.raw_header(b"idempotency-key") if request.method == "POST" else None
    if key is None:
        return None
    if _FIT.fullmatch(key) is None:
        raise invalid("Idempotency-Key", f"expected 1 to {LONGEST_KEY} visible ASCII characters")
    asked = Asked(project_id, key, request.method, request.scope["path"].encode(), await request.raw_body())
    return RequestSeal.of(asked, await request.services.people.secret("idempotency"))


def to_bytes(answer: Sent[T]) -> bytes:
    """The answer as it is kept."""
    return _write(StoredAnswer(answer.status, answer.raw_headers, answer.body))


def from_bytes(kept: bytes) -> StoredAnswer:
    """The answer that was kept."""
    return _read(kept)


def replayed(answer: StoredAnswer) -> Sent[T]:
    """The first answer once more, byte for byte, with a header that says so."""
    return Sent(answer.status, answer.body, *answer.headers, REPLAYED)
