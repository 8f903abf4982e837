"""What happens to models and versions that another registry had."""

import pytest
from msgspec import structs

from modeltrail.domain.decider import MODEL_VERSION, REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError
from modeltrail.domain.ids import ModelId
from modeltrail.domain.model_version_messages import (
    RenameVersion,
    VersionDeleted,
    VersionRenamed,
)
from modeltrail.domain.registered_model_messages import (
    ArchiveModel,
    DeleteModel,
    ModelArchived,
    ModelDeleted,
    ModelRenamed,
    TakeOverModel,
)
from support.given import stories_of
from support.samples import (
    MODEL,
    MODEL_ORIGIN,
    OTHER_VERSION,
    PROJECT,
    REGISTERED,
    TAKE_OVER_VERSION,
    TAKEN_OVER,
    VERSION,
    VERSION_REGISTERED,
    VERSION_TAKEN_OVER,
    default_moved,
)

model, version = stories_of(REGISTERED_MODEL), stories_of(MODEL_VERSION)

TAKE_OVER = TakeOverModel(model_id=MODEL, project_id=PROJECT, owner_email=None, origin=MODEL_ORIGIN, fingerprint="one")


def test_what_is_new_is_taken_over_as_it_was() -> None:
    model().when(TAKE_OVER).then(TAKEN_OVER)
    version().when(TAKE_OVER_VERSION).then(VERSION_TAKEN_OVER)


def test_what_has_not_changed_there_is_not_taken_over_again_whatever_became_of_it_here() -> None:
    renamed = ModelRenamed(name="Lily", previous_name="Iris")
    model(TAKEN_OVER).when(TAKE_OVER).then()
    model(TAKEN_OVER, renamed).when(TAKE_OVER).then()
    version(VERSION_TAKEN_OVER).when(TAKE_OVER_VERSION).then()


def test_what_has_changed_there_only_is_taken_over_once_more() -> None:
    changed = structs.replace(TAKE_OVER, fingerprint="two")
    model(TAKEN_OVER).when(changed).then(structs.replace(TAKEN_OVER, fingerprint="two"))
    changed_version = structs.replace(TAKE_OVER_VERSION, fingerprint="two")
    again = structs.replace(VERSION_TAKEN_OVER, fingerprint="two", is_again=True)
    version(VERSION_TAKEN_OVER).when(changed_version).then(again)


def test_another_default_there_moves_it_here_before_the_model_is_taken_over_once_more() -> None:
    origin = structs.replace(MODEL_ORIGIN, default_version_id=VERSION)
    changed = structs.replace(TAKE_OVER, fingerprint="two", origin=origin)
    told = default_moved(VERSION, OTHER_VERSION), structs.replace(TAKEN_OVER, fingerprint="two", origin=origin)

    model(TAKEN_OVER).when(changed).then(*told)
    model(TAKEN_OVER, *told).when(structs.replace(changed, fingerprint="three")).then(
        structs.replace(told[1], fingerprint="three")
    )


@pytest.mark.parametrize(
    "since", [ModelRenamed(name="Lily", previous_name="Iris"), ModelArchived(), default_moved(None, OTHER_VERSION)]
)
def test_a_model_that_has_changed_on_both_sides_is_left_as_it_is(since: ModelRenamed) -> None:
    with pytest.raises(ConflictError, match="both here and there"):
        model(TAKEN_OVER, since).when(structs.replace(TAKE_OVER, fingerprint="two")).then()


def test_a_version_that_has_changed_on_both_sides_is_left_as_it_is() -> None:
    since = VersionRenamed(registered_model_id=MODEL, name="v2", previous_name="v1")
    with pytest.raises(ConflictError, match="both here and there"):
        version(VERSION_TAKEN_OVER, since).when(structs.replace(TAKE_OVER_VERSION, fingerprint="two")).then()


def test_what_was_registered_here_is_not_overwritten() -> None:
    with pytest.raises(ConflictError, match="registered here"):
        model(REGISTERED).when(TAKE_OVER).then()
    with pytest.raises(ConflictError, match="registered here"):
        version(VERSION_REGISTERED).when(TAKE_OVER_VERSION).then()


def test_a_version_does_not_change_its_model() -> None:
    with pytest.raises(ConflictError, match="another model"):
        version(VERSION_TAKEN_OVER).when(
            structs.replace(TAKE_OVER_VERSION, registered_model_id=ModelId(OTHER_VERSION))
        ).then()


def test_what_was_deleted_here_does_not_come_back() -> None:
    with pytest.raises(ConflictError, match="deleted here"):
        model(TAKEN_OVER, ModelArchived(), ModelDeleted(name="Iris")).when(TAKE_OVER).then()
    with pytest.raises(ConflictError, match="deleted here"):
        version(VERSION_TAKEN_OVER, VersionDeleted(registered_model_id=MODEL, name="v1")).when(TAKE_OVER_VERSION).then()


def test_a_state_of_any_text_gives_way_to_one_of_ours() -> None:
    model(TAKEN_OVER).when(ArchiveModel(), DeleteModel()).then(ModelArchived(), ModelDeleted(name="Iris"))
    renamed = VersionRenamed(registered_model_id=MODEL, name="v2", previous_name="v1")
    version(VERSION_TAKEN_OVER).when(RenameVersion(name="v2")).then(renamed)
