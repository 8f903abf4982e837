"""`?at=`: every GET answers as it would have answered then."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec
import pytest

from modeltrail.commands.deployments import ClusterReport, Report
from modeltrail.domain.ids import DeploymentId, ServiceId
from modeltrail.domain.inference_service_facts import RecordDrift, RecordInterruption, RecordReadiness
from modeltrail.domain.inference_service_messages import ConfirmUndeployment, FailDeployment, RecordApplied
from modeltrail.eventlog.log import lock_log
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.eventlog.selection import Selection
from modeltrail.projections import fold, past, past_streams
from modeltrail.projections.fold import FoldedRows
from modeltrail.projections.projection import Target
from modeltrail.workers.reports import WORKER
from support.api import Api, Json, Project, made, refusal
from support.cluster import eventually
from support.committing import connected
from support.database import Database
from support.following import bring_forward

WAITING = """SELECT count(*) FROM pg_locks
WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT granted"""
STEPS = 120
LOOKS = 400

Seen = dict[str, tuple[int, str | None, str]]
"""Status, ETag and body, by path."""


class History:
    """Changes a project at random, and remembers what the API said of it after each change."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project = project
        self.dice = random.Random(seed)
        self.ids: dict[str, list[str]] = {kind: [] for kind in ("models", "versions", "environments", "services")}
        self.served: set[str] = set()
        self.seen: dict[int, Seen] = {}

    def any(self, kind: str) -> str:
        return self.dice.choice(self.ids[kind] or [str(uuid4())])

    def name(self) -> str:
        return f"n{self.dice.randrange(6)}"

    async def live(self) -> None:
        """One change, which may be refused, and a look at everything."""
        await self.dice.choice(self._changes())()
        position = await self.project.services.pool.fetchval("SELECT max(notification_id) FROM stored_events")
        self.seen[position or 0] = {path: await self.look(path) for path in await self.paths()}

    async def look(self, path: str, at: object = None) -> tuple[int, str | None, str]:
        asked = path if at is None else f"{path}{'&' if '?' in path else '?'}at={at}"
        answer = await self.project.get(asked)
        return answer.status_code, answer.headers.get("etag"), answer.text

    async def paths(self) -> list[str]:
        served = await self.project.services.pool.fetch(
            "SELECT id FROM serve_models WHERE project_id = $1", self.project.id
        )
        self.served |= {str(row["id"]) for row in served}
        return [
            "/models",
            "/models?sort_by=name&order=asc&limit=2&offset=1",
            f"/models?sort_by=version_count&limit=2&offset={self.dice.randrange(5)}",
            "/model_versions?limit=3&offset=2&order=asc",
            "/inference_services?sort_by=labels&limit=1&offset=1",
            f"/models?search=n&state={self.dice.choice(['LIVE', 'ARCHIVED'])}",
            "/model_versions",
            "/model_artifacts",
            "/model_versions?status=READY",
            "/serving_environments",
            "/inference_services",
            "/inference_services?current_state=DEPLOYED",
            "/serve_models",
            f"/model?name={self.name()}",
            f"/model_version?name={self.name()}&parentResourceId={self.any('models')}",
            f"/model_artifact?name={self.name()}",
            f"/inference_service?name={self.name()}",
            f"/serving_environment?name={self.name()}",
            *(f"/models/{each}" for each in self.ids["models"]),
            *(f"/models/{each}/versions" for each in self.ids["models"]),
            *(f"/model_versions/{each}" for each in self.ids["versions"]),
            *(f"/model_artifacts/{each}" for each in self.ids["versions"]),
            *(f"/serving_environments/{each}" for each in self.ids["environments"]),
            *(f"/inference_services/{each}" for each in self.ids["services"]),
            *(f"/inference_services/{each}/timeline?limit=100" for each in self.ids["services"]),
            *(f"/serve_models?inference_service_id={each}" for each in self.ids["services"]),
            *(f"/serve_models/{each}" for each in sorted(self.served)),
            *(f"/inference_services?registered_model_id={each}" for each in self.ids["models"]),
            *(f"/inference_services?serving_environment_id={each}" for each in self.ids["environments"]),
            f"/inference_services?model_version_id={self.any('versions')}",
            f"/inference_services?model_version_id={self.any('versions')}&registered_model_id={self.any('models')}",
            f"/serve_models?model_version_id={self.any('versions')}",
        ]

    def _changes(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return [
            self._model,
            self._version,
            self._version,
            self._environment,
            self._service,
            self._deploy,
            self._patch,
            self._patch,
            self._patch,
            self._delete,
            self._report,
            self._report,
            self._report,
        ]

    async def _made(self, kind: str, path: str, body: Json) -> None:
        answer = await self.project.post(path, body, X_User_Email="ada@example.com")
        if answer.status_code in (201, 202):
            made = answer.json()
            self.ids[kind].append(made.get("inference_service", made)["id"])

    async def _model(self) -> None:
        parent = self.any("models") if self.ids["models"] and self.dice.random() < 0.3 else None
        body = {"name": self.name(), "owner_email": "ada@example.com", "parent_model_id": parent}
        await self._made("models", "/models", body)

    async def _version(self) -> None:
        body = {
            "name": self.name(),
            "model_framework": "sklearn",
            "model_framework_version": "1",
            "uri": "s3://models/iris",
            "created_by_email": "bob@example.com",
        }
        await self._made("versions", f"/models/{self.any('models')}/versions", body)
        if self.ids["versions"]:
            await self.project.patch(f"/model_versions/{self.ids['versions'][-1]}", {"status": "READY"})

    async def _environment(self) -> None:
        await self._made("environments", "/serving_environments", {"name": self.name()})

    async def _service(self) -> None:
        body = {
            "name": self.name(),
            "registered_model_id": self.any("models"),
            "serving_environment_id": self.any("environments"),
        }
        await self._made("services", "/inference_services", body)

    async def _deploy(self) -> None:
        body = {"registered_model_id": self.any("models"), "serving_environment_id": self.any("environments")}
        await self._made("services", "/deploy", body)

    async def _patch(self) -> None:
        path, body = self.dice.choice(
            [
                (f"/models/{self.any('models')}", {"name": self.name()}),
                (f"/models/{self.any('models')}", {"state": self.dice.choice(["LIVE", "ARCHIVED"])}),
                (f"/model_versions/{self.any('versions')}", {"name": self.name()}),
                (f"/model_versions/{self.any('versions')}", {"is_default": True}),
                (f"/model_versions/{self.any('versions')}", {"state": "ARCHIVED"}),
                (f"/serving_environments/{self.any('environments')}", {"name": self.name()}),
                (f"/inference_services/{self.any('services')}", {"labels": {"team": self.name()}}),
                (f"/inference_services/{self.any('services')}", {"model_version_id": self.any("versions")}),
                (f"/inference_services/{self.any('services')}", {"desired_state": "UNDEPLOYED"}),
                (f"/inference_services/{self.any('services')}", {"desired_state": "DEPLOYED"}),
            ]
        )
        await self.project.patch(path, body)

    async def _delete(self) -> None:
        path = self.dice.choice(
            [
                f"/models/{self.any('models')}",
                f"/inference_services/{self.any('services')}",
                f"/serving_environments/{self.any('environments')}",
                f"/serve_models/{self.dice.choice(sorted(self.served) or [str(uuid4())])}",
            ]
        )
        await self.project.delete(path)

    async def _report(self) -> None:
        service = self.any("services")
        row = await self.project.services.pool.fetchrow(
            "SELECT convert_from(state, 'UTF8')::json AS event, topic FROM stored_events"
            " WHERE originator_id = $1 AND topic LIKE '%deployment_requested' ORDER BY originator_version DESC LIMIT 1",
            UUID(service),
        )
        if row is None:
            return
        asked: Json = msgspec.json.decode(row["event"])
        if row["topic"].endswith(".undeployment_requested"):
            away = DeploymentId(UUID(asked["undeployment_id"]))
            await self._tell(service, ConfirmUndeployment(undeployment_id=away))
            return
        deployment = DeploymentId(UUID(asked["deployment_id"]))
        verdicts: list[ClusterReport] = [
            RecordApplied(deployment_id=deployment, external_id="uid-1"),
            FailDeployment(deployment_id=deployment, reason="OOMKilled", message="out of memory"),
            RecordInterruption(deployment_id=deployment, reason="NoReplicas", message="0 of 1 ready"),
            RecordReadiness(deployment_id=deployment, external_id="uid-1", url="http://iris.example"),
            RecordDrift(deployment_id=deployment, managers=("kubectl",), fields=(".spec.predictor",)),
        ]
        if self.dice.random() < 0.5:
            await self.project.confirm({"id": service})
        else:
            await self._tell(service, self.dice.choice(verdicts))

    async def _tell(self, service: str, news: ClusterReport) -> None:
        context = Context(self.project.id, uuid4(), "the-worker", WORKER)  # type: ignore[arg-type] # as in support.api
        await self.project.services.committer.submit(Report(ServiceId(UUID(service)), news), context)


@pytest.mark.parametrize(("seed", "part"), [(1, past_streams.PART), (2, 1), (3, 2)])
async def test_every_past_answer_is_the_one_that_was_given_then(
    project: Project, monkeypatch: pytest.MonkeyPatch, seed: int, part: int
) -> None:
    monkeypatch.setattr(past_streams, "PART", part)
    history = History(project, seed)
    for _ in range(STEPS):
        await history.live()
    given = [(at, path) for at, seen in history.seen.items() for path in seen]
    for at, path in history.dice.sample(given, min(LOOKS, len(given))):
        assert await history.look(path, at) == history.seen[at][path], f"{path} at {at}"


async def test_services_of_a_version_are_found_in_the_past_with_their_environment_as_it_was_called_then(
    project: Project,
) -> None:
    model = await project.model("iris")
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment())
    environment = f"/serving_environments/{service['serving_environment_id']}"
    first = await end_of(project)
    made(await project.patch(environment, {"name": "renamed"}), 200)
    last = await end_of(project)

    for column in ("model_version_id", "registered_model_id", "serving_environment_id"):
        found = [
            made(await project.get(f"/inference_services?{column}={service[column]}&at={at}"), 200)["items"]
            for at in (first, last)
        ]
        names = [[each["serving_environment_name"] for each in items] for items in found]
        assert names == [[service["serving_environment_name"]], ["renamed"]], column


