"""What is asked of an inference service and what the cluster answers, early, late and repeated; and its name."""

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec import structs

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import ConflictError, NotFoundError, RuleError
from modeltrail.domain.ids import VersionId, serve_model_id
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    FailDeployment,
    RecordApplied,
    RemoveServeModel,
    RequestDeployment,
    RequestUndeployment,
    ServiceChange,
    ServiceEvent,
)
from modeltrail.domain.service_name import HOST_LABEL_LENGTH, PREDICTOR, check_name, made_up_name
from support.given import stories_of
from support.samples import (
    CREATE,
    CREATED,
    FIRST,
    OTHER_SERVICE,
    OTHER_VERSION,
    SECOND,
    SERVICE,
    THIRD,
    VERSION,
    applied,
    failed,
    requested,
    succeeded,
    target,
    undeployed,
    undeployment_requested,
)

given = stories_of(INFERENCE_SERVICE)

DEPLOY = RequestDeployment(deployment_id=FIRST, target=target())
UNDEPLOY = RequestUndeployment(undeployment_id=THIRD)
APPLIED = RecordApplied(deployment_id=FIRST, external_id="uid-1")
CONFIRM = ConfirmDeployment(deployment_id=FIRST, external_id="uid-1", url="http://iris")
FAIL = FailDeployment(deployment_id=FIRST, reason="ModelLoadFailed", message="the model does not load")
CONFIRM_UNDEPLOYED = ConfirmUndeployment(undeployment_id=THIRD)
ANSWERS: list[ServiceChange] = [APPLIED, CONFIRM, FAIL, CONFIRM_UNDEPLOYED]

# How a service comes into each of its states. Those that wait for an answer wait for FIRST or THIRD.
IDLE: tuple[ServiceEvent, ...] = (CREATED,)
DEPLOYING = (*IDLE, requested())
TAKEN = (*DEPLOYING, applied())
DEPLOYED = (*TAKEN, succeeded())
FAILED = (*TAKEN, failed())
ROLLING_OUT = (*DEPLOYED, requested(SECOND, OTHER_VERSION))
ROLL_OUT_FAILED = (*ROLLING_OUT, failed(SECOND, OTHER_VERSION))
UNDEPLOYING = (*DEPLOYED, undeployment_requested())
GONE = (*UNDEPLOYING, undeployed())

EVERY_STATE = {
    "idle": IDLE,
    "deploying": DEPLOYING,
    "taken": TAKEN,
    "deployed": DEPLOYED,
    "failed": FAILED,
    "rolling out": ROLLING_OUT,
    "roll-out failed": ROLL_OUT_FAILED,
    "undeploying": UNDEPLOYING,
    "gone": GONE,
}


