"""The examples of the README, run as they stand there."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from modeltrail.http.app import BASE_PATH
from support.api_process import api_process
from support.database import Database
from support.following import bring_forward

README = Path(__file__).parents[2] / "README.md"
# Without a cluster no version goes live, and none beside it. Their success is in test_http_canary.py.
NEEDS_A_CANARY = {("post", f"{BASE_PATH}/inference_services/{{service_id}}/{route}") for route in ("promote", "abort")}
CURL = """curl() { command curl "$@" -w '%{stderr}%{http_code} %{method} %{url_effective}\\n'; }"""


def blocks_below(heading: str) -> list[str]:
    """The shell commands in the section of that heading."""
    text = README.read_text(encoding="utf-8")
    start = text.index(f" {heading}\n")
    end = re.search(r"^#{2,3} ", text[start:], re.MULTILINE)
    return re.findall(
        r"^```sh\n(.*?)^```", text[start : start + end.start() if end else None], re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def definitions() -> str:
    """What the examples take from the first ten minutes."""
    (by_hand,) = (block for block in blocks_below("The first ten minutes") if block.startswith("API="))
    return by_hand.partition("\n\n")[0]


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="the examples need curl and bash")
def test_every_route_has_an_example_that_answers_as_it_says(
    database: Database, tmp_path: Path, definitions: str
) -> None:
    (examples,) = blocks_below("Every route by example")
    with api_process(database, tmp_path, KSERVE_ENABLED="false") as url:
        # Not the first that is written: a reader comes from the examples above it.
        earlier = {"name": "Churn"}
        project = {"Project-ID": "11111111-1111-4111-8111-111111111111"}
        httpx.post(f"{url}{BASE_PATH}/models", json=earlier, headers=project).raise_for_status()
        here = definitions.replace("http://localhost:8080", url)
        script = f"set -eu -o pipefail\n{CURL}\n{here}\n{examples}"
        run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        document = httpx.get(f"{url}/schema/openapi.json").json()
        asyncio.run(bring_forward(database))
        (search,) = re.findall(r'"\$API(/search.*)"', examples)
        found = httpx.get(f"{url}{BASE_PATH}{search}", headers=project).json()

    assert run.returncode == 0, run.stderr
    answered = re.findall(r"^(\d{3}) ([A-Z]+) (\S+)$", run.stderr, re.MULTILINE)
    said = re.findall(r"^# (\d{3}): (.*)$", examples, re.MULTILINE)
    assert [status for status, _, _ in answered] == [status for status, _ in said]
    routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
    well = {route_of(method, address, routes) for status, method, address in answered if status < "400"}
    assert well == routes - NEEDS_A_CANARY
    assert {route_of(method, address, routes) for _, method, address in answered} >= NEEDS_A_CANARY
    assert [each["name"] for each in found["items"]] == ["Fraud"]


def route_of(method: str, address: str, routes: set[tuple[str, str]]) -> tuple[str, str]:
    """The route that took the request; a path without parameters goes first."""
    path = httpx.URL(address).path
    candidates = [
        route
        for route in routes
        if route[0] == method.lower() and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route[1]), path)
    ]
    return min(candidates, key=lambda route: route[1].count("{"))
