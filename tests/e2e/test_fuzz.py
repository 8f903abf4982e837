"""The running API against its own document: schemathesis sends what the document allows, and what it does not.

`make fuzz` runs the same for longer, and with other requests each time.
"""

import asyncio
import os
from collections import defaultdict
from pathlib import Path

import httpx
import schemathesis
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, FuzzScenarioFinished, NonFatalError, ScenarioFinished
from schemathesis.engine.recorder import ScenarioRecorder

from modeltrail.http.app import BASE_PATH
from support.api_process import api_process
from support.database import Database
from support.following import bring_forward
from support.fuzzing import Json, World, closed, informed_by
from support.registry import confirmer

# How many requests per route and phase: few in the gate, many for `make fuzz`.
LONG = os.environ.get("FUZZ_EXAMPLES")
EXAMPLES = int(LONG or 12)
# Off is what the document cannot say (a name is taken, a version is not ready, a limit that is no number counts as 20)
# and what needs authentication or looks after a resource between requests.
OFF = (
    "positive_data_acceptance",
    "negative_data_rejection",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
)
CHECKS = ChecksConfig.from_dict({name: {"enabled": False} for name in OFF})


class Run:
    """What schemathesis found, and which statuses each route answered with."""

    def __init__(self, document: Json, url: str) -> None:
        self.problems: list[str] = []
        self.statuses: dict[str, set[int]] = defaultdict(set)
        generation = GenerationConfig(deterministic=not LONG, max_examples=EXAMPLES, no_shrink=not LONG)
        phases = PhasesConfig(stateful=StatefulPhaseConfig(enabled=bool(LONG)))
        project = ProjectConfig(base_url=url, checks=CHECKS, generation=generation, phases=phases)
        config = SchemathesisConfig(seed=None if LONG else 1, projects=ProjectsConfig(default=project))
        for event in from_schema(schemathesis.openapi.from_dict(document, config=config)).execute():
            if isinstance(event, ScenarioFinished | FuzzScenarioFinished):
                self._note(event.recorder)
            elif isinstance(event, NonFatalError):
                self.problems.append(f"{event.label}: {event.value!r}")
            elif isinstance(event, FatalError):
                raise event.exception

    def _note(self, recorder: ScenarioRecorder) -> None:
        for case_id, interaction in recorder.interactions.items():
            case, answer = recorder.cases[case_id].value, interaction.response
            if answer is None:
                self.problems.append(f"{case.operation.label}: no answer to {case.as_curl_command()}")
                continue
            if interaction.request.method == case.operation.method.upper():
                self.statuses[case.operation.label].add(answer.status_code)
            for check in recorder.checks.get(case_id, ()):
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    self.problems.append(
                        f"{case.operation.label}: {failure.title}: {failure.message}\n{answer.status_code}"
                        f" {answer.text[:500]}\n{check.failure_info.code_sample}"
                    )


def test_every_answer_is_as_documented(database: Database, tmp_path: Path) -> None:
    with api_process(database, tmp_path, KSERVE_ENABLED="false") as url:
        document = httpx.get(f"{url}/schema/openapi.json").json()
        del document["paths"][f"{BASE_PATH}/events/stream"]  # it does not end; see test_http_events
        world = World(url, confirmer(database))
        asyncio.run(bring_forward(database))
        run = Run(informed_by(world, closed(document)), url)

    assert not run.problems, "\n\n".join(run.problems)
    unreached = [label for label, statuses in run.statuses.items() if min(statuses, default=500) >= 400]
    assert not unreached
    assert len(run.statuses) == sum(len(methods) for methods in document["paths"].values())
    assert '"level":"error"' not in (tmp_path / "api.log").read_text()
