"""Encryption under keys that the database never sees.

AES-256-GCM from the `cryptography` package. Each box names the key that closed it, so that keys can rotate, and is
bound to its purpose, so that a box cannot be moved to another row.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class UnusableKeyError(Exception):
    """A box cannot be opened with the keys at hand. The message names ids of keys, and nothing else that is stored."""


def seal(key: bytes, text: bytes, purpose: bytes) -> bytes:
    """`text` encrypted: a random nonce, then the ciphertext and its tag. `purpose` must be given again to open it."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, purpose)


def unseal(key: bytes, box: bytes, purpose: bytes) -> bytes:
    """The text in `box`. Raises InvalidTag when key, purpose or box do not belong together."""
    if len(box) < NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], purpose)


class KeyRing:
    """The installation's secret keys by id. The first is used for what is new, all of them for what is stored."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """Take `(id, 32 bytes)` pairs, the current key first. Raises ValueError when there is none."""
        if not keys:
            raise ValueError("at least one secret key is needed")
        self._keys = dict(keys)
        self.current_id = keys[0][0]

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys at hand."""
        return frozenset(self._keys)

    def seal(self, text: bytes, purpose: bytes) -> tuple[str, bytes]:
        """The current key's id, and `text` encrypted under it."""
        return self.current_id, seal(self._keys[self.current_id], text, purpose)

    def unseal(self, key_id: str, box: bytes, purpose: bytes) -> bytes:
        """The text in `box`. Raises UnusableKeyError when the key is unknown or does not fit."""
        key = self._keys.get(key_id)
        if key is None:
            raise UnusableKeyError(f"secret key {key_id!r} is not configured, but stored data is encrypted under it")
        try:
            return unseal(key, box, purpose)
        except InvalidTag:
            raise UnusableKeyError(
                f"secret key {key_id!r} does not fit what was stored under that id; configure the one that was used"
            ) from None


class KeysAtHand:
    """A ring of keys, or none, for those to whom what cannot be opened is no failure."""

    def __init__(self, keys: KeyRing | None) -> None:
        self._keys = keys

    def unseal(self, key_id: str, box: bytes, purpose: bytes) -> bytes | None:
        """The text in `box`, or None when no key at hand opens it."""
        if self._keys is None:
            return None
        try:
            return self._keys.unseal(key_id, box, purpose)
        except UnusableKeyError:
            return None
