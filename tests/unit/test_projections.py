"""What each event makes of the rows that GETs serve: (row, event) to row, without a database."""

import json
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.ids import ServiceId, VersionId, serve_model_id
from modeltrail.domain.inference_service_messages import DeploymentFailed, DeploymentSucceeded, Undeployed
from modeltrail.domain.model_version_messages import (
    ArtifactRevised,
    VersionArchived,
    VersionDeleted,
    VersionDescribed,
    VersionEvent,
    VersionMarkedFailed,
    VersionMarkedPending,
    VersionMarkedReady,
    VersionRelabelled,
    VersionRenamed,
    VersionRestored,
)
from modeltrail.domain.personal import Personal
from modeltrail.domain.registered_model_messages import (
    DeploymentStatus,
    DeploymentStatusDeclared,
    ModelArchived,
    ModelDescribed,
    ModelEvent,
    ModelReclassified,
    ModelRelabelled,
    ModelRenamed,
    ModelRestored,
    ModelRetagged,
    ModelSizeRecorded,
    Tags,
)
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.projections.catalogue import ALL
from modeltrail.projections.deployment_tasks import DEPLOYMENT_TASKS, ToApply, ToDelete
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.projection import Projection
from modeltrail.projections.serve_models import SERVE_MODELS
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS
from modeltrail.projections.version_body import without_people
from support.fold import Fold
from support.samples import (
    ARTIFACT,
    CREATED,
    ENVIRONMENT,
    ENVIRONMENT_CREATED,
    FIRST,
    MODEL,
    MODEL_ORIGIN,
    NOON,
    OTHER_SERVICE,
    OTHER_VERSION,
    PROJECT,
    REGISTERED,
    SECOND,
    SERVICE,
    TAKEN_OVER,
    THIRD,
    VERSION,
    VERSION_REGISTERED,
    VERSION_TAKEN_OVER,
    applied,
    default_moved,
    failed,
    requested,
    succeeded,
    undeployed,
    undeployment_requested,
)

ADA = Personal(UUID(int=1), b"box", "ada@example.com")
ERASED = Personal(UUID(int=1), b"box", None)
CONTEXT = Context(PROJECT, UUID(int=0xC), "req-1")
MINUTE = timedelta(minutes=1)


def after(*happened: tuple[UUID, AnyEvent]) -> Fold:
    """All read tables after these events, the first at noon and the others a minute apart."""
    versions: dict[UUID, count[int]] = {}
    return Fold(*ALL).over(
        Recorded(
            position=position,
            stream=stream,
            version=next(versions.setdefault(stream, count(1))),
            event=event,
            recorded_at=NOON + (position - 1) * MINUTE,
            context=CONTEXT,
        )
        for position, (stream, event) in enumerate(happened, start=1)
    )


def column(projection: Projection[Any], row: object, name: str) -> Any:  # Any: each column has its own type
    (wanted,) = (column for column in projection.all_columns if column.name == name)
    return wanted.value(row)


def wire(projection: Projection[Any], row: object) -> Any:  # Any: JSON
    return json.loads(column(projection, row, "body"))


MODEL_IS_THERE: tuple[UUID, AnyEvent] = (MODEL, REGISTERED)
VERSION_IS_THERE: tuple[UUID, AnyEvent] = (VERSION, VERSION_REGISTERED)
OTHER_VERSION_IS_THERE: tuple[UUID, AnyEvent] = (OTHER_VERSION, structs.replace(VERSION_REGISTERED, name="v2"))
SERVICE_IS_THERE: tuple[UUID, AnyEvent] = (SERVICE, CREATED)
OTHER_SERVICE_IS_THERE: tuple[UUID, AnyEvent] = (OTHER_SERVICE, structs.replace(CREATED, name="iris-2"))


# --- models -----------------------------------------------------------------------------------------------


