"""A stand-in for KServe's controller: it makes services ready, slow, or failed, and finishes deletions.

How a service behaves is asked for in its annotation or label `simulated.modeltrail.dev/behaviour`
(`ready`, `slow`, `fail` or `never`) or, for those who can only choose a model, in its storageUri: one that contains
`simulate-slow`, `simulate-fail` or `simulate-never`.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from modeltrail.simulated_cluster import serving_status
from modeltrail.simulated_cluster.failures import ApiError
from modeltrail.simulated_cluster.objects import Author, Objects, Preconditions, now
from modeltrail.simulated_cluster.resources import INFERENCE_SERVICES, NAMESPACES, Json, Target
from modeltrail.simulated_cluster.store import Change, Key, Store, Stored

BEHAVIOUR = "simulated.modeltrail.dev/behaviour"
FINALIZER = "inferenceservice.finalizers"
_log = logging.getLogger(__name__)
_AUTHOR = Author("simulated-kserve")
_BEHAVIOURS = ("slow", "fail", "never")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: until a service is ready (or fails), until a slow one is, for how long the status of an old
    spec lingers after a change, until a deletion is done, until Knative takes away pods that nobody calls, and until
    Kubernetes gives up a roll-out that makes no progress."""

    ready_after: float = 1.0
    slow_after: float = 15.0
    linger: float = 0.1
    finalize_after: float = 0.1
    idle_after: float = 60.0
    progress_deadline: float = 600.0


@dataclass(frozen=True, slots=True)
class _Step:
    """What to do next and after how long; two steps for the same `reason` are the same step."""

    reason: tuple[object, ...]
    after: float
    action: Callable[[], object]


def behaviour(obj: Json) -> str:
    metadata = obj["metadata"]
    for place in ("annotations", "labels"):
        if asked := (metadata.get(place) or {}).get(BEHAVIOUR):
            return str(asked)
    model = obj["spec"]["predictor"].get("model") or {}
    uri = str(model.get("storageUri") or "")
    return next((each for each in _BEHAVIOURS if f"simulate-{each}" in uri), "ready")


class Controller:
    """Level-triggered: each step is derived from the object as it is, so it survives a restart."""

    def __init__(self, store: Store, objects: Objects, timing: Timing) -> None:
        self._store = store
        self._objects = objects
        self._timing = timing
        self._planned: dict[Key, tuple[tuple[object, ...], asyncio.TimerHandle]] = {}

    async def run(self) -> None:
        """Reconcile until cancelled."""
        cursor = self._reconcile_all()
        try:
            with self._store.listening() as changed:
                while True:
                    await changed.wait()
                    changed.clear()
                    if cursor < self._store.horizon:
                        cursor = self._reconcile_all()
                    for change in self._store.changes_after(cursor):
                        cursor = change.resource_version
                        self._notice(change)
                    await asyncio.sleep(0)  # let requests in between two rounds of our own writes
        finally:
            for _, timer in self._planned.values():
                timer.cancel()

    def _reconcile_all(self) -> int:
        version = self._store.resource_version
        for resource in (INFERENCE_SERVICES, NAMESPACES):
            for each in self._store.all(resource):
                self._reconcile(each.key)
        return version

    def _notice(self, change: Change) -> None:
        key = change.after.key
        if key.resource in (INFERENCE_SERVICES, NAMESPACES):
            self._reconcile(key)
        if change.kind == "DELETED" and key.namespace:
            self._reconcile(Key(NAMESPACES, "", key.namespace))

    def _reconcile(self, key: Key) -> None:
        found = self._store.get(key)
        step = self._next_step(found) if found else None
        planned = self._planned.get(key)
        if planned and step and planned[0] == step.reason:
            return
        if planned:
            planned[1].cancel()
            del self._planned[key]
        if step is None:
            return
        if step.after <= 0:
            _do(step)
            return
        timer = asyncio.get_running_loop().call_later(step.after, self._take, key)
        self._planned[key] = (step.reason, timer)

    def _take(self, key: Key) -> None:
        """Its time has come: derive the step again, from the object as it is now, and do it."""
        self._planned.pop(key, None)
        found = self._store.get(key)
        if found and (step := self._next_step(found)):
            _do(step)

    def _next_step(self, found: Stored) -> _Step | None:
        if found.key.resource is NAMESPACES:
            return self._end_of_namespace(found) if found.deleting else None
        finalizers = found.obj["metadata"].get("finalizers") or []
        if found.deleting:
            rest = [each for each in finalizers if each != FINALIZER]
            if rest == finalizers:
                return None
            return _Step(
                ("finalize", found.uid), self._timing.finalize_after, lambda: self._set_finalizers(found.key, rest)
            )
        if FINALIZER not in finalizers:
            more = [*finalizers, FINALIZER]
            return _Step(("adopt", found.uid), 0, lambda: self._set_finalizers(found.key, more))
        return self._rollout(found)

    def _rollout(self, found: Stored) -> _Step | None:
        if serving_status.is_to_stop(found.obj):
            if serving_status.is_stopped(found.obj):
                return None
            return _Step(("stop", found.uid), 0, lambda: self._set_status(found.key, serving_status.stopped))
        revision = serving_status.revision(found.obj)
        if serving_status.created_revision(found.obj) != revision:
            linger = self._timing.linger if serving_status.is_ready(found.obj) else 0
            return _Step(
                ("start", found.uid, revision),
                linger,
                lambda: self._set_status(found.key, serving_status.starting),
            )
        if serving_status.may_sleep(found.obj):
            return _Step(
                ("sleep", found.uid, revision),
                self._timing.idle_after,
                lambda: self._set_status(found.key, serving_status.asleep),
            )
        if serving_status.transition(found.obj) != "InProgress" or serving_status.is_asleep(found.obj):
            return None
        asked = behaviour(found.obj)
        if asked == "never":
            if not serving_status.may_be_given_up(found.obj):
                return None
            deadline = self._timing.progress_deadline
            return _Step(
                ("give up", found.uid, revision),
                deadline,
                lambda: self._set_status(found.key, serving_status.given_up),
            )
        outcome = serving_status.failed if asked == "fail" else serving_status.ready
        after = self._timing.slow_after if asked == "slow" else self._timing.ready_after
        return _Step(("finish", found.uid, revision), after, lambda: self._set_status(found.key, outcome))

    def _end_of_namespace(self, found: Stored) -> _Step | None:
        for each in self._store.within(found.key.name):
            # One that belonged to another has gone with it.
            if not each.deleting and self._store.get(each.key) is each:
                self._objects.delete(_target(each.key), Preconditions())
        if self._store.within(found.key.name):
            return None
        return _Step(("end", found.uid), 0, lambda: self._store.remove(found))

    def _set_finalizers(self, key: Key, finalizers: list[str]) -> None:
        self._objects.merge_patch(_target(key), {"metadata": {"finalizers": finalizers or None}}, _AUTHOR)

    def _set_status(self, key: Key, outcome: Callable[[Json, str], Json]) -> None:
        target = _target(key)
        obj = self._objects.get(target).obj
        self._objects.replace(replace(target, subresource="status"), {**obj, "status": outcome(obj, now())}, _AUTHOR)


def _do(step: _Step) -> None:
    try:
        step.action()
    except ApiError as refusal:
        # The object is left as it is, like one that the real controller's webhook refuses to update.
        _log.warning("simulated cluster: %s was refused: %s", step.reason[0], refusal.message)


def _target(key: Key) -> Target:
    return Target(key.resource, key.namespace, key.name)
