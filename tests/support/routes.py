"""The app's own table of routes and of what their bodies take, so that a test notices a route that it does not know."""

from typing import Any, cast

import msgspec

from modeltrail.http.app import BASE_PATH, create_app
from modeltrail.http.services import Services
from support.api import Json, Project, made

Route = tuple[str, str]  # method, and path below the base path


def _document() -> Json:
    app = create_app(cast("Services", None))  # no route is called
    return cast("Json", msgspec.json.decode(app.state.schema.as_json))


_DOCUMENT = _document()
OPERATIONS: dict[Route, Json] = {
    (method.upper(), path.removeprefix(BASE_PATH)): operation
    for path, methods in _DOCUMENT["paths"].items()
    if path.startswith(BASE_PATH)
    for method, operation in methods.items()
}


def fields_of(route: Route) -> dict[str, Json]:
    """The schemas of the fields of the body that the route reads, none of them `null` or a reference."""
    body = OPERATIONS[route].get("requestBody")
    if body is None:
        return {}
    schema = _resolved(body["content"]["application/json"]["schema"])
    return {name: _resolved(field) for name, field in schema["properties"].items()}


def sortable_by(route: Route) -> list[str]:
    """What the list can be sorted by; empty when the route is none of a list."""
    return [
        field
        for parameter in OPERATIONS[route]["parameters"]
        if parameter.get("name") == "sort_by"
        for field in parameter["schema"]["enum"]
    ]


def _resolved(schema: Json) -> Json:
    """What a schema says once references are followed and `null` is left out."""
    if "$ref" in schema:
        return _resolved(_DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            return _resolved(choice)
    return schema


async def something_of_everything(project: Project) -> dict[str, str]:
    """Makes one of each resource; their ids, under the names that paths and bodies give them.

    The inference service waits for its version; `deployed_service_id` is another one, on its way to the cluster.
    """
    model = await project.model("here", labels={"a": "1", "b": "2"}, tags={"tasks": ["t"]}, description="d")
    version = await project.ready_version(model, "here", labels={"a": "1", "b": "2"}, container_image="i")
    environment = await project.environment("here", description="d", external_id="there")
    deployed = await project.deployed(model, environment, name="deployed", model_version_id=version["id"])
    pending = await project.version(model, "pending")
    wish = {
        "name": "here",
        "registered_model_id": model["id"],
        "serving_environment_id": environment["id"],
        "model_version_id": pending["id"],
        "labels": {"a": "1", "b": "2"},
    }
    service = made(await project.post("/inference_services", wish))
    pair = {"inference_service_id": service["id"], "model_version_id": pending["id"]}
    return {
        "deployed_service_id": deployed["id"],
        "serve_model_id": made(await project.post("/serve_models", pair))["id"],
        "position": "1",
        "model_id": model["id"],
        "registered_model_id": model["id"],
        "version_id": version["id"],
        "model_version_id": version["id"],
        "artifact_id": version["id"],
        "environment_id": environment["id"],
        "serving_environment_id": environment["id"],
        "service_id": service["id"],
        "inference_service_id": service["id"],
    }


def path_of(route: Route, ids: dict[str, str]) -> str:
    """The route's path, for what it can be about: only what is in the cluster can be rolled back."""
    path = route[1]
    if path.endswith("/rollback"):
        path = path.replace("{service_id}", "{deployed_service_id}")
    return path.format(**ids)


def good_body(route: Route, ids: dict[str, str], name: str) -> dict[str, Any]:  # Any: JSON
    """What the route takes: all that it requires; for a PATCH, a change."""
    body = OPERATIONS[route].get("requestBody")
    if body is None:
        return {}
    required = _resolved(body["content"]["application/json"]["schema"]).get("required", [])
    fields = fields_of(route)
    texts = {"name": name, "uri": f"s3://{name}"}
    wanted = {*required, *({"name", "uri", "model_version_id"} & fields.keys())}
    return {field: ids[field] if field in ids else texts.get(field, "text") for field in sorted(wanted or fields)}
