"""What clients ask before they ask for objects: versions, groups and kinds."""

from modeltrail.simulated_cluster.resources import INFERENCE_SERVICES, RESOURCES, Json, Resource

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0-simulated",
    "gitCommit": "simulated",
    "gitTreeState": "simulated",
    "platform": "simulated",
}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovery(path: str) -> Json | None:
    """The answer to a discovery path; None when the path is none."""
    group, root = INFERENCE_SERVICES.group, INFERENCE_SERVICES.root
    group_body = {
        "name": group,
        "versions": [{"groupVersion": INFERENCE_SERVICES.api_version, "version": INFERENCE_SERVICES.version}],
        "preferredVersion": {
            "groupVersion": INFERENCE_SERVICES.api_version,
            "version": INFERENCE_SERVICES.version,
        },
    }
    answers: dict[str, Json] = {
        "/version": dict(VERSION),
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_body]},
        f"/apis/{group}": {"kind": "APIGroup", "apiVersion": "v1", **group_body},
        "/api/v1": _resource_list("v1", [each for each in RESOURCES if not each.group]),
        root: _resource_list(INFERENCE_SERVICES.api_version, [INFERENCE_SERVICES]),
    }
    return answers.get(path.rstrip("/"))


def _resource_list(api_version: str, resources: list[Resource]) -> Json:
    rows = []
    for each in resources:
        row: Json = {
            "name": each.plural,
            "singularName": each.kind.lower(),
            "namespaced": each.namespaced,
            "kind": each.kind,
            "verbs": _VERBS,
        }
        rows.append(row | ({"shortNames": ["isvc"]} if each is INFERENCE_SERVICES else {}))
        if each.has_status:
            rows.append({**row, "name": f"{each.plural}/status", "verbs": ["get", "patch", "update"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": rows}