def test_a_registered_model_is_shown_in_the_order_of_the_wire() -> None:
    row = after(MODEL_IS_THERE).row(MODELS, MODEL)

    assert list(wire(MODELS, row).items()) == [
        ("id", str(MODEL)),
        ("created_at", "2026-02-10T12:00:00Z"),
        ("updated_at", "2026-02-10T12:00:00Z"),
        ("project_id", str(PROJECT)),
        ("owner_id", None),
        ("name", "Iris Flowers"),
        ("slug", "iris-flowers"),
        ("description", "tells flowers apart"),
        ("model_type", "CUSTOMTRAIN"),
        ("model_size", 0),
        ("state", "LIVE"),
        ("deployment_status", "UNDEPLOYED"),
        ("tags", {"frameworks": ["sklearn"], "architectures": [], "tasks": [], "subjects": []}),
        ("labels", {"team": "botany"}),
        ("parent_model_id", None),
        ("version_count", 0),
    ]


def test_a_models_owner_is_shown_while_the_key_exists() -> None:
    row = after((MODEL, structs.replace(REGISTERED, owner_email=ADA))).row(MODELS, MODEL)

    assert wire(MODELS, row)["owner_email"] == "ada@example.com"


def test_a_models_owner_is_left_out_once_erased() -> None:
    row = after((MODEL, structs.replace(REGISTERED, owner_email=ERASED))).row(MODELS, MODEL)

    assert "owner_email" not in wire(MODELS, row)


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (ModelRenamed(name="Irises", previous_name="Iris Flowers"), {"name": "Irises"}),
        (ModelDescribed(description="new"), {"description": "new"}),
        (ModelReclassified(model_type="LLM"), {"model_type": "LLM"}),
        (ModelSizeRecorded(model_size=2**40), {"model_size": 2**40}),
        (ModelArchived(), {"state": "ARCHIVED"}),
        (ModelRestored(), {}),
        (DeploymentStatusDeclared(deployment_status=DeploymentStatus.FAILED), {"deployment_status": "FAILED"}),
        (
            ModelRetagged(tags=Tags(tasks=("vision",))),
            {"tags": {"frameworks": [], "architectures": [], "tasks": ["vision"], "subjects": []}},
        ),
        (ModelRelabelled(labels={"a": "b"}), {"labels": {"a": "b"}}),
    ],
)
def test_a_change_of_a_model_changes_its_field_and_its_time(event: ModelEvent, changed: dict[str, object]) -> None:
    before = after(MODEL_IS_THERE).row(MODELS, MODEL)
    row = after(MODEL_IS_THERE, (MODEL, event)).row(MODELS, MODEL)

    assert wire(MODELS, row) == {**wire(MODELS, before), **changed, "updated_at": "2026-02-10T12:01:00Z"}
    assert (row.created_at, row.updated_at) == (NOON, NOON + MINUTE)


def test_the_slug_stays_when_the_name_changes() -> None:
    row = after(MODEL_IS_THERE, (MODEL, ModelRenamed(name="Irises", previous_name="Iris Flowers"))).row(MODELS, MODEL)

    assert wire(MODELS, row)["slug"] == "iris-flowers"


def test_a_restored_model_is_live() -> None:
    row = after(MODEL_IS_THERE, (MODEL, ModelArchived()), (MODEL, ModelRestored())).row(MODELS, MODEL)

    assert (row.body.state, column(MODELS, row, "state")) == ("LIVE", "LIVE")


def test_a_model_counts_its_versions_and_shows_the_newest() -> None:
    row = after(MODEL_IS_THERE, VERSION_IS_THERE, OTHER_VERSION_IS_THERE).row(MODELS, MODEL)

    assert (row.body.version_count, row.latest_version_id) == (2, OTHER_VERSION)


def test_a_new_version_leaves_the_models_time_alone() -> None:
    row = after(MODEL_IS_THERE, VERSION_IS_THERE).row(MODELS, MODEL)

    assert (row.updated_at, row.body.updated_at) == (NOON, "2026-02-10T12:00:00Z")


def test_a_change_of_a_version_moves_the_models_revision() -> None:
    row = after(MODEL_IS_THERE, VERSION_IS_THERE, (VERSION, VersionMarkedReady(registered_model_id=MODEL))).row(
        MODELS, MODEL
    )

    assert (row.revision, row.position) == (3, 3)


