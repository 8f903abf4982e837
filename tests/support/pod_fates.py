"""What kwok makes of the pods of models.

As in the simulated cluster, a model's URI says what becomes of it: `s3://models/simulate-fail` cannot be loaded,
`simulate-crash` is killed for want of memory, `simulate-slow` takes its time, `simulate-never` never gets ready.
"""

from pathlib import Path

import yaml

from support.control_plane import Json

_FATE = '.spec.initContainers[].args[] | capture("simulate-(?<fate>[a-z]+)").fate'
_SLOW_MILLISECONDS = 4000
_BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}


def write_stages(path: Path, given: Path) -> None:
    """`path` is for kwok to read; `given` is the folder of stages that it comes with."""
    pods = given / "pod" / "fast"
    ready = _read(pods / "pod-ready.yaml")
    fetched = _container("storage-initializer", _ended(0, "Completed"))
    stages = [
        _read(given / "node" / "fast" / "node-initialize.yaml"),
        _read(pods / "pod-delete.yaml"),
        _fated(ready, None),
        _fated(ready, "slow", delay={"durationMilliseconds": _SLOW_MILLISECONDS}),
        _unready(
            ready,
            "fail",
            _container("storage-initializer", _BACK_OFF, _ended(1, "Error", "no model found")),
            _container("kserve-container", {"waiting": {"reason": "PodInitializing"}}),
        ),
        _unready(ready, "crash", fetched, _container("kserve-container", _BACK_OFF, _ended(137, "OOMKilled"))),
        _unready(ready, "never", fetched, _container("kserve-container", {"running": {"startedAt": "{{ Now }}"}})),
    ]
    path.write_text(yaml.safe_dump_all(stages))


def _fated(ready: Json, fate: str | None, delay: Json | None = None, template: str | None = None) -> Json:
    """The stage that makes a pod ready, for the pods with this fate, and with that status, if one is given."""
    ours = {"key": _FATE, "operator": "In", "values": [fate]} if fate else {"key": _FATE, "operator": "DoesNotExist"}
    selector = {"matchExpressions": [*ready["spec"]["selector"]["matchExpressions"], ours]}
    following = ready["spec"]["next"] | ({"statusTemplate": template} if template else {})
    spec = ready["spec"] | {"selector": selector, "next": following} | ({"delay": delay} if delay else {})
    return ready | {"metadata": {"name": f"pod-{fate or 'ready'}"}, "spec": spec}


def _unready(ready: Json, fate: str, initial: Json, container: Json) -> Json:
    status = {
        "phase": "Pending",
        "podIP": "10.1.255.1",  # whatever it is, it tells the stages that the pod had its turn
        "initContainerStatuses": [initial],
        "containerStatuses": [container],
        "conditions": [
            {"type": each, "status": "False", "lastTransitionTime": "{{ Now }}"}
            for each in ("Ready", "ContainersReady")
        ],
    }
    return _fated(ready, fate, template=yaml.safe_dump(status))


def _container(name: str, state: Json, last_state: Json | None = None) -> Json:
    ready = "terminated" in state and state["terminated"]["exitCode"] == 0
    said = {"name": name, "image": "", "ready": ready, "restartCount": 0 if last_state is None else 3, "state": state}
    return said | ({"lastState": last_state} if last_state else {})


def _ended(exit_code: int, reason: str, message: str = "") -> Json:
    times = {"startedAt": "{{ Now }}", "finishedAt": "{{ Now }}"}
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message} | times}


def _read(file: Path) -> Json:
    stage: Json = yaml.safe_load(file.read_text())
    return stage
