"""What a PATCH leaves in the log: nothing when nothing changes, else events that say in plain words what was done."""

from typing import Any

import pytest

from support.api import Api, Project, made
from support.routes import OPERATIONS, Route, fields_of, something_of_everything

PATCHES = sorted(route for route in OPERATIONS if route[0] == "PATCH")
MODEL, VERSION, ARTIFACT = "/models/{model_id}", "/model_versions/{version_id}", "/model_artifacts/{artifact_id}"
ENVIRONMENT, SERVICE = "/serving_environments/{environment_id}", "/inference_services/{service_id}"
READY_VERSION = "{version_id}"
NESTED = "/models/{model_id}/versions/{version_id}"

OF_ARTIFACT: dict[str, tuple[Any, str]] = {  # Any: JSON
    "artifact_type": ("onnx", "model_version.artifact_revised"),
    "model_framework": ("torch", "model_version.artifact_revised"),
    "model_framework_version": ("2", "model_version.artifact_revised"),
    "container_image": ("other", "model_version.artifact_revised"),
    "uri": ("s3://other", "model_version.artifact_revised"),
    "labels": ({"c": "3"}, "model_version.relabelled"),
}
OF_VERSION = OF_ARTIFACT | {
    "name": ("other", "model_version.renamed"),
    "description": ("other", "model_version.described"),
    "is_default": (True, "registered_model.default_version_changed"),
    "state": ("ARCHIVED", "model_version.archived"),
    "status": ("FAILED", "model_version.marked_failed"),
}
CHANGES: dict[str, dict[str, tuple[Any, str]]] = {  # by path and field: a new value, and the event that it makes
    ARTIFACT: OF_ARTIFACT,
    VERSION: OF_VERSION,
    NESTED: OF_VERSION,
    MODEL: {
        "name": ("other", "registered_model.renamed"),
        "description": ("other", "registered_model.described"),
        "model_type": ("LLM", "registered_model.reclassified"),
        "model_size": (7, "registered_model.size_recorded"),
        "state": ("ARCHIVED", "registered_model.archived"),
        "deployment_status": ("FAILED", "registered_model.deployment_status_declared"),
        "tags": ({"tasks": ["other"]}, "registered_model.retagged"),
        "labels": ({"c": "3"}, "registered_model.relabelled"),
    },
    ENVIRONMENT: {
        "name": ("other", "serving_environment.renamed"),
        "description": ("other", "serving_environment.described"),
        "external_id": ("other", "serving_environment.namespace_chosen"),
        "defaults": ({"min_replicas": 2}, "serving_environment.defaults_chosen"),
    },
    SERVICE: {  # which waits for its version
        "name": ("other", "inference_service.renamed"),
        "labels": ({"c": "3"}, "inference_service.relabelled"),
        "runtime": ("mine", "inference_service.deployment_postponed"),
        "min_replicas": (2, "inference_service.deployment_postponed"),
        "max_replicas": (3, "inference_service.deployment_postponed"),
        "resources": ({"requests": {"cpu": "1"}}, "inference_service.deployment_postponed"),
        "protocol_version": ("v2", "inference_service.deployment_postponed"),
        "canary_traffic_percent": (10, "inference_service.deployment_postponed"),
        "desired_state": ("UNDEPLOYED", "inference_service.deployment_withdrawn"),
        "model_version_id": (READY_VERSION, "inference_service.version_chosen"),
    },
}


@pytest.mark.parametrize("route", PATCHES, ids=" ".join)
async def test_what_is_so_already_leaves_no_event_and_no_new_revision(project: Project, route: Route) -> None:
    path = route[1].format(**await something_of_everything(project))
    found = await project.get(path)
    shown, revision, before = found.json(), found.headers["etag"], await project.events()
    fields = list(fields_of(route))
    same = {field: shown[field] for field in fields if field in shown}  # what is not set is left out

    each_alone = [{field: value} for field, value in same.items()] + [{field: None} for field in fields]
    if "labels" in fields:
        turned = dict(reversed(shown["labels"].items()))
        assert list(turned) != list(shown["labels"])
        each_alone.append({"labels": turned})
    for body in [{}, same, {"unknown": 1}, *each_alone]:
        answer = await project.patch(path, body)
        assert (made(answer, 200), answer.headers["etag"]) == (shown, revision), body

    assert await project.events() == before


@pytest.mark.parametrize("route", PATCHES, ids=" ".join)
async def test_each_field_makes_one_event_named_for_what_was_done(api: Api, project: Project, route: Route) -> None:
    ids = await something_of_everything(project)
    path = route[1].format(**ids)

    told = {}
    for field, (new, _) in CHANGES[route[1]].items():
        value = new.format(**ids) if isinstance(new, str) else new
        told[field] = await events_of(api, project, path, {field: value})

    assert told == {field: [event] for field, (_, event) in CHANGES[route[1]].items()}
    assert told.keys() == fields_of(route).keys()


@pytest.mark.parametrize(
    ("path", "body", "event"),
    [
        (MODEL, {"state": "LIVE"}, "registered_model.restored"),
        (VERSION, {"state": "LIVE"}, "model_version.restored"),
        (VERSION, {"status": "PENDING"}, "model_version.marked_pending"),
        (VERSION, {"status": "READY"}, "model_version.marked_ready"),
        (VERSION, {"is_default": False}, "registered_model.default_version_changed"),
    ],
)
async def test_the_way_back_has_a_name_of_its_own(
    api: Api, project: Project, path: str, body: dict[str, object], event: str
) -> None:
    path = path.format(**await something_of_everything(project))
    (field,) = body
    there = {"state": "ARCHIVED", "status": "FAILED", "is_default": True}[field]
    made(await project.patch(path, {field: there}), 200)

    assert await events_of(api, project, path, body) == [event]


async def events_of(api: Api, project: Project, path: str, body: dict[str, object]) -> list[str]:
    """The events that a PATCH leaves."""
    before = await project.events()
    made(await project.patch(path, body), 200)
    rows = await api.pool.fetch(
        "SELECT topic FROM stored_events WHERE project_id = $1 ORDER BY notification_id OFFSET $2", project.id, before
    )
    return [row["topic"] for row in rows]
