"""A project that deploys to a real cluster, and what both sides say of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from support.api import Json, Project, made
from support.control_plane import ControlPlane
from support.real_kserve import GROUP

ROUND = ["deployment_requested", "deployment_applied", "deployment_succeeded"]  # of a story
PATIENCE = 90.0  # seconds; what is up, or fails, in the second of its apply settles for 30


class Serving:
    """One project and one namespace."""

    def __init__(self, project: Project, plane: ControlPlane, namespace: str) -> None:
        self.project, self.plane, self.namespace = project, plane, namespace
        self._models = 0

    async def version(self, uri: str = "s3://models/iris", **fields: object) -> Json:
        """One that is ready, of a model of its own."""
        self._models += 1
        model = await self.project.model(f"m-{self._models}")
        return await self.project.ready_version(model, "v1", uri=uri, **fields)

    async def deploy(self, version: Json, **fields: object) -> Json:
        return await self.project.deployed(
            {"id": version["registered_model_id"]},
            await self._environment(),
            model_version_id=version["id"],
            name=f"m-{self._models}",
            **fields,
        )

    async def deployed(self, uri: str = "s3://models/iris", **fields: object) -> Json:
        """A service that is live."""
        service = await self.deploy(await self.version(uri), **fields)
        return await self.until(service, "is live", is_live)

    async def roll_out(self, service: Json, uri: str) -> Json:
        """A version of the same model takes the place of the one that is there; the service, as it is shown at once."""
        await asyncio.sleep(1.1)  # KServe tells new pods from old ones by the second of their creation
        version = await self.project.ready_version({"id": service["registered_model_id"]}, uri, uri=uri)
        return await self.patched(service, model_version_id=version["id"])

    async def patched(self, service: Json, **fields: object) -> Json:
        return made(await self.project.patch(f"/inference_services/{service['id']}", fields), 200)

    async def undeploy(self, service: Json) -> None:
        answer = await self.project.delete(f"/inference_services/{service['id']}/undeploy")
        assert answer.status_code == 204, answer.text

    async def shown(self, service: Json) -> Json:
        return made(await self.project.get(f"/inference_services/{service['id']}"), 200)

    async def until(self, service: Json, what: str, holds: Callable[[Json], bool]) -> Json:
        """The service, once it is shown so."""

        async def look() -> tuple[bool, Any]:
            shown = await self.shown(service)
            return holds(shown), shown

        shown: Json = await until(what, look)
        return shown

    async def told(self, service: Json, newest: str) -> list[str]:
        """The story of the service, once it ends with an event of this type."""

        async def look() -> tuple[bool, Any]:
            story = await self.story(service)
            return story[-1] == newest, story

        story: list[str] = await until(f"{newest} is told", look)
        return story

    async def story(self, service: Json) -> list[str]:
        told = made(await self.project.get(f"/inference_services/{service['id']}/timeline?limit=100"), 200)
        return [each["type"].removeprefix("inference_service.") for each in told["items"]]

    def object_path(self, service: Json) -> str:
        return f"{GROUP}/v1beta1/namespaces/{self.namespace}/inferenceservices/{service['name']}"

    def found(self, service: Json) -> Json | None:
        """The object in the cluster."""
        return self.plane.find(self.object_path(service))

    def let_kserve_look(self, service: Json) -> None:
        """It looks at pods when their Deployment changes, which that of pods that fail does not for ten minutes."""
        self.plane.merge(self._deployment(service), {"metadata": {"annotations": {"looked-at": str(time.monotonic())}}})

    async def miss_deadline(self, service: Json) -> None:
        """Until Kubernetes has given up the roll-out of the Deployment, which it does after ten minutes else."""
        path = self._deployment(service)
        self.plane.merge(path, {"spec": {"progressDeadlineSeconds": 1}})

        async def look() -> tuple[bool, Any]:
            conditions = self.plane.get(path)["status"]["conditions"]
            return any(each["reason"] == "ProgressDeadlineExceeded" for each in conditions), conditions

        await until("Kubernetes has given up", look)

    def _deployment(self, service: Json) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{service['name']}-predictor"

    async def until_pods(self, uri: str) -> None:
        """Until there is a pod of that model whose containers have a status."""

        async def look() -> tuple[bool, Any]:
            pods = self.plane.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
            fates = {pod["spec"]["initContainers"][0]["args"][0]: pod["status"] for pod in pods}
            return "containerStatuses" in fates.get(uri, {}), fates

        await until(f"a pod of {uri} was started", look)

    async def until_object(self, service: Json, what: str, holds: Callable[[Json | None], bool]) -> Json:
        async def look() -> tuple[bool, Any]:
            found = self.found(service)
            return holds(found), found

        found: Json = await until(what, look)
        return found

    async def _environment(self) -> Json:
        found = await self.project.get(f"/serving_environment?name={self.namespace}")
        return made(found, 200) if found.is_success else await self.project.environment(self.namespace)


async def until(what: str, look: Callable[[], Awaitable[tuple[bool, Any]]]) -> Any:  # Any: what was looked at
    deadline = time.monotonic() + PATIENCE
    while True:
        holds, seen = await look()
        if holds:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE} s, but: {seen}")
        await asyncio.sleep(0.05)


def is_live(service: Json) -> bool:
    return states(service) == ("DEPLOYED", ["RUNNING"])


def states(service: Json) -> tuple[str, list[str]]:
    """What the service says of itself, and of its served models, the oldest first."""
    return service["current_state"], [each["last_known_state"] for each in service["served_models"]]


def is_ready(found: Json | None) -> bool:
    """Whether KServe says so of the object."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