def test_a_default_moves_on_the_model_and_on_both_versions() -> None:
    tables = after(
        MODEL_IS_THERE,
        VERSION_IS_THERE,
        OTHER_VERSION_IS_THERE,
        (MODEL, default_moved(VERSION)),
        (MODEL, default_moved(OTHER_VERSION, VERSION)),
    )

    assert tables.row(MODELS, MODEL).default_version_id == OTHER_VERSION
    assert {id_: row.body.is_default for id_, row in tables.rows(MODEL_VERSIONS).items()} == {
        VERSION: False,
        OTHER_VERSION: True,
    }


def test_a_cleared_default_leaves_none() -> None:
    tables = after(
        MODEL_IS_THERE, VERSION_IS_THERE, (MODEL, default_moved(VERSION)), (MODEL, default_moved(None, VERSION))
    )

    assert tables.row(MODELS, MODEL).default_version_id is None
    assert tables.row(MODEL_VERSIONS, VERSION).body.is_default is False


def test_a_model_knows_its_latest_version_and_a_default_that_was_the_latest() -> None:
    row = after(MODEL_IS_THERE, VERSION_IS_THERE, (MODEL, default_moved(VERSION)), OTHER_VERSION_IS_THERE).row(
        MODELS, MODEL
    )

    assert (row.default_version.id, row.default_version.is_default) == (VERSION, True)
    assert (row.latest_version.id, row.latest_version.is_default) == (OTHER_VERSION, False)


def test_a_model_does_not_know_a_default_that_was_not_the_latest() -> None:
    row = after(
        MODEL_IS_THERE,
        VERSION_IS_THERE,
        OTHER_VERSION_IS_THERE,
        (MODEL, default_moved(VERSION)),
        (VERSION, VersionMarkedReady(registered_model_id=MODEL)),
    ).row(MODELS, MODEL)

    assert (row.default_version_id, row.default_version) == (VERSION, None)
    assert MODELS.document_of(row) is None, "it is to be looked up"


def test_a_model_forgets_a_version_that_is_deleted() -> None:
    row = after(MODEL_IS_THERE, VERSION_IS_THERE, (VERSION, VersionDeleted(registered_model_id=MODEL, name="v1"))).row(
        MODELS, MODEL
    )

    assert (row.latest_version_id, row.latest_version) == (VERSION, None)


def test_a_model_names_nobody_who_made_its_versions() -> None:
    row = after(
        MODEL_IS_THERE,
        (VERSION, structs.replace(VERSION_REGISTERED, created_by_email=ADA, updated_by_email=ADA)),
        (MODEL, default_moved(VERSION)),
    ).row(MODELS, MODEL)

    assert b"@" not in column(MODELS, row, "latest_version") + column(MODELS, row, "default_version")


@pytest.mark.parametrize("seed", range(20))
def test_what_a_model_knows_of_a_version_is_what_the_version_is(seed: int) -> None:
    chance = Random(seed)
    happened: list[tuple[UUID, AnyEvent]] = [(MODEL, TAKEN_OVER) if seed % 2 else MODEL_IS_THERE]
    versions: list[VersionId] = []
    for number in range(60):
        happened.append(_something(chance, versions, number))
        tables = after(*happened)
        row, shown = tables.row(MODELS, MODEL), tables.rows(MODEL_VERSIONS)
        for id_, known in (
            (row.latest_version_id, row.latest_version),
            (row.default_version_id, row.default_version),
        ):
            assert known is None or (known.id == id_ and known == without_people(shown[id_].body))
        assert row.latest_version is not None or row.latest_version_id not in shown


