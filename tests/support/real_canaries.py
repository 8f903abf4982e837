"""Canaries on a real cluster with Knative, and who has the traffic."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from support.api import Json, made
from support.real_serving import Serving, until

_KNATIVE = "/apis/serving.knative.dev/v1"
_SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"


class CanaryServing(Serving):
    """One project and one namespace."""

    async def canary(self, service: Json, uri: str, percent: int) -> Json:
        """A version of the same model gets a part of the traffic; the service, as it is shown at once."""
        version = await self.project.ready_version({"id": service["registered_model_id"]}, uri, uri=uri)
        return await self.patched(service, model_version_id=version["id"], canary_traffic_percent=percent)

    async def asked(self, service: Json, action: str) -> Json:
        """What was answered to a `promote`, an `abort` or a `rollback`."""
        body: Json | None = {} if action == "rollback" else None
        return made(await self.project.post(f"/inference_services/{service['id']}/{action}", body), 202)

    async def seen(self, service: Json, what: str, holds: Callable[[Json], bool]) -> list[Json]:
        """All that the service was shown as until it is shown so, each with the `traffic` of that moment."""
        seen: list[Json] = []

        async def look() -> tuple[bool, Any]:
            seen.append(await self.shown(service) | {"traffic": self.traffic(service)})
            return holds(seen[-1]), seen[-1]

        await until(what, look)
        return seen

    def traffic(self, service: Json) -> dict[str, int]:
        """The percentage of each model, by its URI, as the InferenceService shows it."""
        status = (self.found(service) or {}).get("status", {})
        shares = status.get("components", {}).get("predictor", {}).get("traffic", [])
        uris = self._uris()
        traffic: Counter[str] = Counter()
        for share in shares:
            traffic[uris[share["revisionName"]]] += share.get("percent", 0)
        return dict(traffic)

    async def until_pods_are(self, *uris: str) -> None:
        """Until there are pods of these models, and of no others, that are to stay."""

        async def look() -> tuple[bool, Any]:
            pods = self.plane.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
            stay = [pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            found = {each["annotations"][_SOURCE] for each in stay}
            return found == set(uris), found

        await until(f"there are pods of {uris}", look)

    def _uris(self) -> dict[str, str]:
        """The model of each revision."""
        revisions = self.plane.get(f"{_KNATIVE}/namespaces/{self.namespace}/revisions")["items"]
        return {each["metadata"]["name"]: each["metadata"]["annotations"][_SOURCE] for each in revisions}
