"""What happens to a registered model."""

import string
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec import structs

from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError, NotFoundError
from modeltrail.domain.personal import Personal
from modeltrail.domain.registered_model import slug_of
from modeltrail.domain.registered_model_messages import (
    ArchiveModel,
    ClearDefaultVersion,
    DeclareDeploymentStatus,
    DeploymentStatus,
    DeploymentStatusDeclared,
    DescribeModel,
    MakeVersionDefault,
    ModelArchived,
    ModelChange,
    ModelDescribed,
    ModelEvent,
    ModelReclassified,
    ModelRelabelled,
    ModelRenamed,
    ModelRestored,
    ModelRetagged,
    ModelSizeRecorded,
    ReclassifyModel,
    RecordModelSize,
    RegisterModel,
    RelabelModel,
    RenameModel,
    RestoreModel,
    RetagModel,
    Tags,
)
from support.given import stories_of
from support.samples import MODEL, OTHER_VERSION, PROJECT, REGISTERED, VERSION, default_moved

given = stories_of(REGISTERED_MODEL)

REGISTER = RegisterModel(
    model_id=MODEL,
    project_id=PROJECT,
    name=REGISTERED.name,
    description=REGISTERED.description,
    tags=REGISTERED.tags,
    labels=REGISTERED.labels,
)

# Each change, the event that it makes on the registered model, or None for what is so already.
CHANGES: list[tuple[ModelChange, ModelEvent | None]] = [
    (RenameModel(name="Irises"), ModelRenamed(name="Irises", previous_name="Iris Flowers")),
    (RenameModel(name="Iris Flowers"), None),
    (DescribeModel(description="new"), ModelDescribed(description="new")),
    (DescribeModel(description=REGISTERED.description), None),
    (ReclassifyModel(model_type="LLM"), ModelReclassified(model_type="LLM")),
    (ReclassifyModel(model_type="CUSTOMTRAIN"), None),
    (RecordModelSize(model_size=7), ModelSizeRecorded(model_size=7)),
    (RecordModelSize(model_size=0), None),
    (ArchiveModel(), ModelArchived()),
    (RestoreModel(), None),
    (RetagModel(tags=Tags(tasks=("vision",))), ModelRetagged(tags=Tags(tasks=("vision",)))),
    (RetagModel(tags=REGISTERED.tags), None),
    (RelabelModel(labels={}), ModelRelabelled(labels={})),
    (RelabelModel(labels={"team": "botany"}), None),
    (MakeVersionDefault(version_id=VERSION), default_moved(VERSION)),
    (ClearDefaultVersion(version_id=VERSION), None),
]


def test_a_model_is_registered_with_a_slug_of_its_name() -> None:
    given().when(REGISTER).then(REGISTERED)


def test_a_registration_keeps_the_owner_and_the_parent() -> None:
    owner, parent = Personal(UUID(int=1), b"box", "ada@example.com"), MODEL
    registration = structs.replace(REGISTER, owner_email=owner, parent_model_id=parent)

    given().when(registration).then(structs.replace(REGISTERED, owner_email=owner, parent_model_id=parent))


def test_a_registered_model_is_not_registered_again() -> None:
    given(REGISTERED).when(REGISTER).then_refused(ConflictError, "model is registered already")


@pytest.mark.parametrize(("change", "event"), CHANGES)
def test_a_change_makes_its_event_unless_it_is_so_already(change: ModelChange, event: ModelEvent | None) -> None:
    given(REGISTERED).when(change).then(*([] if event is None else [event]))


@pytest.mark.parametrize("change", [change for change, event in CHANGES if event is not None])
def test_a_change_made_twice_happens_once(change: ModelChange) -> None:
    once = REGISTERED_MODEL.decide(change, REGISTERED_MODEL.evolve(REGISTERED_MODEL.initial, REGISTERED))

    given(REGISTERED).when(change, change).then(*once)


@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_a_model_that_does_not_exist_cannot_change(change: ModelChange) -> None:
    given().when(change).then_refused(NotFoundError, "registered model not found")


def test_an_archived_model_can_be_restored() -> None:
    given(REGISTERED, ModelArchived()).when(RestoreModel()).then(ModelRestored())


def test_a_restored_model_can_be_archived_again() -> None:
    given(REGISTERED, ModelArchived(), ModelRestored()).when(ArchiveModel()).then(ModelArchived())


def test_a_second_rename_names_the_first_as_the_name_before() -> None:
    given(REGISTERED, ModelRenamed(name="Irises", previous_name="Iris Flowers")).when(RenameModel(name="Lilies")).then(
        ModelRenamed(name="Lilies", previous_name="Irises")
    )


def test_another_default_takes_the_place_of_the_one_before() -> None:
    given(REGISTERED, default_moved(VERSION)).when(MakeVersionDefault(version_id=OTHER_VERSION)).then(
        default_moved(OTHER_VERSION, VERSION)
    )


def test_the_default_can_be_cleared() -> None:
    given(REGISTERED, default_moved(VERSION)).when(ClearDefaultVersion(version_id=VERSION)).then(
        default_moved(None, VERSION)
    )


def test_clearing_a_version_that_is_not_the_default_changes_nothing() -> None:
    given(REGISTERED, default_moved(VERSION)).when(ClearDefaultVersion(version_id=OTHER_VERSION)).then_nothing()


def test_a_declared_status_that_differs_from_the_current_one_is_kept() -> None:
    declare = DeclareDeploymentStatus(deployment_status=DeploymentStatus.FAILED, current=DeploymentStatus.DEPLOYED)

    given(REGISTERED).when(declare).then(DeploymentStatusDeclared(deployment_status=DeploymentStatus.FAILED))


def test_declaring_the_status_that_holds_changes_nothing() -> None:
    declare = DeclareDeploymentStatus(deployment_status=DeploymentStatus.DEPLOYED, current=DeploymentStatus.DEPLOYED)

    given(REGISTERED).when(declare).then_nothing()


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Iris Flowers", "iris-flowers"),
        ("iris_2", "iris-2"),
        ("ÄPFEL & Birnen!", "pfel--birnen"),
        ("İstanbul", "stanbul"),
        ("\N{KELVIN SIGN}", ""),  # the Kelvin sign lowers to an ASCII k, but is none
        ("日本", ""),
        ("a" * 61, "a" * 60),
        ("é" * 10 + "b" * 61, "b" * 60),
        ("--", "--"),
    ],
)
def test_a_slug_keeps_what_can_stand_in_a_url(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@hypothesis.given(st.text())
def test_a_slug_of_anything_is_short_and_plain(name: str) -> None:
    slug = slug_of(name)

    assert len(slug) <= 60
    assert set(slug) <= set(string.ascii_lowercase + string.digits + "-")


@hypothesis.given(st.text())
def test_a_slug_is_its_own_slug(name: str) -> None:
    assert slug_of(slug_of(name)) == slug_of(name)