def _something(chance: Random, versions: list[VersionId], number: int) -> tuple[UUID, AnyEvent]:
    version = chance.choice(versions) if versions else None
    kind = chance.randrange(8)
    if version is None or kind == 0:
        versions.append(VersionId(UUID(int=number + 1000)))
        return versions[-1], structs.replace(VERSION_REGISTERED, name=f"v{number}", created_by_email=ADA)
    if kind == 1:
        id_ = chance.choice((version, OTHER_VERSION))
        is_again, is_latest = id_ in versions, chance.random() < 0.5
        if not is_again:
            versions.append(id_)
        return id_, structs.replace(VERSION_TAKEN_OVER, is_again=is_again, is_latest=is_latest or not versions[:-1])
    if kind == 2:
        versions.remove(version)
        return version, VersionDeleted(registered_model_id=MODEL, name="v")
    if kind == 3:
        return MODEL, default_moved(chance.choice((version, None)), chance.choice(versions))
    if kind == 4:
        return MODEL, structs.replace(TAKEN_OVER, origin=structs.replace(MODEL_ORIGIN, default_version_id=version))
    return version, chance.choice(
        (
            VersionMarkedReady(registered_model_id=MODEL),
            VersionArchived(registered_model_id=MODEL),
            VersionDescribed(registered_model_id=MODEL, description=f"{number}"),
        )
    )


def test_an_event_of_a_model_that_is_gone_makes_no_row() -> None:
    assert after((MODEL, ModelArchived()), VERSION_IS_THERE).rows(MODELS) == {}


@pytest.mark.parametrize(
    ("happened", "status"),
    [
        ([], "UNDEPLOYED"),
        ([(SERVICE, succeeded())], "DEPLOYED"),
        ([(SERVICE, failed())], "FAILED"),
        ([(SERVICE, succeeded()), (SERVICE, undeployed())], "UNDEPLOYED"),
        ([(SERVICE, succeeded()), (OTHER_SERVICE, succeeded()), (SERVICE, undeployed())], "DEPLOYED"),
        ([(SERVICE, succeeded()), (OTHER_SERVICE, failed())], "FAILED"),
        ([(SERVICE, succeeded()), (OTHER_SERVICE, failed()), (OTHER_SERVICE, undeployed())], "DEPLOYED"),
        ([(SERVICE, failed()), (SERVICE, undeployed())], "UNDEPLOYED"),
        ([(SERVICE, failed()), (SERVICE, succeeded())], "DEPLOYED"),
        ([(SERVICE, succeeded()), (SERVICE, succeeded(SECOND)), (SERVICE, undeployed())], "UNDEPLOYED"),
        (
            [
                (SERVICE, succeeded()),
                (OTHER_SERVICE, succeeded()),
                (OTHER_SERVICE, undeployed()),
                (SERVICE, undeployed()),
            ],
            "UNDEPLOYED",
        ),
    ],
    ids=[
        "nothing deployed",
        "one serves",
        "the only one failed",
        "the only one is gone",
        "one of two is gone",
        "one of two failed",
        "the failed one is gone",
        "failed and gone",
        "failed, then serves",
        "rolled out, then gone",
        "both are gone",
    ],
)
def test_a_models_status_follows_all_its_services(
    happened: list[tuple[UUID, DeploymentSucceeded | DeploymentFailed | Undeployed]], status: str
) -> None:
    row = after(MODEL_IS_THERE, *happened).row(MODELS, MODEL)

    assert row.body.deployment_status == status


def test_a_single_model_shows_its_latest_and_default_version() -> None:
    record: Any = {"body": b'{"id":1}', "latest": b'{"id":2}', "default": b'{"id":3}'}  # Any: stands for a Record

    assert json.loads(MODELS.document(record)) == {"id": 1, "latest_version": {"id": 2}, "default_version": {"id": 3}}


def test_a_single_model_leaves_out_the_versions_that_it_has_not() -> None:
    record: Any = {"body": b'{"id":1}', "latest": None, "default": None}  # Any: the same

    assert MODELS.document(record) == b'{"id":1}'


# --- versions ---------------------------------------------------------------------------------------------


