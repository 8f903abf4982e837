"""The manifests for Kubernetes say what this version of the program understands, and Kubernetes itself."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes_asyncio.client import models

from modeltrail.cli.main import run
from modeltrail.http.app import create_app
from modeltrail.http.services import Services
from modeltrail.secret_keys import generate_key
from modeltrail.settings import Settings

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]  # manifests are open-ended
OBJECTS: list[Json] = list(yaml.safe_load_all((ROOT / "docs" / "kubernetes.yaml").read_text(encoding="utf-8")))
MADE_BEFORE = {"modeltrail-database": ["DATABASE_PASSWORD"], "modeltrail-keys": ["keys"]}
"""The Secrets, and what is in them."""


class Asked(dict[str, str]):
    """Variables that remember which of them somebody wanted to know."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.names: set[str] = set()

    def get(self, name: str, *default: Any) -> Any:  # Any: as in dict
        self.names.add(name)
        return super().get(name, *default)


def found(kind: str) -> dict[str, Json]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


PODS: dict[str, Json] = {
    name: each["spec"]["template"] for kind in ("Job", "Deployment") for name, each in found(kind).items()
}
CONTAINERS: dict[str, Json] = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}


def environment_of(container: Json) -> dict[str, str]:
    given: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            given |= found("ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            given |= dict.fromkeys(MADE_BEFORE[source["secretRef"]["name"]], "a secret")
    return given


@pytest.mark.parametrize("name", PODS)
def test_every_variable_is_one_that_the_settings_know_with_a_value_that_they_take(name: str, tmp_path: Path) -> None:
    given = environment_of(CONTAINERS[name])
    (mount,), (volume,) = CONTAINERS[name]["volumeMounts"], PODS[name]["spec"]["volumes"]
    keys_file = given["MODELTRAIL_SECRET_KEYS_FILE"]
    mounted = [f"{mount['mountPath']}/{file}" for file in MADE_BEFORE[volume["secret"]["secretName"]]]
    here = tmp_path / "keys"
    here.write_text(generate_key("main"))
    asked = Asked(given | {"MODELTRAIL_SECRET_KEYS_FILE": str(here)})

    settings = Settings.from_environment(asked)

    assert given.keys() <= asked.names
    assert (mount["name"], mounted) == (volume["name"], [keys_file])
    assert all(isinstance(value, str) for value in given.values()), "Kubernetes takes nothing else"
    assert settings.kserve.enabled
    assert settings.kserve.in_cluster


def test_every_command_exists_and_each_is_there() -> None:
    assert sorted(container["args"] for container in CONTAINERS.values()) == [["migrate"], ["serve"], ["worker"]]
    assert [run([*container["args"], "--help"]) for container in CONTAINERS.values()] == [0, 0, 0]
    assert len({container["image"] for container in CONTAINERS.values()}) == 1


def test_the_probes_ask_what_is_served_where_it_is_served() -> None:
    serve = CONTAINERS["modeltrail-serve"]
    served = {route.path for route in create_app(cast("Services", None)).routes}
    (port,) = serve["ports"]
    settings = Settings.from_environment(environment_of(serve) | {"MODELTRAIL_SECRET_KEYS_FILE": ""})

    assert port["containerPort"] == settings.server.port
    for probe, path in {"livenessProbe": "/livez", "readinessProbe": "/healthz"}.items():
        assert serve[probe]["httpGet"] == {"path": path, "port": port["name"]}
        assert path in served


def test_what_refers_to_something_refers_to_what_is_there() -> None:
    for each in found("Deployment").values():
        assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
    (service,) = found("Service").values()
    assert service["spec"]["selector"] == PODS["modeltrail-serve"]["metadata"]["labels"]
    assert PODS["modeltrail-worker"]["spec"]["serviceAccountName"] in found("ServiceAccount")
    for binding in (*found("ClusterRoleBinding").values(), *found("RoleBinding").values()):
        assert binding["roleRef"]["name"] in found("ClusterRole")
        assert binding["subjects"][0]["name"] in found("ServiceAccount")


def test_the_readme_makes_what_is_made_before_and_monitors_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for secret, (key,) in MADE_BEFORE.items():
        assert re.search(rf"create secret generic {secret} --from-(literal|file)={key}\b", readme)
    (monitor,) = (
        block for block in re.findall(r"^```yaml\n(.*?)^```", readme, re.DOTALL | re.MULTILINE) if "PodMonitor" in block
    )
    spec = yaml.safe_load(monitor)["spec"]
    pod = PODS["modeltrail-serve"]
    assert spec["selector"]["matchLabels"] == pod["metadata"]["labels"]
    (port,) = CONTAINERS["modeltrail-serve"]["ports"]
    assert spec["podMetricsEndpoints"] == [{"port": port["name"], "path": "/metrics"}]


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_every_field_is_one_that_kubernetes_knows(each: Json) -> None:
    assert list(unknown_fields(each, f"V1{each['kind']}", each["kind"])) == []


def unknown_fields(value: object, kind: str, place: str) -> Iterator[str]:
    """Where `value` has fields that the API's type of that name has not."""
    if kind.startswith("list["):
        assert isinstance(value, list), place
        for number, item in enumerate(value):
            yield from unknown_fields(item, kind[5:-1], f"{place}[{number}]")
    elif kind.startswith("V1"):
        assert isinstance(value, dict), place
        model = getattr(models, kind)
        types = {model.attribute_map[field]: type_ for field, type_ in model.openapi_types.items()}
        yield from (f"{place}.{field}" for field in value if field not in types)
        for field in value.keys() & types.keys():
            yield from unknown_fields(value[field], types[field], f"{place}.{field}")
