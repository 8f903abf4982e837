"""The keys that secrets are encrypted with, as given in the environment or in a file."""

import base64
import binascii
import fcntl
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from modeltrail.environment import Environment, SettingsError

__all__ = ["KEYS_FILE_VARIABLE", "KEYS_VARIABLE", "SecretKey", "add_key", "generate_key", "load_keys", "use_key"]

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


def add_key(path: Path, key_id: str) -> bool:
    """Add a new random key at the end of a keys file: it opens what is stored, and encrypts nothing; or make the file.

    Returns whether it is the only key, and so encrypts. Raises SettingsError when the file is not in order, or has a
    key of that id.
    """
    _require_id(key_id)
    others: list[str] = []

    def added(lines: list[str]) -> list[str]:
        others.extend(_ids(lines))
        if key_id in others:
            raise SettingsError(f"{str(path)!r} has a key {key_id!r} already; each key needs its own id")
        return [*lines, generate_key(key_id)]

    _rewrite(path, added)
    return not others


def use_key(path: Path, key_id: str) -> None:
    """Make a key of the file the current one, which is the first. Raises SettingsError when it is not there."""
    _require_id(key_id)

    def moved(lines: list[str]) -> list[str]:
        chosen = [line for line in lines if _ids([line]) == [key_id]]
        if not chosen:
            raise SettingsError(f"{str(path)!r} has no key {key_id!r}; it has {', '.join(_ids(lines)) or 'none'}")
        return chosen + [line for line in lines if line not in chosen]

    _rewrite(path, moved)


def _require_id(key_id: str) -> None:
    """Raise SettingsError for what is no id, without quoting it: somebody may have pasted a whole line, key and all."""
    if not _KEY_ID.fullmatch(key_id):
        raise SettingsError(
            "KEY_ID must be 1 to 64 letters, digits, dots, dashes, underscores; it is what stands before the colon in a"
            " line of the keys file"
        )


def _ids(lines: list[str]) -> list[str]:
    return [line.strip().partition(":")[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Replace the file whole, readable by its owner alone; others who rewrite it at the same time wait."""
    path = path.expanduser().resolve()
    try:
        with _locked(path.parent) as folder:
            lines: list[str] = []
            if path.exists():
                _load_file(path)  # raises when it is not in order
                lines = path.read_text(encoding="utf-8").splitlines()
            _replace(path, change(lines))
            os.fsync(folder)
    except OSError as error:
        raise SettingsError(f"the keys file {str(path)!r} cannot be written ({error.strerror})") from None


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """A descriptor of the folder while nobody else has it locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)  # unlocks it, too


def _replace(path: Path, lines: list[str]) -> None:
    """Put a file of these lines at `path`, in one step; one that is there keeps its owner."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            if path.exists() and os.geteuid() == 0:
                os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _load_file(path: Path) -> tuple[tuple[SecretKey, ...], tuple[str, ...]]:
    source = f"{KEYS_FILE_VARIABLE} is {str(path)!r}"
    try:
        content = path.read_text(encoding="utf-8")
        status = path.stat()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise SettingsError(
            f"{source}, which cannot be read ({reason}); it must be a file of {_ACCEPTED} lines"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{source}, which is not text; it must be a file of {_ACCEPTED} lines") from None
    lines = [line for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    keys = _parse(lines, source)
    if stat.S_IMODE(status.st_mode) & stat.S_IWOTH:
        raise SettingsError(f"{source}, which everybody on this machine may write; chmod 600 {path}")
    # Kubernetes mounts secrets world-readable by default, hence a warning and no refusal.
    if stat.S_IMODE(status.st_mode) & _readers_too_many(status):
        return keys, (f"{source}, which other users of this machine may read; chmod 600 {path}",)
    return keys, ()


def _readers_too_many(status: os.stat_result) -> int:
    """The rights to read that nobody needs. As for PostgreSQL's own keys, a file of root's is given to others by its
    group: Kubernetes mounts a Secret so for a pod that is not root (`fsGroup`), and no mode of the mount changes that.
    """
    given_by_group = status.st_uid == 0 and os.geteuid() != 0
    return stat.S_IROTH if given_by_group else stat.S_IRGRP | stat.S_IROTH


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
