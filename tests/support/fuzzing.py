"""The API's document as a well-informed and suspicious caller reads it: with ids that exist, and nothing unsaid."""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx

from modeltrail.http.app import BASE_PATH

Json = dict[str, Any]  # Any: JSON

ARTIFACT = {"model_framework": "sklearn", "model_framework_version": "1.4", "uri": "s3://models/iris"}


class World:
    """One project with something of everything, made over HTTP. `ids` are those of it, by the names of parameters and
    fields; `own` what only one operation asks for, by operation; `words` are what else may be asked for, by
    the names of parameters. `confirm` says of a service that the cluster has it ready."""

    def __init__(self, url: str, confirm: Callable[[str], None]) -> None:
        self._confirm = confirm
        self.project_id = str(uuid4())
        headers = {"Project-ID": self.project_id, "X-User-Email": "ada@example.com"}
        with httpx.Client(base_url=url + BASE_PATH, headers=headers) as self._client:
            self.ids = self._fill()
            model = self.ids["model_id"][0]
            self.other_version: str = self._made(f"/models/{model}/versions", name="other", **ARTIFACT)["id"]
            self.own = {
                "delete_model": {"model_id": self._archived(5)},
                "delete_environment": {"environment_id": self._empty_environments(5)},
                "delete_service": {"service_id": self._waiting_services(5)},
                "delete_serve_model": {"serve_model_id": self._extra_serve_models(3)},
                "find_service": {"name": ["v1"], "serving_environment_id": self.ids["environment_id"][:1]},
                "roll_back": {"service_id": self._requested_services(3)},
                "promote": {"service_id": [self._canary() for _ in range(3)]},
                "abort": {"service_id": [self._canary() for _ in range(3)]},
            }
        models, versions = self.ids["model_id"], self.ids["version_id"]
        self.orders = [
            {
                "registered_model_id": models[0],
                "model_version_id": versions[0],
                "serving_environment_id": self.ids["environment_id"][0],
                "labels": labels,
            }
            for labels in (None, {"team": "growth"})
        ]
        self.pairs = [
            {"inference_service_id": service, "model_version_id": self.other_version}
            for service in self.ids["service_id"]
        ]
        self.words = {
            "name": ["model 0", "v1", "staging"],
            "externalId": [*models, *versions],
            "parentResourceId": models,
            "q": ["model", "v1 sta", "0"],
            "project": [self.project_id],
            "If-Match": ['"1"', '"2"', "*"],
            "If-None-Match": [*(f'"{revision}"' for revision in range(1, 6)), "*"],
        }

    def _fill(self) -> dict[str, list[str]]:
        models = [self._made("/models", name=f"model {number}")["id"] for number in range(3)]
        versions = [
            self._made(f"/models/{model}/versions", name="v1", created_by_email="ada@example.com", **ARTIFACT)["id"]
            for model in models[:2]
        ]
        for version in versions:
            self._client.patch(f"/model_versions/{version}", json={"status": "READY"}).raise_for_status()
        environments = [self._made("/serving_environments", name=name)["id"] for name in ("staging", "not a namespace")]
        order = {"registered_model_id": models[0], "serving_environment_id": environments[0]}
        services = [self._made("/deploy", **order)["inference_service"]["id"] for _ in range(2)]
        services += [self._made("/inference_services", name=name, **order)["id"] for name in ("v1", "staging")]
        events = self._client.get("/events").raise_for_status().json()["items"]
        served = self._client.get("/serve_models").raise_for_status().json()["items"]
        return {
            "serve_model_id": [each["id"] for each in served],
            "position": [str(each["position"]) for each in events],
            "at": [str(each["position"]) for each in events],
            "Project-ID": [self.project_id],
            "model_id": models,
            "registered_model_id": models,
            "parent_model_id": models,
            "version_id": versions,
            "model_version_id": versions,
            "artifact_id": versions,
            "environment_id": environments,
            "serving_environment_id": environments,
            "service_id": services,
            "inference_service_id": services,
        }

    def _archived(self, count: int) -> list[str]:
        """Models that can be deleted."""
        models = [self._made("/models", name=f"doomed {number}")["id"] for number in range(count)]
        for model in models:
            self._client.patch(f"/models/{model}", json={"state": "ARCHIVED"}).raise_for_status()
        return models

    def _empty_environments(self, count: int) -> list[str]:
        return [self._made("/serving_environments", name=f"empty {number}")["id"] for number in range(count)]

    def _waiting_services(self, count: int) -> list[str]:
        """Inference services that can be deleted: their model has no version."""
        wish = {"registered_model_id": self.ids["model_id"][2], "serving_environment_id": self.ids["environment_id"][0]}
        return [self._made("/inference_services", name=f"waiting-{number}", **wish)["id"] for number in range(count)]

    def _requested_services(self, count: int) -> list[str]:
        """Inference services on their way to the cluster."""
        order = {
            "registered_model_id": self.ids["model_id"][0],
            "model_version_id": self.ids["version_id"][0],
            "serving_environment_id": self.ids["environment_id"][0],
        }
        return [self._made("/deploy", **order)["inference_service"]["id"] for _ in range(count)]

    def _canary(self) -> str:
        """An inference service with a canary."""
        (service,) = self._requested_services(1)
        self._confirm(service)
        self._client.patch(f"/inference_services/{service}", json={"canary_traffic_percent": 10}).raise_for_status()
        self._confirm(service)
        return service

    def _extra_serve_models(self, count: int) -> list[str]:
        """Of a service that nobody else asks for: they go when it is undeployed."""
        model, service = self.ids["model_id"][0], self._requested_services(1)[0]
        versions = [
            self._made(f"/models/{model}/versions", name=f"extra {number}", **ARTIFACT)["id"] for number in range(count)
        ]
        return [
            self._made("/serve_models", inference_service_id=service, model_version_id=version)["id"]
            for version in versions
        ]

    def _made(self, path: str, **body: object) -> Json:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        made: Json = answer.json()
        return made


