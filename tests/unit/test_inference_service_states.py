"""The table of states that the domain's docstring holds: each command in each state leads where it says."""

from typing import get_args
from uuid import UUID

import pytest
from msgspec import structs

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import DomainError
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service import InferenceServiceCommand
from modeltrail.domain.inference_service_facts import (
    InferenceServiceEvent,
    RecordDisappearance,
    RecordDrift,
    RecordInterruption,
    RecordReadiness,
    RecordStall,
    Repair,
    ServiceInterrupted,
)
from modeltrail.domain.inference_service_messages import (
    AddServeModel,
    ChooseOptions,
    ChooseVersion,
    ConfirmDeployment,
    ConfirmUndeployment,
    DeleteService,
    DeploymentPostponed,
    FailDeployment,
    PostponeDeployment,
    RecordApplied,
    RelabelService,
    RemoveServeModel,
    RenameService,
    RequestDeployment,
    RequestUndeployment,
    ServiceDeleted,
)
from modeltrail.domain.parked_task_messages import DismissTask, ParkTask, RetryTask, TaskParked
from modeltrail.domain.serving_options import ServingOptions
from support.given import fold
from support.samples import (
    CREATE,
    CREATED,
    FIRST,
    MODEL,
    OTHER_VERSION,
    SECOND,
    THIRD,
    VERSION,
    applied,
    failed,
    requested,
    succeeded,
    target,
    undeployment_requested,
)
from support.states import name_of, table

# How a service comes into each of its states. Those that wait for an answer wait for FIRST or THIRD.
HISTORIES: dict[str, tuple[InferenceServiceEvent, ...]] = {
    "Missing": (),
    "Idle": (CREATED,),
    "Waiting": (CREATED, DeploymentPostponed(model_version_id=None, message="wait", options=ServingOptions())),
    "Deploying": (CREATED, requested(), applied()),
    "Deployed": (CREATED, requested(), applied(), succeeded()),
    "Failed": (CREATED, requested(), applied(), failed()),
    "Undeploying": (CREATED, requested(), applied(), succeeded(), undeployment_requested()),
    "Deleted": (CREATED, ServiceDeleted(name="iris", registered_model_id=MODEL)),
}
COMMANDS: tuple[InferenceServiceCommand, ...] = (
    CREATE,
    RequestDeployment(deployment_id=DeploymentId(UUID(int=0xD4)), target=target()),
    PostponeDeployment(model_version_id=VERSION, message="wait", options=ServingOptions()),
    RequestUndeployment(undeployment_id=THIRD),
    RenameService(name="rose"),
    RelabelService(labels={}),
    ChooseVersion(model_version_id=OTHER_VERSION),
    ChooseOptions(options=ServingOptions(min_replicas=2)),
    DeleteService(undeployment_id=THIRD),
    AddServeModel(model_version_id=OTHER_VERSION, model_version_name="v2"),
    RemoveServeModel(model_version_id=VERSION),
    RecordApplied(deployment_id=FIRST, external_id="uid-1"),
    ConfirmDeployment(deployment_id=FIRST, external_id="uid-1", url="http://iris"),
    FailDeployment(deployment_id=FIRST, reason="ModelLoadFailed", message="the model does not load"),
    ConfirmUndeployment(undeployment_id=THIRD),
    RecordInterruption(deployment_id=FIRST, reason="NoPods", message="no pod is ready"),
    RecordReadiness(deployment_id=FIRST, external_id="uid-1", url="http://iris"),
    RecordDisappearance(deployment_id=FIRST, external_id="uid-1"),
    RecordDrift(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",)),
    RecordStall(undeployment_id=THIRD, reason="FinalizersPending", message="hangs"),
    ParkTask(task_id=FIRST, tries=10, cause="TypeError"),
    RetryTask(task_id=FIRST),
    DismissTask(task_id=FIRST, reason="not needed"),
)


def test_the_table_names_no_other_states_and_commands_than_those_that_are_tried_here() -> None:
    tried = {type(command) for command in COMMANDS}

    assert tried == set(get_args(InferenceServiceCommand))
    assert table().keys() <= {(state, command.__name__) for state in HISTORIES for command in tried}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("state", HISTORIES)
def test_a_command_leads_where_the_table_says_and_nowhere_else(state: str, command: InferenceServiceCommand) -> None:
    before = fold(INFERENCE_SERVICE, INFERENCE_SERVICE.initial, HISTORIES[state])
    assert name_of(before) == state

    try:
        events = INFERENCE_SERVICE.decide(command, before)
    except DomainError:
        events = []
    after = name_of(fold(INFERENCE_SERVICE, before, events))

    if after == state:
        assert (state, type(command).__name__) not in table()
    else:
        assert (type(events[-1]).__name__, after) == table()[state, type(command).__name__]


PARKED = TaskParked(task_id=FIRST, tries=10, cause="TypeError")
INTERRUPTED = ServiceInterrupted(
    deployment_id=FIRST, registered_model_id=MODEL, model_version_id=VERSION, reason="NoPods", message="no pod is ready"
)
DRIFT = RecordDrift(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",), repair=Repair(SECOND))
DISAPPEARANCE = RecordDisappearance(deployment_id=FIRST, external_id="uid-1", repair=Repair(SECOND))


@pytest.mark.parametrize(
    ("state", "since", "command", "after"),
    [
        ("Deployed", (), DRIFT, "Deploying"),
        ("Deployed", (), DISAPPEARANCE, "Deploying"),
        ("Deployed", (INTERRUPTED,), DeleteService(undeployment_id=THIRD), "Deleted"),
        ("Deploying", (PARKED,), DismissTask(task_id=FIRST, reason="not needed"), "Failed"),
        ("Undeploying", (structs.replace(PARKED, task_id=THIRD),), DismissTask(task_id=THIRD, reason="done"), "Idle"),
    ],
    ids=["drift", "disappearance", "interrupted", "parked", "parked undeployment"],
)
def test_what_is_said_beside_the_table_is_so(
    state: str, since: tuple[InferenceServiceEvent, ...], command: InferenceServiceCommand, after: str
) -> None:
    before = fold(INFERENCE_SERVICE, INFERENCE_SERVICE.initial, (*HISTORIES[state], *since))

    assert name_of(before) == state
    assert name_of(fold(INFERENCE_SERVICE, before, INFERENCE_SERVICE.decide(command, before))) == after
