"""What must hold of a modeltrail when all is quiet, however it came there."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import msgspec

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import InferenceServiceEvent
from modeltrail.projections.catalogue import ASYNC
from modeltrail.projections.standing_deployments import Standing, StandingDeployment
from modeltrail.workers.cluster import ObservedService
from modeltrail.workers.desired_service import desired
from modeltrail.workers.drift import differences as drift_of
from modeltrail.workers.manifest import manifest
from modeltrail.workers.observation import read_service
from support.api import Json, made
from support.command_line import modeltrail as command
from support.committing import connected, read_log
from support.fold import assert_sound, differences
from support.simulation import Modeltrail
from support.states import name_of, table

CLUSTER = "/apis/serving.kserve.io/v1beta1/inferenceservices"
OUTCOMES = {"DeploymentSucceeded", "CanaryDeployed", "DeploymentFailed", "Undeployed"}
# What the table of states says in words below it.
BESIDE_THE_TABLE = {
    ("Deployed", "UndeploymentRequested", "Undeploying"),  # of one that is interrupted, and then deleted
    ("Failed", "UndeploymentRequested", "Undeploying"),
    ("Deploying", "UndeploymentRequested", "Undeploying"),
    ("Deploying", "CanaryDeployed", "Deployed"),
    ("Failed", "CanaryDeployed", "Deployed"),
}


@dataclass
class Scene:
    """All that there is of one project at one moment, by the API, the log's tables and the cluster."""

    modeltrail: Modeltrail
    services: list[Json]
    models: list[Json]
    serve_models: list[Json]
    tasks: list[UUID]
    standing: dict[str, StandingDeployment]
    objects: list[Json]
    position: int

    def violations(self) -> list[str]:
        """In what API and cluster do not agree, or what is not done."""
        found = [f"task of {task} has no answer" for task in self.tasks]
        wanted = set()
        for service in self.services:
            standing = self.standing.get(service["id"])
            there = self._object_of(service)
            found += [
                f"{service['name']} {each}: {service}, {standing}, {there}"
                for each in self._service(service, standing, there)
            ]
            if there is not None and service["desired_state"] == "DEPLOYED":
                wanted.add(there.uid)
        for each in self.objects:
            is_ours = any(field["manager"] == "modeltrail" for field in each["metadata"]["managedFields"])
            if is_ours and each["metadata"]["uid"] not in wanted:
                found.append(f"nobody wants {each['metadata']}")
        for model in self.models:
            found += self._model(model)
        return found

    def _object_of(self, service: Json) -> ObservedService | None:
        for each in self.objects:
            observed = read_service(msgspec.json.encode(each))
            if str(observed.service_id) == service["id"] or observed.uid == service.get("external_id"):
                return observed
        return None

    def _service(
        self, shown: Json, standing: StandingDeployment | None, there: ObservedService | None
    ) -> Iterator[str]:
        if shown["served_models"] != [
            each for each in self.serve_models if each["inference_service_id"] == shown["id"]
        ]:
            yield "its serve models are not those of their list"
        states = {each["model_version_id"]: each["last_known_state"] for each in shown["served_models"]}
        running = {version for version, state in states.items() if state == "RUNNING"}
        if "PENDING" in (
            states.get(shown[each]) for each in ("model_version_id", "stable_model_version_id") if each in shown
        ):
            yield f"waits for nothing: {states}"
        # The answer that told of it may have been lost with the worker, or in an apply that was refused when repeated.
        if "external_id" in shown and shown["external_id"] != (there.uid if there else None):
            yield f"is shown as {shown.get('external_id')}, and is {there and there.uid}"
        if shown["current_state"] == "DEPLOYED":
            if standing is None or there is None:
                yield "is shown as deployed, and not wanted or not there"
            else:
                yield from self._deployed(shown, standing, there, running)
        elif running - {shown.get("stable_model_version_id")}:  # how that is, the cluster does not tell
            yield "is not deployed, and shown as running"
        elif shown["desired_state"] == "UNDEPLOYED":
            if states or {"last_error", "url"} & shown.keys():
                yield "is not wanted, and something is left"
        else:
            yield from self._not_deployed(shown, standing, there)

    def _not_deployed(
        self, shown: Json, standing: StandingDeployment | None, there: ObservedService | None
    ) -> Iterator[str]:
        if "last_error" not in shown:
            yield "is not deployed, and does not say why"
        if standing is None:
            return
        if (
            there is not None
            and there.ready
            and there.deployment_id
            and standing.may_be_of(DeploymentId(there.deployment_id))
        ):
            yield "is ready, and shown as not deployed"
        if standing.standing is Standing.GONE and self.modeltrail.setting.on_drift == "repair":
            yield "is gone, and not made anew"

    def _deployed(
        self, shown: Json, standing: StandingDeployment, there: ObservedService, running: set[str]
    ) -> Iterator[str]:
        if there.ready and there.url != shown.get("url"):
            yield f"is shown at {shown.get('url')}, and is at {there.url}"
        task, percent = standing.wanted, (there.spec.get("predictor") or {}).get("canaryTrafficPercent")
        # What is left of the version before a roll-out that was applied and failed, the cluster does not tell.
        if not there.ready and ("last_error" not in shown or there.deployment_id == standing.earlier):
            yield "is shown as deployed, and not ready"
        if "last_error" in shown:
            return
        if drift := drift_of(manifest(desired(UUID(shown["id"]), task, self.modeltrail.setting.mode)), there):
            yield f"is not what was asked for: {drift}"
        if running != {shown["model_version_id"], shown.get("stable_model_version_id", shown["model_version_id"])}:
            yield f"serves {shown['model_version_id']}, and {running} are shown as running"
        if not task.target.aborts_canary and percent != shown.get("canary_traffic_percent"):
            yield f"has {percent} % of the traffic, and shows {shown.get('canary_traffic_percent')}"

    def _model(self, model: Json) -> Iterator[str]:
        services = [each for each in self.services if each["registered_model_id"] == model["id"]]
        live = [each for each in services if each["current_state"] == "DEPLOYED"]
        status = model["deployment_status"]
        if live and not any("last_error" in each for each in services) and status != "DEPLOYED":
            yield f"model {model['name']} is {status}, and {live} are deployed"
        if not live and status == "DEPLOYED":
            yield f"model {model['name']} is {status}, and none of {services} is deployed"


