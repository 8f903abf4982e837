"""What happens to a model version."""

from uuid import UUID

import pytest
from msgspec import structs

from modeltrail.domain.decider import MODEL_VERSION
from modeltrail.domain.errors import ConflictError, NotFoundError
from modeltrail.domain.model_version_messages import (
    ArchiveVersion,
    ArtifactRevised,
    DescribeVersion,
    MarkVersionFailed,
    MarkVersionPending,
    MarkVersionReady,
    RegisterVersion,
    RelabelVersion,
    RenameVersion,
    RestoreVersion,
    ReviseArtifact,
    VersionArchived,
    VersionChange,
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
from support.given import stories_of
from support.samples import ARTIFACT, MODEL, PROJECT, VERSION_REGISTERED

given = stories_of(MODEL_VERSION)

REGISTER = RegisterVersion(
    project_id=PROJECT,
    registered_model_id=MODEL,
    name="v1",
    artifact=ARTIFACT,
    description="the first one",
    model_catalog_name="flowers",
    labels={"run": "17"},
)
MOVED = structs.replace(ARTIFACT, uri="s3://elsewhere")

# Each change, the event that it makes on the registered version, or None for what is so already.
CHANGES: list[tuple[VersionChange, VersionEvent | None]] = [
    (RenameVersion(name="v2"), VersionRenamed(registered_model_id=MODEL, name="v2", previous_name="v1")),
    (RenameVersion(name="v1"), None),
    (DescribeVersion(description="new"), VersionDescribed(registered_model_id=MODEL, description="new")),
    (DescribeVersion(description="the first one"), None),
    (ArchiveVersion(), VersionArchived(registered_model_id=MODEL)),
    (RestoreVersion(), None),
    (MarkVersionReady(), VersionMarkedReady(registered_model_id=MODEL)),
    (MarkVersionFailed(), VersionMarkedFailed(registered_model_id=MODEL)),
    (MarkVersionPending(), None),
    (ReviseArtifact(uri="s3://elsewhere"), ArtifactRevised(registered_model_id=MODEL, artifact=MOVED)),
    (ReviseArtifact(uri=ARTIFACT.uri), None),
    (ReviseArtifact(), None),
    (RelabelVersion(labels={"run": "18"}), VersionRelabelled(registered_model_id=MODEL, labels={"run": "18"})),
    (RelabelVersion(labels={"run": "17"}), None),
]


def test_a_version_is_registered() -> None:
    given().when(REGISTER).then(VERSION_REGISTERED)


def test_a_registration_keeps_people_container_and_whether_there_are_credentials() -> None:
    creator, updater = Personal(UUID(int=1), b"a", None), Personal(UUID(int=2), b"b", None)
    registration = structs.replace(
        REGISTER,
        created_by_email=creator,
        updated_by_email=updater,
        prebuilt_container_id=UUID(int=3),
        has_credentials=True,
    )

    given().when(registration).then(
        structs.replace(
            VERSION_REGISTERED,
            created_by_email=creator,
            updated_by_email=updater,
            prebuilt_container_id=UUID(int=3),
            has_credentials=True,
        )
    )


def test_a_registered_version_is_not_registered_again() -> None:
    given(VERSION_REGISTERED).when(REGISTER).then_refused(ConflictError, "model version is registered already")


@pytest.mark.parametrize(("change", "event"), CHANGES)
def test_a_change_makes_its_event_unless_it_is_so_already(change: VersionChange, event: VersionEvent | None) -> None:
    given(VERSION_REGISTERED).when(change).then(*([] if event is None else [event]))


@pytest.mark.parametrize("change", [change for change, event in CHANGES if event is not None])
def test_a_change_made_twice_happens_once(change: VersionChange) -> None:
    once = MODEL_VERSION.decide(change, MODEL_VERSION.evolve(MODEL_VERSION.initial, VERSION_REGISTERED))

    given(VERSION_REGISTERED).when(change, change).then(*once)


@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_a_version_that_does_not_exist_cannot_change(change: VersionChange) -> None:
    given().when(change).then_refused(NotFoundError, "model version not found")


def test_an_archived_version_can_be_restored() -> None:
    given(VERSION_REGISTERED, VersionArchived(registered_model_id=MODEL)).when(RestoreVersion()).then(
        VersionRestored(registered_model_id=MODEL)
    )


def test_a_ready_version_can_be_archived() -> None:
    given(VERSION_REGISTERED, VersionMarkedReady(registered_model_id=MODEL)).when(ArchiveVersion()).then(
        VersionArchived(registered_model_id=MODEL)
    )


def test_an_archived_version_stays_ready() -> None:
    archived = VersionArchived(registered_model_id=MODEL)

    given(VERSION_REGISTERED, VersionMarkedReady(registered_model_id=MODEL), archived).when(
        MarkVersionReady()
    ).then_nothing()


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [
        (VersionMarkedReady, MarkVersionFailed(), VersionMarkedFailed),
        (VersionMarkedReady, MarkVersionPending(), VersionMarkedPending),
        (VersionMarkedFailed, MarkVersionReady(), VersionMarkedReady),
        (VersionMarkedFailed, MarkVersionPending(), VersionMarkedPending),
        (VersionMarkedPending, MarkVersionReady(), VersionMarkedReady),
    ],
)
def test_whoever_validates_a_version_decides_its_status(
    before: type[VersionMarkedReady], command: VersionChange, after: type[VersionMarkedReady]
) -> None:
    given(VERSION_REGISTERED, before(registered_model_id=MODEL)).when(command).then(after(registered_model_id=MODEL))


def test_a_revision_of_the_artifact_leaves_alone_what_it_does_not_name() -> None:
    revision = ReviseArtifact(model_framework="xgboost", model_framework_version="2")
    expected = structs.replace(MOVED, model_framework="xgboost", model_framework_version="2")

    given(VERSION_REGISTERED, ArtifactRevised(registered_model_id=MODEL, artifact=MOVED)).when(revision).then(
        ArtifactRevised(registered_model_id=MODEL, artifact=expected)
    )


def test_a_text_can_be_emptied() -> None:
    emptied = structs.replace(ARTIFACT, container_image="")

    given(VERSION_REGISTERED).when(ReviseArtifact(container_image="")).then(
        ArtifactRevised(registered_model_id=MODEL, artifact=emptied)
    )
