"""The keys that secrets are encrypted with, as given in the environment or in a file."""

import base64
import binascii
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from modeltrail.environment import Environment, SettingsError

__all__ = ["KEYS_FILE_VARIABLE", "KEYS_VARIABLE", "SecretKey", "generate_key", "load_keys"]

KEYS_VARIABLE = "MODELTRAIL_SECRET_KEYS"
KEYS_FILE_VARIABLE = "MODELTRAIL_SECRET_KEYS_FILE"

_KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ACCEPTED = "id:base64-of-32-bytes (id: 1 to 64 letters, digits, dots, dashes, underscores)"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """An AES-256 key and the id that is stored beside what it encrypts, so that keys can be rotated."""

    id: str
    key: bytes = field(repr=False)


def generate_key(key_id: str) -> str:
    """A new random key as one line of a keys file."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def load_keys(environment: Environment) -> tuple[tuple[SecretKey, ...], tuple[str, ...]]:
    """The keys, the current one first, and warnings about how they are kept. No key at all is allowed.

    No message shows a key or what might be a part of one.
    """
    listed = environment.get(KEYS_VARIABLE)
    file = environment.get(KEYS_FILE_VARIABLE)
    if listed and file:
        raise SettingsError(f"{KEYS_VARIABLE} and {KEYS_FILE_VARIABLE} are both set; set only one of them")
    if listed:
        return _parse(listed.split(","), KEYS_VARIABLE), ()
    if file:
        return _load_file(Path(file).expanduser())
    return (), ()


def _load_file(path: Path) -> tuple[tuple[SecretKey, ...], tuple[str, ...]]:
    source = f"{KEYS_FILE_VARIABLE} is {str(path)!r}"
    try:
        content = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise SettingsError(
            f"{source}, which cannot be read ({reason}); it must be a file of {_ACCEPTED} lines"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{source}, which is not text; it must be a file of {_ACCEPTED} lines") from None
    lines = [line for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    keys = _parse(lines, source)
    # Kubernetes mounts secrets world-readable by default, hence a warning and no refusal.
    if stat.S_IMODE(mode) & (stat.S_IRGRP | stat.S_IROTH):
        return keys, (f"{source}, which other users of this machine may read; chmod 600 {path}",)
    return keys, ()


def _parse(entries: list[str], source: str) -> tuple[SecretKey, ...]:
    keys: dict[str, SecretKey] = {}
    for number, entry in enumerate(entries, start=1):
        key = _parse_entry(entry.strip())
        if key is None:
            raise SettingsError(f"{source}: key number {number} is not of the form {_ACCEPTED}")
        if key.id in keys:
            raise SettingsError(f"{source}: the key id {key.id!r} is there twice; each key needs its own id")
        keys[key.id] = key
    if not keys:
        raise SettingsError(f"{source}: it holds no key; it must hold at least one {_ACCEPTED}")
    return tuple(keys.values())


def _parse_entry(entry: str) -> SecretKey | None:
    key_id, _, encoded = entry.partition(":")
    try:
        key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not _KEY_ID.fullmatch(key_id) or len(key) != _KEY_BYTES:
        return None
    return SecretKey(key_id, key)
