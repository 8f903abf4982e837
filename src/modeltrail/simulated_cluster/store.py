"""The objects of the simulated cluster, their history, and who waits for changes."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from modeltrail.simulated_cluster.ownership import Managers, read_managers, written_managers
from modeltrail.simulated_cluster.resources import Json, Resource


@dataclass(frozen=True, slots=True)
class Key:
    resource: Resource
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one object. `obj` is shared and never changed in place; `raw` is its JSON."""

    key: Key
    obj: Json
    managers: Managers
    raw: bytes
    resource_version: int

    @property
    def labels(self) -> Json:
        labels: Json = self.obj["metadata"].get("labels") or {}
        return labels

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.obj["metadata"]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history; `before` is None for a new object."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    before: Stored | None
    after: Stored

    @property
    def resource_version(self) -> int:
        return self.after.resource_version


class Journal(Protocol):
    """Where changes are kept beyond the life of the process."""

    def wrote(self, stored: Stored) -> None: ...

    def removed(self, stored: Stored) -> None: ...


def stored(key: Key, obj: Json, managers: Managers, resource_version: int) -> Stored:
    """Stamp an object with its version and its owners, and encode it once for all its readers."""
    metadata = {**obj["metadata"], "resourceVersion": str(resource_version)}
    if managers:
        metadata["managedFields"] = written_managers(managers)
    else:
        metadata.pop("managedFields", None)
    whole = {**obj, "metadata": metadata}
    return Stored(key, whole, managers, msgspec.json.encode(whole), resource_version)


class Store:
    """All objects, with one counter of versions for all of them, as in etcd.

    `history` is how many changes a watch can be resumed over; whoever asks for older ones is told
    `410 Gone`.
    """

    def __init__(self, *, history: int = 10_000) -> None:
        self.resource_version = 1
        self.horizon = 1  # changes after this version are all in the history
        self.journal: Journal | None = None
        self._objects: dict[Resource, dict[tuple[str, str], Stored]] = {}
        self._history: deque[Change] = deque()
        self._history_size = history
        self._waiting: set[asyncio.Event] = set()
        self._owned: dict[str, dict[Key, None]] = {}  # what names an owner with this UID, or once did

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def get(self, key: Key) -> Stored | None:
        return self._objects.get(key.resource, {}).get((key.namespace, key.name))

    def all(self, resource: Resource, namespace: str = "") -> list[Stored]:
        """In the order of namespace and name, as Kubernetes lists."""
        rows = self._objects.get(resource, {})
        return [rows[place] for place in sorted(rows) if not namespace or place[0] == namespace]

    def within(self, namespace: str) -> list[Stored]:
        """Everything that stands in a namespace."""
        rows = (each.items() for resource, each in self._objects.items() if resource.namespaced)
        return [found for each in rows for place, found in each if place[0] == namespace]

    def write(self, key: Key, obj: Json, managers: Managers) -> Stored:
        before = self.get(key)
        self.resource_version += 1
        after = stored(key, obj, managers, self.resource_version)
        self._put(after)
        if self.journal:
            self.journal.wrote(after)
        self._announce(Change("MODIFIED" if before else "ADDED", before, after))
        return after

    def remove(self, last: Stored) -> Stored:
        """Take an object out; the last event carries the version of its removal, as in Kubernetes."""
        before = self._objects[last.key.resource].pop((last.key.namespace, last.key.name))
        self.resource_version += 1
        after = stored(last.key, last.obj, last.managers, self.resource_version)
        if self.journal:
            self.journal.removed(after)
        self._announce(Change("DELETED", before, after))
        self._collect(after)
        return after

    def _put(self, each: Stored) -> None:
        self._objects.setdefault(each.key.resource, {})[each.key.namespace, each.key.name] = each
        for uid in _owners(each):
            self._owned.setdefault(uid, {})[each.key] = None

    def _collect(self, owner: Stored) -> None:
        """Take out what belonged to an object that is gone, as Kubernetes' garbage collector does before long."""
        for key in self._owned.pop(owner.uid, ()):
            each = self.get(key)
            if each is not None and _owners(each) == {owner.uid} and key.namespace == owner.key.namespace:
                self.remove(each)

    def restore(self, resource_version: int, key: Key, obj: Json) -> None:
        """Put back one object as the journal kept it. Nobody is told: this happens before serving."""
        managers = read_managers(obj["metadata"].get("managedFields") or ())
        version = int(obj["metadata"]["resourceVersion"])
        self._put(stored(key, obj, managers, version))
        self.forget_history(at_least=max(resource_version, version))

    def forget(self, key: Key, resource_version: int) -> None:
        self._objects.get(key.resource, {}).pop((key.namespace, key.name), None)
        self.forget_history(at_least=resource_version)

    def forget_history(self, *, at_least: int = 0) -> None:
        """Drop the history, so that every watch from an older version is told `410 Gone`."""
        self.resource_version = max(self.resource_version, at_least)
        self.horizon = self.resource_version
        self._history.clear()

    def changes_after(self, resource_version: int) -> list[Change]:
        """What happened since; the caller has compared its version with `horizon`."""
        found: list[Change] = []
        for change in reversed(self._history):
            if change.resource_version <= resource_version:
                break
            found.append(change)
        found.reverse()
        return found

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change; the listener clears it."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)

    def _announce(self, change: Change) -> None:
        self._history.append(change)
        if len(self._history) > self._history_size:
            self.horizon = self._history.popleft().resource_version
        for event in self._waiting:
            event.set()


def _owners(each: Stored) -> set[str]:
    return {str(reference.get("uid")) for reference in each.obj["metadata"].get("ownerReferences") or ()}