def informed_by(world: World, document: Json) -> Json:
    """The document, with schemas that name what exists, besides anything else."""
    informed = copy.deepcopy(document)
    for schema in informed["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            _inform(schema["properties"], name, field, world.ids.get(name))
    # Chance hardly ever finds a model, a version and an environment that go together, or all that a version must have.
    bodies: dict[str, list[Json]] = {
        "deploy": world.orders,
        "create_service": [{"name": f"made-{number}", **world.orders[0]} for number in range(3)],
        "create_serve_model": world.pairs,
        "roll_back": [{"model_version_id": world.orders[0]["model_version_id"]}],
        "register_version": [{"name": f"v{number}", **ARTIFACT} for number in range(2, 5)],
    }
    for operation in operations(informed):
        if known_bodies := bodies.get(operation["operationId"]):
            operation["requestBody"]["content"]["application/json"]["examples"] = _examples(known_bodies)
        if operation["operationId"] in ("promote", "abort"):
            # The one key that the document gives as an example belongs to the first request that takes it.
            key = {"$ref": "#/components/parameters/Idempotency-Key"}
            operation["parameters"] = [each for each in operation["parameters"] if each != key]
        own = world.own.get(operation["operationId"], {})
        for parameter in operation["parameters"]:
            _inform_parameter(parameter, world.ids | world.words | own, always=own)
    for parameter in informed["components"]["parameters"].values():
        _inform_parameter(parameter, world.ids | world.words)
    return informed


def _inform_parameter(parameter: Json, known: Mapping[str, list[str]], always: Collection[str] = ()) -> None:
    """`always` are those optional ones that are given in examples, too."""
    name = parameter.get("name", "")
    if values := known.get(name):
        _inform(parameter, "schema", parameter["schema"], values)
        if parameter.get("required") or name in always:
            parameter["examples"] = _examples(values)


def _examples(values: Iterable[Any]) -> Json:  # Any: JSON
    return {f"known {number}": {"value": value} for number, value in enumerate(values)}


def _inform(holder: Json, key: str, schema: Json, known: Iterable[str] | None) -> None:
    if known:
        holder[key] = {"anyOf": [{"type": "string", "enum": list(known)}, schema]}


def closed(document: Json) -> Json:
    """The document, with answers that may hold no field which it does not name."""
    strict = copy.deepcopy(document)
    schemas = strict["components"]["schemas"]
    for name in _reachable(strict, [operation["responses"] for operation in operations(strict)]):
        if "properties" in schemas[name]:
            schemas[name]["additionalProperties"] = False
    return strict


def operations(document: Json) -> Iterator[Json]:
    for methods in document["paths"].values():
        yield from methods.values()


def _reachable(document: Json, parts: list[Any]) -> set[str]:  # Any: any part of the document
    """The names of the schemas that `parts` lead to."""
    found: set[str] = set()
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            reference = part.get("$ref", "")
            if reference.startswith("#/components/schemas/") and reference not in found:
                found.add(reference)
                parts.append(document["components"]["schemas"][reference.rpartition("/")[2]])
            elif reference.startswith("#/components/responses/"):
                parts.append(document["components"]["responses"][reference.rpartition("/")[2]])
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
    return {reference.rpartition("/")[2] for reference in found}
