"""The data file: the cluster's objects, kept across restarts and `kill -9`.

One JSON line per change is handed to the operating system before the client gets its answer, so that
what was answered survives the process (not a power cut: this is a stand-in for a cluster, not a
database). The file is rewritten whole, and swapped in atomically, once most of it is history. Only its owner may
read it: the Secrets among the objects hold access keys.
"""

import os
from pathlib import Path

import msgspec

from modeltrail.simulated_cluster.resources import RESOURCES, Json
from modeltrail.simulated_cluster.store import Key, Store, Stored

_SPARE_LINES = 2_000
_KINDS = {each.kind: each for each in RESOURCES}


class _Line(msgspec.Struct, omit_defaults=True):
    resource_version: int
    put: Json | None = None
    removed: tuple[str, str, str] | None = None  # kind, namespace, name


class DataFile:
    """Appends every change of a store to `path`; call `close` when the store is at rest."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _replay(path, store)
        self._rewrite()
        store.journal = self

    def wrote(self, stored: Stored) -> None:
        self._append(b'{"resource_version":%d,"put":%b}\n' % (stored.resource_version, stored.raw))

    def removed(self, stored: Stored) -> None:
        place = (stored.key.resource.kind, stored.key.namespace, stored.key.name)
        line = _Line(self._store.resource_version, removed=place)
        self._append(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()
        self._rewrite()
        self._file.close()
        self._store.journal = None

    def _append(self, line: bytes) -> None:
        self._file.write(line)
        self._lines += 1
        if self._lines > _SPARE_LINES + 4 * len(self._store):
            self._file.close()
            self._rewrite()

    def _rewrite(self) -> None:
        lines = [msgspec.json.encode(_Line(self._store.resource_version))]
        lines += [
            b'{"resource_version":%d,"put":%b}' % (each.resource_version, each.raw)
            for resource in RESOURCES
            for each in self._store.all(resource)
        ]
        # The new file is open for appending before it takes the old one's place: there is no moment
        # at which a change could miss both.
        draft = self._path.with_name(f"{self._path.name}.new")
        # A draft that a crash has left behind may be open to others, and keeps its rights when it is overwritten.
        draft.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
        self._file.write(b"\n".join(lines) + b"\n")
        os.fsync(self._file.fileno())
        draft.replace(self._path)
        self._lines = len(lines)


def _replay(path: Path, store: Store) -> None:
    """Read the file into the store. A last line cut off by a crash is skipped: it was never answered."""
    *lines, _torn = path.read_bytes().split(b"\n")
    decoder = msgspec.json.Decoder(_Line)
    for number, text in enumerate(lines, start=1):
        try:
            line = decoder.decode(text)
        except msgspec.DecodeError as error:
            raise DataFileError(f"{path} is damaged at line {number}: {error}. Move it away to start empty.") from error
        if line.put is not None:
            metadata = line.put["metadata"]
            key = Key(_KINDS[line.put["kind"]], metadata.get("namespace", ""), metadata["name"])
            store.restore(line.resource_version, key, line.put)
        elif line.removed is not None:
            kind, namespace, name = line.removed
            store.forget(Key(_KINDS[kind], namespace, name), line.resource_version)
        else:
            store.forget_history(at_least=line.resource_version)


class DataFileError(Exception):
    """The data file cannot be read; the message says what to do."""