def test_a_registered_version_is_shown_in_the_order_of_the_wire() -> None:
    row = after(VERSION_IS_THERE).row(MODEL_VERSIONS, VERSION)

    assert list(wire(MODEL_VERSIONS, row).items()) == [
        ("id", str(VERSION)),
        ("created_at", "2026-02-10T12:00:00Z"),
        ("updated_at", "2026-02-10T12:00:00Z"),
        ("registered_model_id", str(MODEL)),
        ("name", "v1"),
        ("description", "the first one"),
        ("is_default", False),
        ("state", "LIVE"),
        ("status", "PENDING"),
        ("created_by_id", None),
        ("updated_by_id", None),
        ("artifact_type", "model-artifact"),
        ("model_framework", "sklearn"),
        ("model_framework_version", "1.4"),
        ("container_image", "registry.example/serve:1"),
        ("model_catalog_name", "flowers"),
        ("uri", "s3://models/iris/1"),
        ("labels", {"run": "17"}),
        ("prebuilt_container_id", None),
    ]


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (VersionRenamed(registered_model_id=MODEL, name="v2", previous_name="v1"), {"name": "v2"}),
        (VersionDescribed(registered_model_id=MODEL, description="new"), {"description": "new"}),
        (VersionArchived(registered_model_id=MODEL), {"state": "ARCHIVED"}),
        (VersionRestored(registered_model_id=MODEL), {}),
        (VersionMarkedReady(registered_model_id=MODEL), {"status": "READY"}),
        (VersionMarkedFailed(registered_model_id=MODEL), {"status": "FAILED"}),
        (VersionMarkedPending(registered_model_id=MODEL), {}),
        (
            ArtifactRevised(registered_model_id=MODEL, artifact=structs.replace(ARTIFACT, uri="s3://new")),
            {"uri": "s3://new"},
        ),
        (VersionRelabelled(registered_model_id=MODEL, labels={}), {"labels": {}}),
    ],
)
def test_a_change_of_a_version_changes_its_field_and_its_time(event: VersionEvent, changed: dict[str, object]) -> None:
    before = after(VERSION_IS_THERE).row(MODEL_VERSIONS, VERSION)
    row = after(VERSION_IS_THERE, (VERSION, event)).row(MODEL_VERSIONS, VERSION)

    assert wire(MODEL_VERSIONS, row) == {
        **wire(MODEL_VERSIONS, before),
        **changed,
        "updated_at": "2026-02-10T12:01:00Z",
    }
    assert row.updated_at == NOON + MINUTE


def test_a_version_of_somebody_has_a_brief_without_people() -> None:
    row = after((VERSION, structs.replace(VERSION_REGISTERED, created_by_email=ADA, updated_by_email=ADA))).row(
        MODEL_VERSIONS, VERSION
    )
    brief = json.loads(column(MODEL_VERSIONS, row, "brief"))

    assert wire(MODEL_VERSIONS, row) == {
        **brief,
        "created_by_email": "ada@example.com",
        "updated_by_email": "ada@example.com",
    }
    assert not {"created_by_email", "updated_by_email"} & brief.keys()


def test_a_version_of_nobody_needs_no_brief() -> None:
    assert column(MODEL_VERSIONS, after(VERSION_IS_THERE).row(MODEL_VERSIONS, VERSION), "brief") is None


# --- environments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("external_id", "shown"), [("", {}), ("team-a", {"external_id": "team-a"})])
def test_an_environment_is_shown_with_the_namespace_it_names(external_id: str, shown: dict[str, str]) -> None:
    row = after((ENVIRONMENT, structs.replace(ENVIRONMENT_CREATED, external_id=external_id))).row(
        SERVING_ENVIRONMENTS, ENVIRONMENT
    )

    assert wire(SERVING_ENVIRONMENTS, row) == {
        "id": str(ENVIRONMENT),
        "created_at": "2026-02-10T12:00:00.250000Z",
        "updated_at": "2026-02-10T12:00:00.250000Z",
        "project_id": str(PROJECT),
        "name": "prod",
        "description": "where customers are",
        **shown,
    }


# --- services ---------------------------------------------------------------------------------------------


