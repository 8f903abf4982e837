"""What may happen in a simulation, each with how often it does beside the others."""

import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import httpx

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.simulated_cluster import Delay, ExpireHistory, Fail, Fault, Hang, Reset, TearWatch
from modeltrail.simulated_cluster.faults import Verb
from modeltrail.workers.manifest import DEPLOYMENT_ID, SERVICE_ID, VERSION_ID
from support.api import Json
from support.simulation import HOLD, NAMES, WORKERS, Modeltrail

Act = Callable[[Modeltrail, str, random.Random], Awaitable[str]]
SERVICE = "/inference_services/{service}"
FAILURES = (
    Fail(500),
    Fail(503, "ServiceUnavailable"),
    Fail(409, "Conflict"),
    Fail(410, "Expired"),
    Fail(429, "TooManyRequests", retry_after=1),
    Fail(403, "Forbidden"),
    Fail(403, "Forbidden", 'inferenceservices is forbidden: User "worker" cannot get resource "inferenceservices"'),
    Hang(),
    Delay(0.3),
    Reset(),
    Reset(after_handling=True),
)
WATCH_FAILURES = (TearWatch(), ExpireHistory(), ExpireHistory("http"), Fail(500), Fail(410, "Expired"), Hang())
VERBS: tuple[Verb, ...] = ("get", "apply", "delete", "list")


def _version(modeltrail: Modeltrail, name: str, dice: random.Random) -> str:
    return dice.choice(modeltrail.versions[name])


async def _break(modeltrail: Modeltrail, name: str, dice: random.Random) -> str:
    """The cluster answers some requests as it should not."""
    fault = Fault(
        action=dice.choice(FAILURES),
        verb=dice.choice(VERBS),
        name_prefix=dice.choice(["", name]),
        times=dice.randint(1, 4),
    )
    modeltrail.cluster.faults.add(fault)
    return repr(fault)


async def _break_watch(modeltrail: Modeltrail, _: str, dice: random.Random) -> str:
    fault = Fault(action=dice.choice(WATCH_FAILURES), verb="watch", times=dice.randint(1, 2))
    modeltrail.cluster.faults.add(fault)
    modeltrail.cluster.drop_watches()
    return repr(fault)


async def _stop(modeltrail: Modeltrail, name: str, value: str | None) -> str:
    """Somebody stops the service, or lets it run again."""
    return await modeltrail.change_object(name, {"metadata": {"annotations": {"serving.kserve.io/stop": value}}})


async def _edit(modeltrail: Modeltrail, name: str, dice: random.Random) -> str:
    """Somebody changes what we wrote."""
    edits: list[Json] = [
        {"metadata": {"labels": {SERVICE_ID: None}}},
        {"metadata": {"labels": None}},
        {"metadata": {"labels": {VERSION_ID: "another"}}},
        {"metadata": {"annotations": {DEPLOYMENT_ID: None}}},
        {"metadata": {"annotations": {DEPLOYMENT_ID: "0" * 32}}},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": str(dice.random())}}},
        {"spec": {"predictor": {"model": {"storageUri": "s3://models/simulate-fail"}}}},
        {"spec": {"predictor": {"minReplicas": 7}}},
    ]
    edit = dice.choice(edits)
    return f"{edit}: {await modeltrail.change_object(name, edit)}"


