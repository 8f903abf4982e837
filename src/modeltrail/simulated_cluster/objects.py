"""The verbs of the Kubernetes API on single objects: create, replace, patch, apply, delete."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from modeltrail.simulated_cluster import failures
from modeltrail.simulated_cluster.admission import check, with_texts_encoded
from modeltrail.simulated_cluster.fields import merge_patched
from modeltrail.simulated_cluster.ownership import Manager, Managers, after_apply, after_update
from modeltrail.simulated_cluster.resources import NAMESPACES, SECRETS, Json, Resource, Target
from modeltrail.simulated_cluster.store import Key, Store, Stored, stored

# What only the server sets; a client's opinion of these is overwritten, as in Kubernetes.
_SERVER_METADATA = (
    "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"
)  # fmt: skip
_META_KEYS = ("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences")


def now() -> str:
    """The time as Kubernetes writes it: UTC in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment() -> str:
    """The time of a write, for `managedFields`.

    A real cluster writes whole seconds there. Here a rollout takes milliseconds, and whoever asks whether a
    status is older than an apply must be able to tell.
    """
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: the field manager; with `dry_run` everything happens but the writing."""

    manager: str
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Preconditions:
    uid: str | None = None
    resource_version: str | None = None


class Objects:
    """Writes objects by the rules of the API server.

    Raises `ApiError` for everything that a real one refuses.
    """

    def __init__(self, store: Store, *, strict_namespaces: bool = False) -> None:
        self._store = store
        self._strict = strict_namespaces
        if store.get(Key(NAMESPACES, "", "default")) is None:
            self._make_namespace("default")

    def get(self, target: Target) -> Stored:
        found = self._store.get(_key(target))
        if found is None:
            raise failures.not_found(target.resource, target.name)
        return found

    def create(self, target: Target, body: Json, author: Author) -> Stored:
        obj = self._read_body(target, body)
        name = obj["metadata"].get("name") or ""
        if not name and obj["metadata"].get("generateName"):
            name = f"{obj['metadata']['generateName']}{uuid4().hex[:5]}"
        if not name:
            raise failures.bad_request("name or generateName is required")
        obj["metadata"]["name"] = name
        key = Key(target.resource, target.namespace, name)
        if self._store.get(key):
            raise failures.already_exists(target.resource, name)
        return self._create(key, obj, (), author, "Update")

    def replace(self, target: Target, body: Json, author: Author) -> Stored:
        old = self.get(target)
        new = self._read_body(target, body)
        asked = body["metadata"].get("resourceVersion")
        if asked and asked != str(old.resource_version):
            raise failures.modified(target.resource, target.name)
        if not asked and target.resource.has_generation:
            # Custom resources refuse a blind PUT; core kinds allow it.
            cause = (
                "FieldValueInvalid",
                "metadata.resourceVersion",
                "Invalid value: 0: must be specified for an update",
            )
            raise failures.invalid(target.resource, target.name, [cause])
        return self._update(target, old, new, author)

    def merge_patch(self, target: Target, patch: Json, author: Author) -> Stored:
        old = self.get(target)
        new = merge_patched(old.obj, patch)
        if new["metadata"].get("resourceVersion") != str(old.resource_version):
            raise failures.modified(target.resource, target.name)
        return self._update(target, old, new, author)

    def apply(self, target: Target, config: Json, author: Author) -> tuple[Stored, bool]:
        """Server-side apply; the flag says whether the object is new."""
        wanted = self._read_body(target, config)
        if config["metadata"].get("managedFields"):
            raise failures.bad_request("metadata.managedFields must be nil")
        old = self._store.get(_key(target))
        mine = self._manager(target.resource, author, "Apply", "")
        if old is None:
            if config["metadata"].get("uid"):
                raise failures.conflict(target.resource, target.name, "uid mismatch: the object does not exist")
            bare = {**_kind(target.resource), "metadata": {"name": target.name}}
            new, managers = after_apply((), bare, wanted, mine, force=author.force)
            return self._create(_key(target), new, managers, author, "Apply"), True
        asked = config["metadata"].get("resourceVersion")
        if asked and asked != str(old.resource_version):
            raise failures.modified(target.resource, target.name)
        new, managers = after_apply(old.managers, old.obj, wanted, mine, force=author.force)
        return self._commit(target.resource, old, new, managers, dry_run=author.dry_run), False

    def delete(self, target: Target, preconditions: Preconditions, *, dry_run: bool = False) -> Stored | None:
        """The object while its finalizers keep it; None once it is gone."""
        old = self.get(target)
        _check_preconditions(old, preconditions)
        metadata = old.obj["metadata"]
        held = bool(metadata.get("finalizers")) or self._is_namespace_in_use(old)
        if dry_run:
            return old if held else None
        if not held:
            self._store.remove(old)
            return None
        if old.deleting:
            return old
        dying = {**metadata, "deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
        if target.resource.has_generation:
            dying["generation"] = metadata.get("generation", 1) + 1
        obj = {**old.obj, "metadata": dying}
        if target.resource is NAMESPACES:
            obj["status"] = {"phase": "Terminating"}
        return self._store.write(old.key, obj, old.managers)

    def _read_body(self, target: Target, body: Json) -> Json:
        """A fresh object from a request's body, which must agree with the URL."""
        resource = target.resource
        found = (body.get("apiVersion", resource.api_version), body.get("kind", resource.kind))
        if found != (resource.api_version, resource.kind):
            raise failures.bad_request(
                f"the API version and kind in the data ({found[0]}, {found[1]}) do not match "
                f"the expected ({resource.api_version}, {resource.kind})"
            )
        metadata = body.get("metadata")
        if not isinstance(metadata, dict):
            raise failures.bad_request("metadata: Required value")
        for field, expected in (("name", target.name), ("namespace", target.namespace)):
            if expected and metadata.get(field, expected) != expected:
                raise failures.bad_request(
                    f"the {field} of the object ({metadata[field]}) does not match the {field} on the URL ({expected})"
                )
        copied = {key: metadata[key] for key in (*_META_KEYS, "generateName") if metadata.get(key)}
        if target.name:
            copied["name"] = target.name
        return with_texts_encoded({**body, **_kind(resource), "metadata": copied}, resource)

    def _create(self, key: Key, obj: Json, managers: Managers, author: Author, operation: str) -> Stored:
        resource = key.resource
        self._need_namespace(key, dry_run=author.dry_run)
        metadata = {key_: value for key_, value in obj["metadata"].items() if key_ in _META_KEYS}
        metadata |= {"name": key.name, "uid": str(uuid4()), "creationTimestamp": now()}
        if resource.namespaced:
            metadata["namespace"] = key.namespace
        if resource.has_generation:
            metadata["generation"] = 1
        obj = {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
        if resource is SECRETS:
            obj.setdefault("type", "Opaque")
        if resource is NAMESPACES:
            obj["status"] = {"phase": "Active"}
        check(resource, None, obj)
        if operation == "Update":
            managers = after_update((), None, obj, self._manager(resource, author, operation, ""))
        if author.dry_run:
            return stored(key, obj, managers, self._store.resource_version)
        return self._store.write(key, obj, managers)

    def _update(self, target: Target, old: Stored, new: Json, author: Author) -> Stored:
        resource = target.resource
        if target.subresource:
            kept = {key: value for key, value in old.obj.items() if key != "status"}
            new = {**kept, "status": new["status"]} if new.get("status") else kept
        elif resource.has_status:
            new = _with_status_of(new, old.obj)
        new = with_texts_encoded(new, resource)
        mine = self._manager(resource, author, "Update", target.subresource)
        managers = after_update(old.managers, old.obj, new, mine)
        return self._commit(resource, old, new, managers, dry_run=author.dry_run)

    def _commit(self, resource: Resource, old: Stored, new: Json, managers: Managers, *, dry_run: bool) -> Stored:
        """Write a new version, or nothing when nothing changed, or the end when nothing holds the object."""
        before = old.obj["metadata"]
        metadata = {key: value for key, value in new["metadata"].items() if key in _META_KEYS and value}
        metadata |= {key: before[key] for key in (*_SERVER_METADATA, "name", "namespace") if key in before}
        obj = {**new, "metadata": metadata}
        if resource.has_generation and _spec(obj) != _spec(old.obj):
            metadata["generation"] = before.get("generation", 1) + 1
        check(resource, old.obj, obj)
        if set(managers) == set(old.managers) and _content(obj) == _content(old.obj):
            return old
        if dry_run:
            return stored(old.key, obj, managers, old.resource_version)
        if old.deleting and not metadata.get("finalizers") and not self._is_namespace_in_use(old):
            return self._store.remove(stored(old.key, obj, managers, old.resource_version))
        return self._store.write(old.key, obj, managers)

    def _manager(self, resource: Resource, author: Author, operation: str, subresource: str) -> Manager:
        return Manager(author.manager, operation, subresource, resource.api_version, _moment(), frozenset())

    def _need_namespace(self, key: Key, *, dry_run: bool) -> None:
        if not key.resource.namespaced:
            return
        found = self._store.get(Key(NAMESPACES, "", key.namespace))
        if found and found.deleting:
            raise failures.terminating(key.resource, key.name, key.namespace)
        if found is None and self._strict:
            raise failures.not_found(NAMESPACES, key.namespace)
        if found is None and not dry_run:
            self._make_namespace(key.namespace)

    def _make_namespace(self, name: str) -> None:
        body = {**_kind(NAMESPACES), "metadata": {"name": name}}
        self._create(Key(NAMESPACES, "", name), body, (), Author("simulated-cluster"), "Update")

    def _is_namespace_in_use(self, found: Stored) -> bool:
        return found.key.resource is NAMESPACES and bool(self._store.within(found.key.name))


def _key(target: Target) -> Key:
    return Key(target.resource, target.namespace, target.name)


def _kind(resource: Resource) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _with_status_of(new: Json, old: Json) -> Json:
    kept = {key: value for key, value in new.items() if key != "status"}
    return {**kept, "status": old["status"]} if "status" in old else kept


def _spec(obj: Json) -> Json:
    """Everything that the generation of a custom resource counts: all but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _content(obj: Json) -> Json:
    hidden = ("managedFields", "resourceVersion")
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in hidden}}


def _check_preconditions(found: Stored, preconditions: Preconditions) -> None:
    resource, name = found.key.resource, found.key.name
    if preconditions.uid and preconditions.uid != found.uid:
        why = f"Precondition failed: UID in precondition: {preconditions.uid}, UID in object meta: {found.uid}"
        raise failures.conflict(resource, name, why)
    asked = preconditions.resource_version
    if asked and asked != str(found.resource_version):
        why = (
            f"Precondition failed: ResourceVersion in precondition: {asked}, "
            f"ResourceVersion in object meta: {found.resource_version}"
        )
        raise failures.conflict(resource, name, why)