def test_a_new_service_is_to_be_deployed_and_is_not() -> None:
    row = after(SERVICE_IS_THERE).row(INFERENCE_SERVICES, SERVICE)

    assert list(wire(INFERENCE_SERVICES, row).items()) == [
        ("id", str(SERVICE)),
        ("created_at", "2026-02-10T12:00:00.250000Z"),
        ("updated_at", "2026-02-10T12:00:00.250000Z"),
        ("project_id", str(PROJECT)),
        ("name", "iris"),
        ("serving_environment_id", str(ENVIRONMENT)),
        ("serving_environment_name", "prod"),
        ("registered_model_id", str(MODEL)),
        ("registered_model_name", "Iris Flowers"),
        ("model_version_id", str(VERSION)),
        ("desired_state", "DEPLOYED"),
        ("current_state", "UNDEPLOYED"),
        ("runtime", "kserve"),
        ("labels", {"team": "botany"}),
    ]
    assert row.served_models == ()


def service_after(*events: AnyEvent) -> Any:  # Any: a row of the table
    return after(SERVICE_IS_THERE, *((SERVICE, event) for event in events)).row(INFERENCE_SERVICES, SERVICE)


def shown_after(*events: AnyEvent) -> dict[str, object]:
    """What the cluster's answers show on a service."""
    body = wire(INFERENCE_SERVICES, service_after(*events))
    names = ("desired_state", "current_state", "external_id", "url", "last_error", "model_version_id")
    return {name: body[name] for name in names if name in body}


def test_a_deployed_service_shows_where_it_is() -> None:
    assert shown_after(requested(), applied(), succeeded()) == {
        "desired_state": "DEPLOYED",
        "current_state": "DEPLOYED",
        "external_id": "uid-1",
        "url": "http://iris",
        "model_version_id": str(VERSION),
    }


def test_a_service_without_an_address_shows_none() -> None:
    assert "url" not in shown_after(requested(), succeeded(url=""))


def test_an_applied_service_shows_its_object_before_it_is_ready() -> None:
    assert shown_after(requested(), applied()) == {
        "desired_state": "DEPLOYED",
        "current_state": "UNDEPLOYED",
        "external_id": "uid-1",
        "model_version_id": str(VERSION),
    }


def test_a_failed_service_shows_why() -> None:
    assert shown_after(requested(), failed())["last_error"] == "the model does not load"


def test_a_new_request_clears_the_last_error() -> None:
    assert "last_error" not in shown_after(requested(), failed(), requested(SECOND))


def test_a_failed_roll_out_leaves_the_service_deployed() -> None:
    shown = shown_after(requested(), succeeded(), requested(SECOND, OTHER_VERSION), failed(SECOND, OTHER_VERSION))

    assert (shown["current_state"], shown["url"]) == ("DEPLOYED", "http://iris")


def test_an_undeployment_is_wished_before_it_is_done() -> None:
    shown = shown_after(requested(), succeeded(), undeployment_requested())

    assert (shown["desired_state"], shown["current_state"]) == ("UNDEPLOYED", "DEPLOYED")


def test_an_undeployed_service_shows_no_object() -> None:
    assert shown_after(requested(), succeeded(), undeployment_requested(), undeployed()) == {
        "desired_state": "UNDEPLOYED",
        "current_state": "UNDEPLOYED",
        "model_version_id": str(VERSION),
    }


@pytest.mark.parametrize(
    ("events", "served"),
    [
        ([], {}),
        ([requested()], {VERSION: "PENDING"}),
        ([requested(), applied()], {VERSION: "PENDING"}),
        ([requested(), succeeded()], {VERSION: "RUNNING"}),
        ([requested(), failed()], {VERSION: "FAILED"}),
        ([requested(), failed(), requested(SECOND)], {VERSION: "PENDING"}),
        ([requested(), succeeded(), requested(SECOND, OTHER_VERSION)], {VERSION: "RUNNING", OTHER_VERSION: "PENDING"}),
        (
            [requested(), succeeded(), requested(SECOND, OTHER_VERSION), failed(SECOND, OTHER_VERSION)],
            {VERSION: "RUNNING", OTHER_VERSION: "FAILED"},
        ),
        (
            [requested(), succeeded(), requested(SECOND, OTHER_VERSION), succeeded(SECOND, OTHER_VERSION)],
            {OTHER_VERSION: "RUNNING"},
        ),
        ([requested(), succeeded(), undeployment_requested()], {VERSION: "RUNNING"}),
        ([requested(), succeeded(), undeployment_requested(), undeployed()], {}),
    ],
    ids=[
        "created",
        "requested",
        "applied",
        "serves",
        "failed",
        "asked again",
        "rolling out",
        "roll-out failed",
        "rolled out",
        "undeploying",
        "gone",
    ],
)
def test_a_service_keeps_a_serve_model_for_each_version(events: list[AnyEvent], served: dict[UUID, str]) -> None:
    row = service_after(*events)

    assert {each.model_version_id: each.last_known_state for each in row.served_models} == served


