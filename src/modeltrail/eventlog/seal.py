"""A signed statement of where the log ended: an auditor who keeps it finds out when what was there is rewritten.

The chain alone cannot tell a log whose end was cut off, or one that was forged anew from some event on. The signature
is Ed25519 over the lines `modeltrail seal 1`, position, hash (hex) and time of sealing, each with a line feed.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Meta, Struct

from modeltrail.eventlog.verification import Fault, Finding, Verified


class SealError(Exception):
    """A seal or its key is of no use; the message says which and why."""


class WrongFileError(SealError):
    """The file that was named is not there, or is there where none may be."""


class Seal(Struct, frozen=True, forbid_unknown_fields=True):
    """The log's end at a moment. `hash` is hex, `public_key` and `signature` are base64 of their raw bytes."""

    position: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    sealed_at: datetime
    public_key: str
    signature: str
    modeltrail_seal: int = 1

    def as_json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode()


def make_key(path: Path) -> str:
    """Write a new private key, readable by its owner alone; its public key.

    Raises WrongFileError when the file exists, and SealError.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        taken = f"{str(path)!r} exists already, and a seal's key is never overwritten; name another"
        raise WrongFileError(taken) from None
    except OSError as error:
        raise _of_file(error, f"the seal's key {str(path)!r} cannot be written") from None
    return public_key_of(key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file. Raises SealError, also when others than its owner may read it."""
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise _of_file(error, f"the seal's key {str(path)!r} cannot be read") from None
    if mode & 0o077:
        raise SealError(f"other users of this machine may use the seal's key {str(path)!r}; chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SealError(f"{str(path)!r} is not an Ed25519 private key in PEM; make one: modeltrail events new-seal-key")
    return key


def _of_file(error: OSError, trouble: str) -> SealError:
    kind = WrongFileError if isinstance(error, FileNotFoundError | NotADirectoryError) else SealError
    return kind(f"{trouble} ({error.strerror})")


def is_public_key(text: str) -> bool:
    """Whether this is base64 of the 32 bytes of an Ed25519 public key."""
    try:
        Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except ValueError:
        return False
    return True


def public_key_of(key: Ed25519PrivateKey) -> str:
    """Base64 of the 32 bytes that auditors keep."""
    return b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def make_seal(verified: Verified, key: Ed25519PrivateKey, now: datetime) -> Seal:
    """The seal of a log that was found whole."""
    text = _signed_text(verified.position, verified.hash.hex(), now)
    return Seal(verified.position, verified.hash.hex(), now, public_key_of(key), b64encode(key.sign(text)).decode())


def read_seal(path: Path, trusted_key: str | None) -> Seal:
    """The seal in a file, with its signature checked; by `trusted_key`, if it is given. Raises SealError."""
    try:
        seal = msgspec.json.decode(path.read_bytes(), type=Seal)
    except OSError as error:
        raise _of_file(error, f"the seal {str(path)!r} cannot be read") from None
    except msgspec.MsgspecError as error:
        raise SealError(f"{str(path)!r} is not a seal: {error}") from None
    if trusted_key is not None and seal.public_key != trusted_key:
        raise SealError(f"the seal {str(path)!r} was made with another key than the one given: {seal.public_key}")
    try:
        public = Ed25519PublicKey.from_public_bytes(b64decode(seal.public_key, validate=True))
        signature = b64decode(seal.signature, validate=True)
        public.verify(signature, _signed_text(seal.position, seal.hash, seal.sealed_at))
    except (InvalidSignature, ValueError):
        raise SealError(f"the signature of the seal {str(path)!r} does not fit: it was changed") from None
    return seal


def _signed_text(position: int, digest: str, sealed_at: datetime) -> bytes:
    return f"modeltrail seal 1\n{position}\n{digest}\n{sealed_at.isoformat()}\n".encode()


def compare(verified: Verified, seals: Sequence[Seal], hash_at: Callable[[int], bytes | None]) -> Verified:
    """What the seals add to a walk along the chain: the first that the log does not keep to.

    `hash_at` gives the hash of an event that was walked over, None where there is none.
    """
    kept = 0
    for seal in sorted(seals, key=lambda each: each.position):
        if verified.finding is not None and verified.finding.position <= seal.position:
            break
        if seal.position > verified.position:
            gone = f"the log ends at {verified.position}, and had {seal.position} events when it was sealed"
            return _found(verified, Finding(verified.position + 1, Fault.REMOVED, gone))
        if seal.position and hash_at(seal.position) != bytes.fromhex(seal.hash):
            since = f"after position {kept} or at any before {seal.position}" if kept else "here or before"
            rewritten = f"its hash is not the sealed one: the log was forged anew {since}"
            return _found(verified, Finding(seal.position, Fault.REWRITTEN, rewritten))
        kept = seal.position
    return verified


def _found(verified: Verified, finding: Finding) -> Verified:
    return Verified(verified.position, verified.hash, finding)