async def end_of(project: Project) -> int:
    position: int = await project.services.pool.fetchval("SELECT max(notification_id) FROM stored_events")
    return position


async def test_what_is_gone_is_still_there_in_the_past(project: Project) -> None:
    model = await project.model("iris")
    then = await end_of(project)
    await project.patch(f"/models/{model['id']}", {"state": "ARCHIVED"})
    made(await project.delete(f"/models/{model['id']}"), 200)
    assert refusal(await project.get(f"/models/{model['id']}"))[0] == 404
    assert made(await project.get(f"/models/{model['id']}?at={then}"), 200)["state"] == "LIVE"
    assert made(await project.get(f"/model?name=iris&at={then}"), 200)["id"] == model["id"]
    assert made(await project.get(f"/models?at={then}"), 200)["total"] == 1


async def test_a_time_stands_for_all_that_was_recorded_by_then(project: Project) -> None:
    model = await project.model("iris")
    then: datetime = await project.services.pool.fetchval("SELECT max(recorded_at) FROM stored_events")
    await project.patch(f"/models/{model['id']}", {"name": "rose"})
    path = f"/models/{model['id']}"
    assert made(await project.get(f"{path}?at={quote(then.isoformat())}"), 200)["name"] == "iris"
    abroad = then.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert made(await project.get(f"{path}?at={abroad.isoformat()}"), 200)["name"] == "iris", "+ is a blank in queries"
    just_before = then - timedelta(microseconds=1)
    assert refusal(await project.get(f"{path}?at={quote(just_before.isoformat())}"))[0] == 404
    assert made(await project.get(f"{path}?at={quote(datetime.now(UTC).isoformat())}"), 200)["name"] == "rose"