def test_a_serve_model_asked_for_again_keeps_its_identity_and_creation() -> None:
    (first,) = service_after(requested()).served_models
    (again,) = service_after(requested(), failed(), requested(SECOND)).served_models

    assert again.id == first.id == serve_model_id(ServiceId(SERVICE), VERSION)
    assert (again.created_at, again.updated_at) == (first.created_at, "2026-02-10T12:03:00.250000Z")


def test_a_single_service_shows_its_serve_models() -> None:
    record: Any = {"body": b'{"id":1}', "served_models": b"[2]"}  # Any: stands for a Record

    assert json.loads(INFERENCE_SERVICES.document(record)) == {"id": 1, "served_models": [2]}


def test_a_renamed_model_is_renamed_on_all_its_services_and_on_no_other() -> None:
    stranger = UUID(int=0x77)
    tables = after(
        MODEL_IS_THERE,
        SERVICE_IS_THERE,
        OTHER_SERVICE_IS_THERE,
        (stranger, structs.replace(CREATED, registered_model_id=UUID(int=0x78), name="other")),
        (MODEL, ModelRenamed(name="Irises", previous_name="Iris Flowers")),
    )

    assert {id_: row.body.registered_model_name for id_, row in tables.rows(INFERENCE_SERVICES).items()} == {
        SERVICE: "Irises",
        OTHER_SERVICE: "Irises",
        stranger: "Iris Flowers",
    }


def names_shown(tables: Fold) -> tuple[set[str], set[str]]:
    """The names of versions, as the single service shows them and as its serve models do."""
    served = tables.row(INFERENCE_SERVICES, SERVICE).served_models
    rows = tables.rows(SERVE_MODELS).values()
    return {each.model_version_name for each in served}, {row.body.model_version_name for row in rows}


@pytest.mark.parametrize("version", [VERSION, OTHER_VERSION], ids=["replaced", "new"])
def test_a_service_shows_the_new_name_of_each_version_that_it_serves(version: VersionId) -> None:
    renamed = VersionRenamed(registered_model_id=MODEL, name="renamed", previous_name="v1")
    tables = after(
        SERVICE_IS_THERE,
        *((SERVICE, event) for event in (requested(), succeeded(), requested(SECOND, OTHER_VERSION))),
        (version, renamed),
    )

    shown, listed = names_shown(tables)

    assert shown == listed
    assert "renamed" in shown


@pytest.mark.parametrize(("since", "status"), [((), "FAILED"), ((succeeded(),), "DEPLOYED")], ids=["idle", "live"])
def test_a_model_that_is_taken_over_once_more_keeps_its_status_while_it_is_live(
    since: tuple[AnyEvent, ...], status: str
) -> None:
    again = structs.replace(TAKEN_OVER, origin=structs.replace(MODEL_ORIGIN, deployment_status="FAILED"))
    happened = [(MODEL, TAKEN_OVER), *((SERVICE, event) for event in since), (MODEL, again)]

    assert after(*happened).row(MODELS, MODEL).body.deployment_status == status


def test_what_is_taken_over_once_more_is_shown_under_its_new_name() -> None:
    origin = structs.replace(VERSION_TAKEN_OVER.origin, name="renamed")
    tables = after(
        (MODEL, TAKEN_OVER),
        (VERSION, VERSION_TAKEN_OVER),
        SERVICE_IS_THERE,
        (SERVICE, requested()),
        (MODEL, structs.replace(TAKEN_OVER, origin=structs.replace(MODEL_ORIGIN, name="Irises"))),
        (VERSION, structs.replace(VERSION_TAKEN_OVER, origin=origin, is_again=True)),
    )

    assert tables.row(INFERENCE_SERVICES, SERVICE).body.registered_model_name == "Irises"
    assert names_shown(tables) == ({"renamed"}, {"renamed"})


