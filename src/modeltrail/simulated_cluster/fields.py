"""Field paths of an object: the unit in which server-side apply counts ownership.

Components are written as in `managedFields` (structured-merge-diff): `f:name` is a map's field,
`v:"x"` an element of a list that is a set, `k:{"name":"x"}` an element of a list keyed by a field.
Every other list is one atomic value, as for a custom resource whose schema says nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from modeltrail.simulated_cluster.resources import Json

Path = tuple[str, ...]
Value = Any  # any JSON value

# The key that tells the elements of a list apart; "" for a set of plain values.
_LIST_KEYS: Mapping[Path, str] = {
    ("metadata", "finalizers"): "",
    ("metadata", "ownerReferences"): "uid",
    ("secrets",): "name",
    ("imagePullSecrets",): "name",
}
_OWNED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
_NEVER_OWNED = ("apiVersion", "kind", "metadata", "status")


def _text(value: Value) -> str:
    return msgspec.json.encode(value).decode()


def owned_part(obj: Json, subresource: str = "") -> Json:
    """The part of an object whose fields have managers; of a subresource, only that part."""
    if subresource:
        return {subresource: obj[subresource]} if subresource in obj else {}
    part = {key: value for key, value in obj.items() if key not in _NEVER_OWNED}
    metadata = {key: obj["metadata"][key] for key in _OWNED_METADATA if obj["metadata"].get(key)}
    return {**part, "metadata": metadata} if metadata else part


def flatten(obj: Json) -> dict[Path, Value]:
    """Every leaf with its path; an element of a keyed list also counts itself, as `True`."""
    return {path: value for path, value in _leaves(obj, (), ()) if path}


def _leaves(value: Value, path: Path, names: Path) -> Iterator[tuple[Path, Value]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, f"f:{key}"), (*names, key))
    elif isinstance(value, list) and names in _LIST_KEYS:
        key = _LIST_KEYS[names]
        for element in value:
            place = (*path, _element(element, key))
            yield place, True
            if key:
                yield from _leaves(element, place, (*names, ""))
    else:
        yield path, value


def _element(element: Value, key: str) -> str:
    return f"k:{_text({key: element.get(key)})}" if key else f"v:{_text(element)}"


def merged(live: Value, applied: Value, names: Path = ()) -> Value:
    """`live` with `applied` laid over it; neither is changed."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return {
            **live,
            **{
                key: merged(live[key], value, (*names, key)) if key in live else value for key, value in applied.items()
            },
        }
    if isinstance(live, list) and isinstance(applied, list) and names in _LIST_KEYS:
        key = _LIST_KEYS[names]
        elements = {_element(element, key): element for element in live}
        for element in applied:
            place = _element(element, key)
            elements[place] = merged(elements.get(place), element, (*names, ""))
        return list(elements.values())
    return applied


def without(value: Value, paths: Iterable[Path]) -> Value:
    """`value` without these leaves, and without the maps and lists that this leaves empty."""
    whole = {path[0] for path in paths if len(path) == 1}
    deeper: dict[str, list[Path]] = {}
    for path in paths:
        if len(path) > 1:
            deeper.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        return _without_fields(value, whole, deeper)
    if isinstance(value, list):
        gone = {place for place in whole if place[:2] in ("v:", "k:")}
        return [element for element in value if not gone & set(_places(element))]
    return value


def _without_fields(value: Json, whole: set[str], deeper: Mapping[str, list[Path]]) -> Json:
    kept: Json = {}
    for key, inner in value.items():
        place = f"f:{key}"
        if place in deeper:
            rest = without(inner, deeper[place])
            if rest not in ({}, []):
                kept[key] = rest
        elif place not in whole:
            kept[key] = inner
    return kept


def _places(element: Value) -> Iterator[str]:
    yield f"v:{_text(element)}"
    if isinstance(element, dict):
        for key in set(_LIST_KEYS.values()) & element.keys():
            yield _element(element, key)


def to_fields_v1(paths: Iterable[Path]) -> Json:
    """The tree that `managedFields[].fieldsV1` holds."""
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for component in path:
            node = node.setdefault(component, {})
        if path[-1][:2] == "k:":
            node["."] = {}
    return tree


def from_fields_v1(tree: Json) -> frozenset[Path]:
    return frozenset(path for path in _tree_paths(tree, ()) if path)


def _tree_paths(tree: Json, path: Path) -> Iterator[Path]:
    if not tree:
        yield path
    for component, inner in tree.items():
        if component == ".":
            yield path
        else:
            yield from _tree_paths(inner, (*path, component))


def dotted(path: Path) -> str:
    """A path as Kubernetes prints it in a conflict, such as `.spec.predictor.model.storageUri`."""
    text = ""
    for component in path:
        kind, rest = component[:2], component[2:]
        if kind == "f:":
            text += f".{rest}"
        elif kind == "v:":
            text += f"[={rest}]"
        else:
            pairs = msgspec.json.decode(rest, type=dict[str, Value]).items()
            text += f"[{','.join(f'{key}={_text(value)}' for key, value in pairs)}]"
    return text


def merge_patched(value: Json, patch: Json) -> Json:
    """RFC 7386: a null removes, a map goes deeper, anything else replaces."""
    result = dict(value)
    for key, wanted in patch.items():
        if wanted is None:
            result.pop(key, None)
        elif isinstance(wanted, dict):
            inner = result.get(key)
            result[key] = merge_patched(inner if isinstance(inner, dict) else {}, wanted)
        else:
            result[key] = wanted
    return result