async def scene(modeltrail: Modeltrail) -> Scene:
    """How it is now."""
    lists = {}
    for kind in ("inference_services", "models", "serve_models"):
        lists[kind] = made(await modeltrail.caller.get(f"/{kind}?limit=100&order=asc"), 200)["items"]
    services = [
        made(await modeltrail.caller.get(f"/inference_services/{each['id']}"), 200)
        for each in lists["inference_services"]
    ]
    async with connected(modeltrail.database) as connection:
        tasks = [row["id"] for row in await connection.fetch("SELECT id FROM deployment_tasks")]
        standing = await connection.fetch("SELECT id, body FROM standing_deployments")
        position = await connection.fetchval("SELECT max(notification_id) FROM stored_events")
    return Scene(
        modeltrail=modeltrail,
        services=services,
        models=lists["models"],
        serve_models=lists["serve_models"],
        tasks=tasks,
        standing={str(row["id"]): msgspec.json.decode(row["body"], type=StandingDeployment) for row in standing},
        objects=(await modeltrail.kubernetes.send("GET", CLUSTER)).body["items"],
        position=position,
    )


async def record_violations(modeltrail: Modeltrail) -> list[str]:
    """What is wrong with the log, the stories that it tells, and the tables that follow from it."""
    await assert_sound(modeltrail.database)
    found = await differences(modeltrail.database, *ASYNC)
    for arguments in (("projections", "verify"), ("events", "verify")):
        code, out, error = await command(modeltrail.database, *arguments)
        if code:
            found.append(f"{' '.join(arguments)}: {out}{error}")
    for log in modeltrail.folder.glob("*.log"):
        found += [f"{log.name}: {line}" for line in log.read_text().splitlines() if '"stack":' in line]
    streams: dict[UUID, list[InferenceServiceEvent]] = {}
    for recorded in await read_log(modeltrail.database):
        if isinstance(recorded.event, InferenceServiceEvent):
            streams.setdefault(recorded.stream, []).append(recorded.event)
    for stream, events in streams.items():
        found += [f"{stream}: {each}" for each in _story(events)]
    return found


def _story(events: list[InferenceServiceEvent]) -> Iterator[str]:
    """What the table of states does not allow, and what was answered more than once."""
    allowed = {(before, event, after) for (before, _), (event, after) in table().items()} | BESIDE_THE_TABLE
    state = INFERENCE_SERVICE.initial
    outcomes: Counter[object] = Counter()
    for event in events:
        before, name = name_of(state), type(event).__name__
        state = INFERENCE_SERVICE.evolve(state, event)
        step = (before, name, name_of(state))
        if step[0] != step[2] and step not in allowed:
            yield f"{step} is not in the table of states"
        about = getattr(event, "deployment_id", None) or getattr(event, "undeployment_id", None)
        # A canary that comes back, from a failure or an outage, is told as one that is ready.
        outcomes[about] += name in OUTCOMES and not (name == "CanaryDeployed" and before != "Deploying")
    yield from (f"{about} has {number} outcomes" for about, number in outcomes.items() if number > 1)
