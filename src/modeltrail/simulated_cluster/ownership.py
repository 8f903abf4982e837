"""Who owns which field: `metadata.managedFields`, updates, and server-side apply with its conflicts.

The rules are those of https://kubernetes.io/docs/reference/using-api/server-side-apply/: an update takes
what it changes; an apply takes what it states, gives up what it no longer states, and must not change a
value that somebody else owns unless forced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from modeltrail.simulated_cluster.failures import apply_conflict
from modeltrail.simulated_cluster.fields import (
    Path,
    dotted,
    flatten,
    from_fields_v1,
    merged,
    owned_part,
    to_fields_v1,
    without,
)
from modeltrail.simulated_cluster.resources import Json


@dataclass(frozen=True, slots=True)
class Manager:
    """One entry of `managedFields`. The same name applying and updating counts as two managers."""

    name: str
    operation: str
    subresource: str
    api_version: str
    time: str
    paths: frozenset[Path]

    def is_same(self, other: "Manager") -> bool:
        return (self.name, self.operation, self.subresource) == (other.name, other.operation, other.subresource)

    @property
    def shown(self) -> str:
        return f'"{self.name}"' if self.operation == "Apply" else f'"{self.name}" using {self.api_version}'


Managers = tuple[Manager, ...]


def read_managers(managed_fields: Iterable[Json]) -> Managers:
    return tuple(
        Manager(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("subresource", ""),
            entry.get("apiVersion", ""),
            entry.get("time", ""),
            from_fields_v1(entry.get("fieldsV1", {})),
        )
        for entry in managed_fields
    )


def written_managers(managers: Managers) -> list[Json]:
    return [
        {
            "manager": each.name,
            "operation": each.operation,
            "apiVersion": each.api_version,
            "time": each.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(each.paths),
            **({"subresource": each.subresource} if each.subresource else {}),
        }
        for each in managers
    ]


def after_update(managers: Managers, old: Json | None, new: Json, author: Manager) -> Managers:
    """The owners once `author` turned `old` into `new`; the same tuple when nothing changed."""
    before = flatten(owned_part(old, author.subresource)) if old is not None else {}
    after = flatten(owned_part(new, author.subresource))
    taken = {path for path, value in after.items() if path not in before or before[path] != value}
    lost = taken | (before.keys() - after.keys())
    if not lost:
        return managers
    mine = next((each.paths for each in managers if each.is_same(author)), frozenset())
    others = _without_paths([each for each in managers if not each.is_same(author)], lost)
    kept = (mine - lost) | taken
    return (*others, replace(author, paths=frozenset(kept))) if kept else others


def after_apply(managers: Managers, live: Json, config: Json, author: Manager, *, force: bool) -> tuple[Json, Managers]:
    """The object and its owners once `author` applied `config`.

    Raises `ApiError` 409 when that would change a field of somebody else and `force` is off.
    """
    stated = flatten(owned_part(config))
    current = flatten(owned_part(live))
    others = [each for each in managers if not each.is_same(author)]
    clashes = [
        (other, path)
        for other in others
        for path in sorted(other.paths & stated.keys())
        if path in current and current[path] != stated[path]
    ]
    if clashes and not force:
        raise apply_conflict([(other.shown, dotted(path)) for other, path in clashes])
    kept = _without_paths(others, {path for _, path in clashes})
    previous = next((each for each in managers if each.is_same(author)), None)
    dropped = (previous.paths if previous else frozenset()) - stated.keys()
    dropped -= {path for other in kept for path in other.paths}
    result = merged(without(live, dropped), owned_part(config))
    mine = replace(author, paths=frozenset(stated))
    if previous and previous.paths == mine.paths and flatten(owned_part(result)) == current:
        # An apply that changes nothing keeps its old time, or every repetition would write a new version.
        mine = previous
    return result, (*kept, mine)


def _without_paths(managers: Sequence[Manager], lost: Iterable[Path]) -> Managers:
    gone = frozenset(lost)
    trimmed = (each if gone.isdisjoint(each.paths) else replace(each, paths=each.paths - gone) for each in managers)
    return tuple(each for each in trimmed if each.paths)