@pytest.mark.parametrize("name", ["%61t", "a%74", "%61%74", "%41t"])
async def test_its_name_may_be_percent_encoded_like_every_other(project: Project, name: str) -> None:
    model = await project.model("iris")
    then = await end_of(project)
    await project.patch(f"/models/{model['id']}", {"name": "rose"})
    seen = "rose" if name == "%41t" else "iris"  # that is `At`, which nobody knows
    assert made(await project.get(f"/models/{model['id']}?{name}={then}"), 200)["name"] == seen
    assert made(await project.get(f"/model_versions?{name}={then}"), 200)["total"] == 0
    (listed,) = made(await project.get(f"/models?limit=1&{name}={then}"), 200)["items"]
    assert listed["name"] == seen
    (event, *_) = made(await project.get(f"/events?{name}={then}"), 200)["items"]
    assert (event["position"] == then) == (seen == "iris")


async def test_before_the_first_event_there_was_nothing(project: Project) -> None:
    await project.model("iris")
    assert made(await project.get("/models?at=0"), 200) == {"items": [], "total": 0, "page_size": 20, "next_offset": 0}
    assert made(await project.get("/models?at=1970-01-01T00:00:00Z"), 200)["items"] == []


@pytest.mark.parametrize(
    "at",
    [
        "yesterday",
        "-1",
        "1.5",
        "2026-03-03",
        "2026-03-03T14:05:00",
        "2026-13-03T14:05:00Z",
        "0001-01-01T00:00:00%2B23:00",
        "9999-12-31T23:59:59-23:00",
        "%00",
        "%ff",
        "2026-03-03T14:05:00Z%00",
        "2026-03-03T14:05:00Z%00garbage",
        "2026-03-03%0014:05:00Z",
        "2026-03-03%C3%A914:05:00Z",
        "\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
async def test_what_is_no_moment_is_refused(project: Project, at: str) -> None:
    for path in ("/models", f"/models/{uuid4()}", "/model?name=iris"):
        status, message = refusal(await project.get(f"{path}{'&' if '?' in path else '?'}at={at}"))
        assert (status, message) == (400, "invalid at: not a time such as 2026-03-03T14:05:00Z")


async def test_the_future_is_refused(project: Project) -> None:
    await project.model()
    end = await end_of(project)
    assert refusal(await project.get(f"/models?at={end + 1}")) == (
        400,
        f"invalid at: the log ends at position {end}",
    )
    assert refusal(await project.get(f"/models?at={'9' * 30}"))[0] == 400
    tomorrow = quote((datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert refusal(await project.get(f"/models?at={tomorrow}")) == (400, "invalid at: that time is still to come")


async def test_what_is_being_written_belongs_to_the_moment_that_it_is_dated(
    project: Project, database: Database
) -> None:
    await project.model("before")
    async with connected(database) as other:
        holding = other.transaction()
        await holding.start()
        await other.execute("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE")
        writing = asyncio.create_task(project.model("after"))
        await eventually(lambda: other.fetchval(WAITING))
        moment = quote(datetime.now(UTC).isoformat())
        asking = asyncio.create_task(project.get(f"/models?at={moment}"))
        await asyncio.wait([asking], timeout=0.5)  # it may answer now, or when the writer is done
        await holding.rollback()
    await writing

    assert (await asking).json() == (await project.get(f"/models?at={moment}")).json()


async def test_a_moment_of_which_much_is_still_being_written_is_refused(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "LOOKS", 2)
    await project.model()
    position = await end_of(project)
    async with connected(database) as other:
        await lock_log(other, held=False)
        answer = await project.get(f"/models?at={quote(datetime.now(UTC).isoformat())}")

        assert refusal(answer) == (503, "what happened then is still being written; try again")
        assert answer.headers["retry-after"] == "1"
        assert (await project.get(f"/models?at={position}")).status_code == 200


async def test_the_past_of_another_project_is_not_told(api: Api, project: Project) -> None:
    model = await project.model("iris")
    version = await project.version(model)
    then, stranger = await end_of(project), api.project()
    for path in (
        f"/models/{model['id']}",
        f"/model_versions/{version['id']}",
        f"/models/{model['id']}/versions/{version['id']}",
        "/model?name=iris",
        f"/model?externalId={model['id']}",
    ):
        asked = f"{path}{'&' if '?' in path else '?'}at={then}"
        assert (await project.get(asked)).status_code == 200
        assert (await stranger.get(asked)).status_code == 404
    for path in ("/models", "/model_versions", f"/models/{model['id']}/versions"):
        assert made(await stranger.get(f"{path}?at={then}"), 200)["total"] == 0


async def test_an_answer_from_the_past_has_the_revision_of_then(project: Project) -> None:
    model = await project.model("iris")
    then = await end_of(project)
    await project.patch(f"/models/{model['id']}", {"name": "rose"})
    path = f"/models/{model['id']}?at={then}"
    assert (await project.get(path)).headers["etag"] == '"1"'
    assert (await project.get(path, If_None_Match='"1"')).status_code == 304
    assert (await project.get(path, If_None_Match='"2"')).status_code == 200


async def test_changes_take_no_notice_of_a_moment(project: Project) -> None:
    model = await project.model("iris")
    answer = made(await project.patch(f"/models/{model['id']}?at=0", {"name": "rose"}), 200)
    assert answer["name"] == "rose"


async def test_who_waits_too_long_for_others_who_ask_about_the_past_is_told_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "PATIENCE", 0.05, raising=False)
    model = await project.model("iris")
    then, begun, end = await end_of(project), asyncio.Event(), asyncio.Event()

    async def long(_reader: past.PastReader, _selection: Selection) -> None:
        begun.set()
        await end.wait()

    with monkeypatch.context() as patched:
        patched.setattr(past.PastReader, "_check_size", long)
        first = asyncio.create_task(project.get(f"/models?at={then}"))
        await begun.wait()
        async with asyncio.timeout(10):
            waited = await project.get(f"/models?at={then}")
            assert (await project.get(f"/models/{model['id']}?at={then}")).status_code == 200
        end.set()
        assert (await first).status_code == 200

    assert refusal(waited) == (503, "other questions about the past are being answered; try again")
    assert waited.headers["retry-after"] == "1"
    assert (await project.get(f"/models?at={then}")).status_code == 200


async def test_a_past_that_would_take_too_long_is_refused_with_the_way_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await project.model("iris")
    for number in range(3):
        await project.version(model, f"v{number}")
    then = await end_of(project)
    monkeypatch.setattr("modeltrail.projections.past.MOST", 2)
    for path in ("/model_versions", "/model?name=iris", "/search?q=v1"):
        status, message = refusal(await project.get(f"{path}{'&' if '?' in path else '?'}at={then}"))
        assert status == 400
        assert message.startswith(
            "invalid at: this takes more than 2 events of the project's past; ask for one resource"
        )
    for path in (f"/models/{model['id']}", f"/models/{model['id']}/versions", "/serving_environments"):
        assert made(await project.get(f"{path}?at={then}"), 200), path


async def test_a_past_list_holds_a_part_of_the_rows_in_memory_at_a_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        await project.version(await project.model(f"n{number:02}"), "v1")
    then = await end_of(project)
    monkeypatch.setattr(past_streams, "PART", 3)
    most = 0

    class Measured(FoldedRows):
        def take(self, targets: Iterable[Target], recorded: Recorded) -> None:
            nonlocal most
            super().take(targets, recorded)
            most = max(most, len(self.rows))

    monkeypatch.setattr(fold, "FoldedRows", Measured)
    for path in ("/models", "/model_versions", "/model?name=n07", "/search?q=v1"):
        most = 0
        made(await project.get(f"{path}{'&' if '?' in path else '?'}at={then}"), 200)
        assert 0 < most <= 3, path


@pytest.mark.parametrize("offset", [11, 12, 2**63 - 1])
async def test_a_past_page_may_be_the_last_or_beyond(
    project: Project, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    for number in range(12):
        await project.model(f"n{number:02}")
    then = await end_of(project)
    monkeypatch.setattr(past_streams, "PART", 5)
    path = f"/models?sort_by=name&order=asc&limit=3&offset={offset}"
    assert (await project.get(f"{path}&at={then}")).text == (await project.get(path)).text


async def test_a_past_search_of_many_parts_has_the_best_first(
    project: Project, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    for number in range(6):
        made(await project.post("/models", {"name": f"m{number}", "description": "churn " * number}), 201)
    made(await project.post("/models", {"name": "churn"}), 201)
    await bring_forward(database)
    then = await end_of(project)
    monkeypatch.setattr(past_streams, "PART", 2)
    for path in ("/search?q=churn&limit=3", "/search?q=churn&limit=2&offset=2", "/search?q=nothing"):
        assert (await project.get(f"{path}&at={then}")).text == (await project.get(path)).text, path
