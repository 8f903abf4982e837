"""What is kept of a request that may be sent again: enough to know it by, and nothing to read.

All of it is HMAC-SHA-256 under a secret of the installation. The key that opens the answer hangs on the whole request
and is kept nowhere, so neither the database nor the installation's keys open it, only the request sent again.
"""

import hashlib
import hmac
from uuid import UUID

from cryptography.exceptions import InvalidTag
from msgspec import Struct

from modeltrail.eventlog.keys import UnusableKeyError, seal, unseal


class Asked(Struct, frozen=True):
    """A request with an idempotency key. It never shows what it holds: the body may name a person or hold a secret."""

    project_id: UUID
    key: bytes
    method: str
    path: bytes
    body: bytes

    def __repr__(self) -> str:
        return f"Asked(project_id={self.project_id})"


class RequestSeal(Struct, frozen=True):
    """What a request is known by, and what seals its answer.

    `key` stands for the idempotency key in its project, `fingerprint` for the whole request (32 bytes each).
    """

    key: bytes
    fingerprint: bytes
    _answer_key: bytes

    @classmethod
    def of(cls, asked: Asked, secret: bytes) -> "RequestSeal":
        """The seal of a request, under a secret of the installation."""
        named = (asked.project_id.bytes, asked.key)
        whole = (*named, asked.method.encode(), asked.path, asked.body)
        return cls(
            _digest(secret, b"key", *named), _digest(secret, b"request", *whole), _digest(secret, b"box", *whole)
        )

    def __repr__(self) -> str:
        """Without the key that opens the answer."""
        return "RequestSeal()"

    def seal(self, answer: bytes) -> bytes:
        """The answer to the request, for nobody but who sends it again."""
        return seal(self._answer_key, answer, self.fingerprint)

    def unseal(self, box: bytes) -> bytes:
        """The answer in `box`. Raises UnusableKeyError when it answers another request, or was changed."""
        try:
            return unseal(self._answer_key, box, self.fingerprint)
        except InvalidTag:
            raise UnusableKeyError(
                "a kept answer cannot be opened with the request that it is said to answer"
            ) from None


def _digest(secret: bytes, *parts: bytes) -> bytes:
    """A keyed digest of `parts`. Each goes in with its length, so that none can borrow bytes from the next."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()