ACTS: dict[str, tuple[int, Act]] = {
    # callers
    "deploy": (
        2,
        lambda m, n, d: m.ask(n, "POST", "/deploy", m.orders[n] | {"model_version_id": _version(m, n, d)}),
    ),
    "roll out": (8, lambda m, n, d: m.patch(n, model_version_id=_version(m, n, d))),
    "begin a canary": (
        8,
        lambda m, n, d: m.patch(n, model_version_id=_version(m, n, d), canary_traffic_percent=d.choice([5, 50])),
    ),
    "move a canary": (3, lambda m, n, d: m.patch(n, canary_traffic_percent=d.choice([0, 20, 100]))),
    "promote": (4, lambda m, n, _: m.ask(n, "POST", f"{SERVICE}/promote")),
    "abort": (4, lambda m, n, _: m.ask(n, "POST", f"{SERVICE}/abort")),
    "roll back": (4, lambda m, n, _: m.ask(n, "POST", f"{SERVICE}/rollback", {})),
    "undeploy": (6, lambda m, n, _: m.ask(n, "DELETE", f"{SERVICE}/undeploy")),
    "redeploy": (10, lambda m, n, _: m.patch(n, desired_state="DEPLOYED")),
    "scale": (4, lambda m, n, d: m.patch(n, min_replicas=d.randint(1, 3))),
    "label": (3, lambda m, n, d: m.patch(n, labels={"team": d.choice(["a", "b"])})),
    "sync": (4, lambda m, n, _: m.ask(n, "POST", f"{SERVICE}/sync")),
    "delete the service": (3, lambda m, n, _: m.ask(n, "DELETE", SERVICE)),
    "archive the model": (1, lambda m, n, _: m.ask(n, "PATCH", "/models/{model}", {"state": "ARCHIVED"})),
    "delete the model": (1, lambda m, n, _: m.ask(n, "DELETE", "/models/{model}")),
    "fail a version": (
        1,
        lambda m, n, d: m.ask(n, "PATCH", f"/model_versions/{_version(m, n, d)}", {"status": "FAILED"}),
    ),
    "mend a version": (
        3,
        lambda m, n, d: m.ask(n, "PATCH", f"/model_versions/{_version(m, n, d)}", {"status": "READY"}),
    ),
    # others in the cluster
    "delete the object": (5, lambda m, n, _: m.delete_object(n)),
    "edit the object": (5, _edit),
    "hold the object": (1, lambda m, n, _: m.change_object(n, {"metadata": {"finalizers": [HOLD]}})),
    "stop the service": (3, lambda m, n, _: _stop(m, n, "true")),
    "start the service": (4, lambda m, n, _: _stop(m, n, None)),
    "take the name": (1, lambda m, n, _: m.take_name(n)),
    "lose the pods": (3, lambda m, n, _: m.set_readiness(n, ready=False)),
    "find the pods": (3, lambda m, n, _: m.set_readiness(n, ready=True)),
    # the cluster
    "the cluster fails": (14, _break),
    "the watch breaks": (4, _break_watch),
    # crashes
    "restart a worker": (3, lambda m, _, d: m.restart_worker(d.choice(WORKERS))),
    "kill a worker": (2, lambda m, _, d: m.kill_worker(d.choice(WORKERS))),
    "start a worker": (2, lambda m, _, d: m.start_worker(d.choice(WORKERS))),
    "freeze a worker": (2, lambda m, _, d: m.signal_worker(d.choice(WORKERS), signal.SIGSTOP)),
    "wake a worker": (2, lambda m, _, d: m.signal_worker(d.choice(WORKERS), signal.SIGCONT)),
    "kill the API": (1, lambda m, *_: m.kill_api()),
    "kill the database": (1, lambda m, *_: m.restart_server(kill=True)),
    "restart the database": (1, lambda m, *_: m.restart_server(kill=False)),
}
CANARY = {"begin a canary", "move a canary", "promote", "abort"}


@dataclass(frozen=True)
class Step:
    """One thing that happens to one name."""

    act: str
    name: str
    chance: int

    async def take(self, modeltrail: Modeltrail) -> str:
        """What came of it, for whoever reads about a violation."""
        _, act = ACTS[self.act]
        try:
            outcome = await act(modeltrail, self.name, random.Random(self.chance))
        except (httpx.TransportError, aiohttp.ClientError, TimeoutError) as error:
            outcome = f"no answer: {type(error).__name__}"
        return f"{self.act}, {self.name}: {outcome}"


@dataclass(frozen=True)
class Moment:
    """What happens at once, and for how many seconds nothing does then."""

    steps: tuple[Step, ...]
    pause: float


def moments(dice: random.Random, number: int, mode: DeploymentMode) -> list[Moment]:
    """So many, by chance."""
    acts = {act: weight for act, (weight, _) in ACTS.items() if mode is DeploymentMode.KNATIVE or act not in CANARY}
    return [
        Moment(
            tuple(
                Step(act, dice.choice(NAMES), dice.getrandbits(32))
                for act in dice.choices([*acts], [*acts.values()], k=dice.choice([1, 1, 2, 3]))
            ),
            dice.choice([0.0, 0.05, 0.2, 0.6, 1.5]),
        )
        for _ in range(number)
    ]