# --- tasks of the deploy worker ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([], None),
        ([requested()], ToApply),
        ([requested(), applied()], ToApply),
        ([requested(), succeeded()], None),
        ([requested(), failed()], None),
        ([requested(), undeployment_requested()], ToDelete),
        ([requested(), succeeded(), undeployment_requested()], ToDelete),
        ([requested(), succeeded(), undeployment_requested(), undeployed()], None),
        ([requested(), succeeded(), requested(SECOND)], ToApply),
    ],
    ids=["created", "requested", "applied", "serves", "failed", "called off", "undeploying", "gone", "asked again"],
)
def test_a_task_is_there_while_an_answer_is_missing(events: list[AnyEvent], kind: type | None) -> None:
    row = after(SERVICE_IS_THERE, *((SERVICE, event) for event in events)).row(DEPLOYMENT_TASKS, SERVICE)

    assert (type(row.task) if row else None) is kind


def test_a_task_holds_all_that_was_requested() -> None:
    row = after(SERVICE_IS_THERE, (SERVICE, requested())).row(DEPLOYMENT_TASKS, SERVICE)

    assert row.task == ToApply(**structs.asdict(requested()), applied=False)
    assert (row.requested_position, row.request_id, row.project_id) == (2, "req-1", PROJECT)


def test_an_applied_task_stays_the_task_of_its_request() -> None:
    row = after(SERVICE_IS_THERE, (SERVICE, requested()), (SERVICE, applied())).row(DEPLOYMENT_TASKS, SERVICE)

    assert (row.task.applied, row.requested_position, row.position) == (True, 2, 3)


def test_a_new_request_takes_the_place_of_the_task_before() -> None:
    row = after(SERVICE_IS_THERE, (SERVICE, requested(FIRST)), (SERVICE, applied()), (SERVICE, requested(SECOND))).row(
        DEPLOYMENT_TASKS, SERVICE
    )

    assert (row.task.deployment_id, row.task.applied, row.requested_position) == (SECOND, False, 4)


def test_a_task_to_delete_says_what_and_where() -> None:
    row = after(SERVICE_IS_THERE, (SERVICE, requested()), (SERVICE, undeployment_requested())).row(
        DEPLOYMENT_TASKS, SERVICE
    )

    assert row.task == ToDelete(undeployment_id=THIRD, name="iris", namespace="prod", external_id="uid-1")


# --- all of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: str(projection.name))
def test_a_row_survives_its_own_columns(projection: Projection[Any]) -> None:
    """What the table holds is all that a row is: nothing of it is lost between two batches."""
    tables = after(
        (MODEL, structs.replace(REGISTERED, owner_email=ADA)),
        (VERSION, structs.replace(VERSION_REGISTERED, created_by_email=ADA)),
        (MODEL, default_moved(VERSION)),
        (ENVIRONMENT, structs.replace(ENVIRONMENT_CREATED, external_id="team-a")),
        SERVICE_IS_THERE,
        (SERVICE, requested()),
        (SERVICE, succeeded()),
        (SERVICE, requested(SECOND)),
        (SERVICE, failed(SECOND)),
        (SERVICE, undeployment_requested()),
        (OTHER_SERVICE, requested()),
    )
    rows = list(tables.rows(projection).values())
    stored: list[Any] = [{each.name: each.value(row) for each in projection.all_columns} for row in rows]  # Any: Record

    assert rows
    assert [projection.read(record) for record in stored] == rows


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: str(projection.name))
def test_times_come_from_the_events(projection: Projection[Any]) -> None:
    tables = after(
        MODEL_IS_THERE, VERSION_IS_THERE, (ENVIRONMENT, ENVIRONMENT_CREATED), SERVICE_IS_THERE, (SERVICE, requested())
    )
    rows = tables.rows(projection).values()
    last: datetime = NOON + 5 * MINUTE

    assert rows
    assert all(NOON <= row.created_at <= row.updated_at < last for row in rows)
