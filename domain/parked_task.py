"""A task that the deploy worker keeps failing at, through a fault of its own: set aside until an operator decides.

    Deploying or Undeploying ──park──▶ parked ──retry──▶ not parked: the worker tries again
                                         └────dismiss──▶ the outcome, on the operator's word: failed, or off the cluster

A newer request replaces a parked one like any other.
"""

from typing import assert_never

from msgspec import structs

from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_answers import decide_answer
from modeltrail.domain.inference_service_facts import InferenceServiceEvent
from modeltrail.domain.inference_service_messages import ConfirmUndeployment, FailDeployment
from modeltrail.domain.inference_service_state import Deleted, Deploying, Service, Undeploying
from modeltrail.domain.parked_task_messages import (
    DismissTask,
    ParkTask,
    RetryTask,
    TaskCommand,
    TaskDismissed,
    TaskFact,
    TaskParked,
    TaskRetried,
)

Owing = Service | Deleted
"""What may have a request without an answer: a deleted service, too, while it is taken off the cluster."""


def decide(command: TaskCommand, state: Owing) -> list[InferenceServiceEvent]:
    """What happens when `command` meets `state`. A request that has its answer by now is not parked any more.

    Raises RuleError for retrying or dismissing what is not parked.
    """
    if isinstance(command, ParkTask):
        if _open_task(state) != (command.task_id, False):
            return []
        return [TaskParked(**structs.asdict(command))]
    if _open_task(state) != (command.task_id, True):
        raise RuleError(f"task {command.task_id} is not parked, or not any more")
    match command:
        case RetryTask():
            return [TaskRetried(**structs.asdict(command))]
        case DismissTask():
            return [TaskDismissed(**structs.asdict(command)), *_outcome(command, state)]
        case _:
            assert_never(command)


def _open_task(state: Owing) -> tuple[DeploymentId | None, bool]:
    """The request without an answer, if any, and whether it is parked."""
    match state:
        case Deleted(undeployment_id=task, parked=parked):
            return task, parked
        case Service(deployment=Deploying(deployment_id=task, parked=parked)):
            return task, parked
        case Service(deployment=Undeploying(undeployment_id=task, parked=parked)):
            return task, parked
        case _:
            return None, False


def _outcome(command: DismissTask, state: Owing) -> list[InferenceServiceEvent]:
    if isinstance(state, Service) and isinstance(state.deployment, Deploying):
        message = f"given up by an operator: {command.reason}"
        failed = FailDeployment(deployment_id=command.task_id, reason="Dismissed", message=message)
        return decide_answer(failed, state)
    return decide_answer(ConfirmUndeployment(undeployment_id=command.task_id), state)


def evolve(state: Owing, event: TaskFact) -> Owing:
    """The state after `event`."""
    match event:
        case TaskParked():
            return _marked(state, parked=True)
        case TaskRetried():
            return _marked(state, parked=False)
        case TaskDismissed():
            return state
        case _:
            assert_never(event)


def _marked(state: Owing, *, parked: bool) -> Owing:
    match state:
        case Deleted():
            return structs.replace(state, parked=parked)
        case Service(deployment=Deploying() | Undeploying() as open_):
            return structs.replace(state, deployment=structs.replace(open_, parked=parked))
        case _:
            return state
