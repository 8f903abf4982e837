"""One project never sees, names or changes what is another's, whichever route and reference it tries."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from modeltrail.http.app import BASE_PATH
from support.api import ARTIFACT, Api, Json, Project, made
from support.database import Database
from support.following import bring_forward

EMPTY: tuple[int, list[object]] = (200, [])


@dataclass(frozen=True)
class Attempt:
    """What a stranger sends, with the owner's ids and names for `{...}`, and how it must end: a status, or an empty
    list or stream."""

    method: str
    route: str
    path: str
    ends: int | tuple[int, list[object] | str] = 404
    body: Any = None  # Any: JSON with {...} in its texts


SERVICE = {
    "name": "mine",
    "registered_model_id": "{own_model}",
    "serving_environment_id": "{own_environment}",
}
ORDER = {"registered_model_id": "{own_model}", "serving_environment_id": "{own_environment}"}

ATTEMPTS = (
    Attempt("POST", "/models", "/models", 404, {"name": "child", "parent_model_id": "{model}"}),
    Attempt("POST", "/models", "/models", 201, {"name": "{name}"}),  # a name is taken in its own project only
    Attempt("GET", "/models", "/models?search={name}&limit=1&offset=1", EMPTY),  # the one just made is at offset 0
    Attempt("GET", "/models/{model_id}", "/models/{model}"),
    Attempt("GET", "/model", "/model?externalId={model}"),
    Attempt("GET", "/model", "/model?name={child}"),
    Attempt("PATCH", "/models/{model_id}", "/models/{model}", 404, {"description": "mine now"}),
    Attempt("DELETE", "/models/{model_id}", "/models/{archived}"),
    Attempt("POST", "/models/{model_id}/versions", "/models/{model}/versions", 404, {"name": "v9", **ARTIFACT}),
    Attempt("GET", "/models/{model_id}/versions", "/models/{model}/versions", EMPTY),
    Attempt("GET", "/models/{model_id}/versions/{version_id}", "/models/{model}/versions/{version}"),
    Attempt("GET", "/models/{model_id}/versions/{version_id}", "/models/{own_model}/versions/{version}"),
    Attempt(
        "PATCH", "/models/{model_id}/versions/{version_id}", "/models/{model}/versions/{version}", 404, {"name": "x"}
    ),
    Attempt(
        "PATCH",
        "/models/{model_id}/versions/{version_id}",
        "/models/{own_model}/versions/{version}",
        404,
        {"name": "x"},
    ),
    Attempt("GET", "/model_versions", "/model_versions?status=READY", EMPTY),
    Attempt("GET", "/model_versions/{version_id}", "/model_versions/{version}"),
    Attempt("GET", "/model_version", "/model_version?externalId={version}"),
    Attempt("GET", "/model_version", "/model_version?name={version_name}"),
    Attempt("GET", "/model_version", "/model_version?parentResourceId={model}"),
    Attempt("PATCH", "/model_versions/{version_id}", "/model_versions/{version}", 404, {"is_default": False}),
    Attempt(
        "POST", "/model_artifacts", "/model_artifacts", 404, {"registered_model_id": "{model}", "name": "a", **ARTIFACT}
    ),
    Attempt("GET", "/model_artifacts", "/model_artifacts?status=READY", EMPTY),
    Attempt("GET", "/model_artifacts/{artifact_id}", "/model_artifacts/{version}"),
    Attempt("GET", "/model_artifact", "/model_artifact?name={version_name}"),
    Attempt("GET", "/model_artifact", "/model_artifact?parentResourceId={model}"),
    Attempt("PATCH", "/model_artifacts/{artifact_id}", "/model_artifacts/{version}", 404, {"uri": "s3://elsewhere"}),
    Attempt("POST", "/serving_environments", "/serving_environments", 201, {"name": "{environment_name}"}),
    Attempt("GET", "/serving_environments", "/serving_environments?limit=1&offset=2", EMPTY),  # two are the stranger's
    Attempt("GET", "/serving_environments/{environment_id}", "/serving_environments/{environment}"),
    Attempt("GET", "/serving_environment", "/serving_environment?name={other_environment_name}"),
    Attempt(
        "PATCH", "/serving_environments/{environment_id}", "/serving_environments/{environment}", 404, {"name": "mine"}
    ),
    Attempt("DELETE", "/serving_environments/{environment_id}", "/serving_environments/{empty_environment}"),
    Attempt("POST", "/deploy", "/deploy", 404, ORDER | {"registered_model_id": "{model}"}),
    Attempt("POST", "/deploy", "/deploy", 404, ORDER | {"serving_environment_id": "{environment}"}),
    Attempt("POST", "/deploy", "/deploy", 404, ORDER | {"model_version_id": "{version}"}),
    Attempt("GET", "/inference_services", "/inference_services", EMPTY),
    Attempt("GET", "/inference_services", "/inference_services?registered_model_id={model}", EMPTY),
    Attempt("GET", "/inference_services", "/inference_services?serving_environment_id={environment}", EMPTY),
    Attempt("GET", "/inference_services", "/inference_services?model_version_id={version}", EMPTY),
    Attempt("GET", "/inference_services/{service_id}", "/inference_services/{service}"),
    Attempt("GET", "/inference_services/{service_id}/timeline", "/inference_services/{service}/timeline"),
    Attempt("GET", "/events", "/events?model={model}", EMPTY),
    Attempt("GET", "/events", "/events?stream={service}", EMPTY),
    Attempt("GET", "/events", "/events?actor=owner@example.com", EMPTY),
    Attempt("GET", "/events/{position}", "/events/{position}"),
    Attempt(
        "GET", "/events/stream", "/events/stream?after=0&follow=false&model={model}", (200, "retry: 2000\nid: 0\n\n")
    ),
    Attempt("POST", "/inference_services", "/inference_services", 404, SERVICE | {"registered_model_id": "{model}"}),
    Attempt(
        "POST", "/inference_services", "/inference_services", 404, SERVICE | {"serving_environment_id": "{environment}"}
    ),
    Attempt("POST", "/inference_services", "/inference_services", 404, SERVICE | {"model_version_id": "{version}"}),
    Attempt("GET", "/inference_service", "/inference_service?name={service_name}"),
    Attempt("GET", "/inference_service", "/inference_service?externalId=uid-1"),
    Attempt("PATCH", "/inference_services/{service_id}", "/inference_services/{service}", 404, {"labels": {"a": "b"}}),
    Attempt("DELETE", "/inference_services/{service_id}", "/inference_services/{idle_service}"),
    Attempt("POST", "/inference_services/{service_id}/rollback", "/inference_services/{service}/rollback", 404, {}),
    Attempt("POST", "/inference_services/{service_id}/promote", "/inference_services/{service}/promote"),
    Attempt("POST", "/inference_services/{service_id}/abort", "/inference_services/{service}/abort"),
    Attempt("POST", "/inference_services/{service_id}/sync", "/inference_services/{service}/sync"),
    Attempt(
        "POST",
        "/serve_models",
        "/serve_models",
        404,
        {"inference_service_id": "{service}", "model_version_id": "{own_version}"},
    ),
    Attempt("GET", "/serve_models", "/serve_models", EMPTY),
    Attempt("GET", "/serve_models", "/serve_models?inference_service_id={service}", EMPTY),
    Attempt("GET", "/serve_models/{serve_model_id}", "/serve_models/{served}"),
    Attempt("DELETE", "/serve_models/{serve_model_id}", "/serve_models/{served}"),
    Attempt("DELETE", "/inference_services/{service_id}/undeploy", "/inference_services/{service}/undeploy"),
    Attempt("GET", "/search", "/search?q=secret", EMPTY),
    Attempt("GET", "/search", "/search?q={service_name}&kind=inference_service", EMPTY),
    Attempt("GET", "/activity", "/activity?offset=1", EMPTY),  # one day is the stranger's
    Attempt("GET", "/activity", "/activity?project={project}", 400),
)


@pytest.fixture
async def owner(api: Api) -> tuple[Project, dict[str, str]]:
    """A project with something of everything, and what a stranger may know of it."""
    owner = api.project()
    model = await owner.model("secret model")
    version = await owner.ready_version(model, "secret version", is_default=True)
    child = await owner.model("secret child", parent_model_id=model["id"])
    archived = await owner.model("secret archived")
    await owner.patch(f"/models/{archived['id']}", {"state": "ARCHIVED"})
    environment = await owner.environment("secret-place")
    other = await owner.environment("secret-other-place")
    service = await owner.deployed(model, environment)
    await owner.confirm(service)
    idle = made(
        await owner.post(
            "/inference_services",
            {"name": "idle", "registered_model_id": child["id"], "serving_environment_id": environment["id"]},
        )
    )
    empty = await owner.environment("secret-empty-place")
    return (
        owner,
        {
            "project": str(owner.id),
            "model": model["id"],
            "name": "secret model",
            "version": version["id"],
            "version_name": "secret version",
            "child": child["name"],
            "archived": archived["id"],
            "environment": environment["id"],
            "environment_name": "secret-place",
            "other_environment_name": other["name"],
            "empty_environment": empty["id"],
            "service": service["id"],
            "service_name": service["name"],
            "idle_service": idle["id"],
            "position": str(await owner.services.pool.fetchval("SELECT max(notification_id) FROM stored_events")),
            "served": (await owner.get("/serve_models")).json()["items"][0]["id"],
        },
    )


async def test_a_stranger_finds_and_changes_nothing_by_any_route(
    api: Api, owner: tuple[Project, dict[str, str]], database: Database
) -> None:
    of_owner, known = owner
    secrets = tuple(known)
    stranger = api.project()
    own_model = await stranger.model("my model")
    own_version = await stranger.version(own_model, "my version")
    known |= {"own_model": own_model["id"], "own_version": own_version["id"]}
    known |= {"own_environment": (await stranger.environment("my-place"))["id"]}
    before = await everything_of(of_owner)
    await bring_forward(database)

    wrong = []
    for attempt in ATTEMPTS:
        answer = await stranger.send(attempt.method, attempt.path.format(**known), filled(attempt.body, known))
        ended = (answer.status_code, content_of(answer)) if isinstance(attempt.ends, tuple) else answer.status_code
        told = [] if attempt.ends == 201 else [name for name in secrets if known[name] in answer.text]
        if ended != attempt.ends or told:
            wrong.append((attempt, ended, told))

    assert not wrong
    assert await everything_of(of_owner) == before


def content_of(answer: httpx.Response) -> object:
    """The items of a list, or a stream as it is."""
    is_stream = answer.headers["content-type"].startswith("text/event-stream")
    return answer.text if is_stream else answer.json().get("items")


async def test_every_route_of_a_project_is_tried(api: Api) -> None:
    document = (await api.client.get("/schema/openapi.json")).json()
    routes = {
        (method.upper(), path.removeprefix(BASE_PATH))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(BASE_PATH)
    }

    assert {(attempt.method, attempt.route) for attempt in ATTEMPTS} == routes


def filled(body: Any, known: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: filled(value, known) for name, value in body.items()}
    return body.format(**known) if isinstance(body, str) else body


async def everything_of(project: Project) -> list[Json]:
    lists = ("models", "model_versions", "serving_environments", "inference_services", "serve_models")
    return [(await project.get(f"/{name}?limit=100")).json() for name in lists] + [{"events": await project.events()}]
