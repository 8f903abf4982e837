"""After each write by one process, all that it touches reads anew by the other, at once and by every route."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from support.api import ARTIFACT, Json, Project, client_of, running_services
from support.database import Database
from support.routes import OPERATIONS, Route

IDS = ("model", "version", "artifact", "environment", "service", "serve_model")

# Every way to read, with `{...}` for ids.
READS = {
    "/models": ["/models", "/models?state=LIVE", "/models?search=one"],
    "/models/{model_id}": ["/models/{model}"],
    "/model": ["/model?name=one", "/model?externalId={model}"],
    "/models/{model_id}/versions": ["/models/{model}/versions", "/models/{model}/versions?status=READY"],
    "/models/{model_id}/versions/{version_id}": ["/models/{model}/versions/{version}"],
    "/model_versions": ["/model_versions", "/model_versions?status=READY"],
    "/model_versions/{version_id}": ["/model_versions/{version}"],
    "/model_version": [
        "/model_version?name=v1",
        "/model_version?externalId={version}",
        "/model_version?parentResourceId={model}",
    ],
    "/model_artifacts": ["/model_artifacts", "/model_artifacts?status=READY"],
    "/model_artifacts/{artifact_id}": ["/model_artifacts/{artifact}"],
    "/model_artifact": ["/model_artifact?name=a1", "/model_artifact?parentResourceId={model}"],
    "/serving_environments": ["/serving_environments"],
    "/serving_environments/{environment_id}": ["/serving_environments/{environment}"],
    "/serving_environment": ["/serving_environment?name=place"],
    "/inference_services": [
        "/inference_services",
        "/inference_services?registered_model_id={model}",
        "/inference_services?serving_environment_id={environment}",
        "/inference_services?model_version_id={version}",
        "/inference_services?desired_state=DEPLOYED",
    ],
    "/inference_services/{service_id}": ["/inference_services/{service}"],
    "/inference_services/{service_id}/timeline": ["/inference_services/{service}/timeline"],
    "/events": ["/events", "/events?order=asc&limit=100", "/events?type=registered_model.registered"],
    "/events/{position}": ["/events/1"],
    "/events/stream": ["/events/stream?after=0&follow=false"],
    "/inference_service": ["/inference_service?name=later"],
    "/serve_models": ["/serve_models", "/serve_models?inference_service_id={service}"],
    "/serve_models/{serve_model_id}": ["/serve_models/{serve_model}"],
}


@dataclass(frozen=True)
class Write:
    """A write, the id that it makes known, and reads that must answer otherwise than before."""

    method: str
    route: str
    path: str
    body: Any  # Any: JSON with {...} in its texts
    makes: str = ""
    changes: tuple[str, ...] = ()
    comes_up: bool = False  # and the cluster says so before the next write


LOG = (*READS["/events"], *READS["/events/{position}"], *READS["/events/stream"])
BOTH_SIDES = ("/models/{model}", "/model?name=one", "/model?externalId={model}")
VERSIONS = ("/models/{model}/versions", "/model_versions", "/model_artifacts")
VERSION = ("/models/{model}/versions/{version}", "/model_versions/{version}", "/model_version?externalId={version}")
READY = (
    "/models/{model}/versions?status=READY",
    "/model_versions?status=READY",
    "/model_artifacts?status=READY",
)
SERVICES = tuple(READS["/inference_services"])
PLACE = {"name": "place"}
PLACES = ("/serving_environments", "/serving_environments/{environment}")
LATER = {
    "name": "later",
    "registered_model_id": "{model}",
    "serving_environment_id": "{environment}",
    "model_version_id": "{artifact}",
}
ORDER = {"registered_model_id": "{model}", "serving_environment_id": "{environment}", "model_version_id": "{version}"}

WRITES = (
    Write("POST", "/models", "/models", {"name": "one"}, "model", (*READS["/models"], *BOTH_SIDES, *LOG)),
    Write(
        "PATCH", "/models/{model_id}", "/models/{model}", {"labels": {"a": "b"}}, "", (*READS["/models"], *BOTH_SIDES)
    ),
    Write(
        "POST",
        "/models/{model_id}/versions",
        "/models/{model}/versions",
        {"name": "v1", **ARTIFACT},
        "version",
        (*VERSIONS, *VERSION, *READS["/model_version"], *BOTH_SIDES, *READS["/models"]),
    ),
    Write(
        "PATCH",
        "/models/{model_id}/versions/{version_id}",
        "/models/{model}/versions/{version}",
        {"status": "READY"},
        "",
        (*VERSION, *READY, "/models/{model}/versions", "/model_versions", *BOTH_SIDES),
    ),
    Write(
        "PATCH",
        "/model_versions/{version_id}",
        "/model_versions/{version}",
        {"is_default": True, "uri": "s3://moved"},
        "",
        (*VERSION, *READY, *VERSIONS, *BOTH_SIDES),
    ),
    Write(
        "POST",
        "/model_artifacts",
        "/model_artifacts",
        {"registered_model_id": "{model}", "name": "a1", **ARTIFACT},
        "artifact",
        (*VERSIONS, *READS["/model_artifact"], "/model_artifacts/{artifact}", *BOTH_SIDES, *READS["/models"]),
    ),
    Write(
        "PATCH",
        "/model_artifacts/{artifact_id}",
        "/model_artifacts/{artifact}",
        {"uri": "s3://elsewhere"},
        "",
        (*VERSIONS, *READS["/model_artifact"], "/model_artifacts/{artifact}", *BOTH_SIDES),
    ),
    Write(
        "POST",
        "/serving_environments",
        "/serving_environments",
        PLACE,
        "environment",
        ("/serving_environments", "/serving_environments/{environment}", "/serving_environment?name=place"),
    ),
    Write("POST", "/deploy", "/deploy", ORDER, "service", (*SERVICES, "/inference_services/{service}")),
    Write(
        "DELETE",
        "/inference_services/{service_id}/undeploy",
        "/inference_services/{service}/undeploy",
        None,
        "",
        (*SERVICES, "/inference_services/{service}", "/inference_services/{service}/timeline"),
    ),
    Write(
        "POST",
        "/inference_services",
        "/inference_services",
        LATER,
        "service",
        (*SERVICES[:3], "/inference_services/{service}", "/inference_service?name=later"),
    ),
    Write(
        "PATCH",
        "/inference_services/{service_id}",
        "/inference_services/{service}",
        {"labels": {"a": "b"}},
        "",
        (*SERVICES[:3], "/inference_services/{service}", "/inference_service?name=later"),
    ),
    Write(
        "POST",
        "/serve_models",
        "/serve_models",
        {"inference_service_id": "{service}", "model_version_id": "{artifact}"},
        "serve_model",
        (*READS["/serve_models"], "/serve_models/{serve_model}", "/inference_services/{service}"),
    ),
    Write(
        "DELETE",
        "/serve_models/{serve_model_id}",
        "/serve_models/{serve_model}",
        None,
        "",
        (*READS["/serve_models"], "/serve_models/{serve_model}", "/inference_services/{service}"),
    ),
    Write(
        "DELETE",
        "/inference_services/{service_id}",
        "/inference_services/{service}",
        None,
        "",
        (*SERVICES[:3], "/inference_services/{service}", "/inference_service?name=later"),
    ),
    Write("POST", "/deploy", "/deploy", ORDER, "service", (*SERVICES, "/inference_services/{service}")),
    Write(
        "POST",
        "/inference_services/{service_id}/rollback",
        "/inference_services/{service}/rollback",
        {"model_version_id": "{version}"},
        "",
        (*SERVICES, "/inference_services/{service}"),
        comes_up=True,
    ),
    *(
        write
        for route, end in (("promote", True), ("abort", False))
        for write in (
            Write(
                "PATCH",
                "/inference_services/{service_id}",
                "/inference_services/{service}",
                {"canary_traffic_percent": 10},
                "",
                (*SERVICES, "/inference_services/{service}"),
                comes_up=True,
            ),
            Write(
                "POST",
                f"/inference_services/{{service_id}}/{route}",
                f"/inference_services/{{service}}/{route}",
                None,
                "",
                (*SERVICES, "/inference_services/{service}", "/inference_services/{service}/timeline"),
                comes_up=end,
            ),
        )
    ),
    Write(
        "PATCH",
        "/serving_environments/{environment_id}",
        "/serving_environments/{environment}",
        {"description": "moved"},
        "",
        ("/serving_environments", "/serving_environments/{environment}", "/serving_environment?name=place"),
    ),
    Write("POST", "/serving_environments", "/serving_environments", {"name": "spare"}, "environment", PLACES),
    Write("DELETE", "/serving_environments/{environment_id}", "/serving_environments/{environment}", None, "", PLACES),
    Write("POST", "/models", "/models", {"name": "doomed"}, "model", ("/models", "/models/{model}")),
    Write(
        "PATCH",
        "/models/{model_id}",
        "/models/{model}",
        {"state": "ARCHIVED"},
        "",
        (*READS["/models"][:2], "/models/{model}"),
    ),
    Write(
        "DELETE",
        "/models/{model_id}",
        "/models/{model}",
        None,
        "",
        ("/models", "/models/{model}", "/model?externalId={model}"),
    ),
)


async def test_what_one_process_answered_the_other_reads_at_once_by_every_route(database: Database) -> None:
    async with (
        running_services(database) as first,
        running_services(database) as second,
        client_of(first) as here,
        client_of(second) as there,
    ):
        writer, reader = here.project(), there.project()
        reader.id = writer.id
        known = {name: str(uuid4()) for name in IDS}
        before = await everything(reader, known)

        for write in WRITES:
            answer = await writer.send(write.method, write.path.format(**known), filled(write.body, known))
            assert answer.is_success, (write, answer.text)
            if write.makes:
                body = answer.json()
                known[write.makes] = body.get("inference_service", body)["id"]
            # The other process first, and with no pause.
            at_once = await everything(reader, known)
            assert at_once == await everything(writer, known), write

            assert {read for read in write.changes if at_once[read] == before[read]} == set(), write
            before = at_once
            if write.comes_up:
                await writer.confirm({"id": known["service"]})
                before = await everything(reader, known)
            writer, reader = reader, writer


def test_every_route_is_written_and_read() -> None:
    reads = {("GET", route) for route in READS}
    writes: set[Route] = {(write.method, write.route) for write in WRITES}

    look = (
        "POST",
        "/inference_services/{service_id}/sync",
    )  # see test_http_sync
    behind = {("GET", "/search"), ("GET", "/activity")}  # they say so: see test_http_search, test_http_activity
    assert reads | writes | behind | {look} == OPERATIONS.keys()
    shown = {read for write in WRITES for read in write.changes}
    assert {route for route, paths in READS.items() if not shown & {*paths}} == set()


async def everything(project: Project, known: dict[str, str]) -> dict[str, tuple[int, bytes, str | None]]:
    """What all reads answer now."""
    reads = [read for paths in READS.values() for read in paths]
    answers = await asyncio.gather(*(project.get(read.format(**known)) for read in reads))
    return {
        read: (answer.status_code, answer.content, answer.headers.get("etag"))
        for read, answer in zip(reads, answers, strict=True)
    }


def filled(body: Json | None, known: dict[str, str]) -> Json | None:
    if body is None:
        return None
    return {name: value.format(**known) if isinstance(value, str) else value for name, value in body.items()}