def states(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("history", [EVERY_STATE[name] for name in names], ids=names)


def test_a_service_is_created() -> None:
    given().when(CREATE).then(CREATED)


@states(*EVERY_STATE)
def test_a_created_service_is_not_created_again(history: tuple[ServiceEvent, ...]) -> None:
    given(*history).when(CREATE).then_refused(ConflictError, "inference service exists already")


@pytest.mark.parametrize("change", [DEPLOY, UNDEPLOY, *ANSWERS])
def test_a_service_that_does_not_exist_cannot_change(change: ServiceChange) -> None:
    given().when(change).then_refused(NotFoundError, "inference service not found")


@states("idle", "deploying", "taken", "deployed", "failed", "rolling out", "roll-out failed", "gone")
def test_a_deployment_can_be_requested(history: tuple[ServiceEvent, ...]) -> None:
    request = RequestDeployment(deployment_id=THIRD, target=target(OTHER_VERSION))

    given(*history).when(request).then(requested(THIRD, OTHER_VERSION))


def test_no_deployment_is_requested_while_the_service_is_being_undeployed() -> None:
    given(*UNDEPLOYING).when(DEPLOY).then_refused(
        RuleError, "inference service is being undeployed; deploy it again once that is done"
    )


@states("rolling out", "roll-out failed")
@pytest.mark.parametrize("version", [VERSION, OTHER_VERSION], ids=["old", "new"])
def test_the_serve_models_of_a_roll_out_stay(history: tuple[ServiceEvent, ...], version: VersionId) -> None:
    given(*history).when(RemoveServeModel(model_version_id=version)).then_refused(
        RuleError, "cannot delete serve model: its version is deployed; undeploy the inference service first"
    )


def test_the_cluster_takes_the_object_once() -> None:
    given(*DEPLOYING).when(APPLIED, APPLIED).then(applied())


@states("deploying", "taken")
def test_a_deployment_is_confirmed(history: tuple[ServiceEvent, ...]) -> None:
    given(*history).when(CONFIRM).then(succeeded())


@states("deploying", "taken")
def test_a_deployment_fails(history: tuple[ServiceEvent, ...]) -> None:
    given(*history).when(FAIL).then(failed())


def test_a_failed_deployment_does_not_succeed_after_all() -> None:
    given(*FAILED).when(CONFIRM).then_nothing()


def test_a_confirmed_deployment_does_not_fail_after_all() -> None:
    given(*DEPLOYED).when(FAIL).then_nothing()


@states("idle", "deployed", "failed", "rolling out", "roll-out failed", "undeploying", "gone")
@pytest.mark.parametrize("answer", [APPLIED, CONFIRM, FAIL], ids=lambda answer: type(answer).__name__)
def test_a_late_answer_to_a_deployment_is_ignored(history: tuple[ServiceEvent, ...], answer: ServiceChange) -> None:
    given(*history).when(answer).then_nothing()


@states("idle", "deploying", "taken", "deployed", "failed", "rolling out", "roll-out failed", "gone")
def test_a_late_answer_to_an_undeployment_is_ignored(history: tuple[ServiceEvent, ...]) -> None:
    given(*history).when(CONFIRM_UNDEPLOYED).then_nothing()


def test_an_answer_to_another_undeployment_is_ignored() -> None:
    given(*UNDEPLOYING).when(ConfirmUndeployment(undeployment_id=SECOND)).then_nothing()


def test_a_confirmation_of_the_replaced_request_does_not_confirm_its_successor() -> None:
    replaced = (*DEPLOYING, requested(SECOND, OTHER_VERSION))

    given(*replaced).when(
        CONFIRM, ConfirmDeployment(deployment_id=SECOND, external_id="uid-1", url="http://iris")
    ).then(succeeded(SECOND, OTHER_VERSION))


def test_a_roll_out_that_is_confirmed_serves_the_new_version() -> None:
    confirm = ConfirmDeployment(deployment_id=SECOND, external_id="uid-1", url="http://iris")

    given(*ROLLING_OUT).when(confirm).then(succeeded(SECOND, OTHER_VERSION))


def test_a_roll_out_needs_no_second_object() -> None:
    given(*ROLLING_OUT).when(RecordApplied(deployment_id=SECOND, external_id="uid-1")).then_nothing()


@pytest.mark.parametrize(
    ("history", "external_id"),
    [
        (DEPLOYING, None),
        (TAKEN, "uid-1"),
        (DEPLOYED, "uid-1"),
        (FAILED, "uid-1"),
        ((*DEPLOYING, failed()), None),
        (ROLLING_OUT, "uid-1"),
        (ROLL_OUT_FAILED, "uid-1"),
    ],
    ids=["deploying", "taken", "deployed", "failed", "refused", "rolling out", "roll-out failed"],
)
def test_an_undeployment_names_what_is_known_to_be_in_the_cluster(
    history: tuple[ServiceEvent, ...], external_id: str | None
) -> None:
    given(*history).when(UNDEPLOY).then(undeployment_requested(external_id=external_id))


@states("idle", "undeploying", "gone")
def test_there_is_nothing_to_undeploy(history: tuple[ServiceEvent, ...]) -> None:
    given(*history).when(RequestUndeployment(undeployment_id=SECOND)).then_nothing()


def test_an_undeployment_goes_to_the_namespace_that_was_deployed_to() -> None:
    elsewhere = structs.replace(requested(), target=target(namespace="elsewhere"))

    given(CREATED, elsewhere).when(UNDEPLOY).then(
        structs.replace(undeployment_requested(external_id=None), namespace="elsewhere")
    )


def test_an_undeployment_is_confirmed_once() -> None:
    given(*UNDEPLOYING).when(CONFIRM_UNDEPLOYED, CONFIRM_UNDEPLOYED).then(undeployed())


def test_a_service_without_a_cluster_is_undeployed_at_once() -> None:
    given(*DEPLOYING).when(UNDEPLOY, CONFIRM_UNDEPLOYED).then(undeployment_requested(external_id=None), undeployed())


def test_an_undeployed_service_forgets_its_object() -> None:
    given(*GONE, requested(SECOND)).when(UNDEPLOY).then(undeployment_requested(external_id=None))


def test_a_pair_of_service_and_version_has_one_identity() -> None:
    pairs = [(service, version) for service in (SERVICE, OTHER_SERVICE) for version in (VERSION, OTHER_VERSION)]

    assert len({serve_model_id(service, version) for service, version in pairs}) == len(pairs)
    assert serve_model_id(SERVICE, VERSION) == serve_model_id(SERVICE, VERSION)


@pytest.mark.parametrize("name", ["a", "iris", "iris-2", "a--b", "i" * 48])
def test_a_name_that_kserve_takes_is_taken(name: str) -> None:
    check_name(name, "prod")


@pytest.mark.parametrize("name", ["", "Iris", "2iris", "-iris", "iris-", "iris.v1", "iris_v1", "ïris", "iris\n"])
def test_a_name_that_kserve_refuses_is_refused(name: str) -> None:
    with pytest.raises(RuleError, match="must start with a lower-case letter"):
        check_name(name, "prod")


def test_a_name_that_is_too_long_for_its_host_is_refused_with_the_room_there_is() -> None:
    with pytest.raises(RuleError, match="has 49 characters; in namespace 'prod' KServe has room for 48"):
        check_name("i" * 49, "prod")


def test_a_name_that_is_too_long_for_the_label_of_its_pods_is_refused() -> None:
    check_name("i" * 48, "ml")
    with pytest.raises(RuleError, match="has 49 characters; in namespace 'ml' KServe has room for 48"):
        check_name("i" * 49, "ml")


def test_a_namespace_that_leaves_no_room_is_said_to_leave_none() -> None:
    with pytest.raises(RuleError, match="has room for 0"):
        check_name("i", "n" * 63)


def test_a_made_up_name_is_the_slug_and_the_beginning_of_the_version() -> None:
    assert made_up_name("iris-flowers", VERSION, "prod", taken=0) == "iris-flowers-11111111"


def test_a_made_up_name_that_is_taken_gets_a_number() -> None:
    assert made_up_name("iris", VERSION, "prod", taken=1) == "iris-11111111-2"


@hypothesis.given(
    slug=st.text("abz019-", max_size=60),
    version=st.uuids(),
    # One letter and the longest number must find room beside it: in a longer namespace, no name at all would do.
    namespace=st.integers(1, HOST_LABEL_LENGTH - len(PREDICTOR) - len("a-1000")).map("n".__mul__),
    taken=st.integers(0, 999),
)
def test_a_made_up_name_is_always_valid(slug: str, version: VersionId, namespace: str, taken: int) -> None:
    check_name(made_up_name(slug, version, namespace, taken), namespace)


@hypothesis.given(slug=st.text("abz019-", max_size=60), version=st.uuids(), length=st.integers(1, 45))
def test_made_up_names_never_repeat(slug: str, version: VersionId, length: int) -> None:
    names = [made_up_name(slug, version, "n" * length, taken) for taken in range(30)]

    assert len(set(names)) == len(names)
