"""An inference service: one model, served at one place of the cluster, and everything that was asked of it.

    state        command              event                  next state
    Missing      CreateService        ServiceCreated         Idle
    Idle         RequestDeployment    DeploymentRequested    Deploying
    Idle         PostponeDeployment   DeploymentPostponed    Waiting
    Idle         DeleteService        ServiceDeleted         Deleted
    Waiting      RequestDeployment    DeploymentRequested    Deploying
    Waiting      RequestUndeployment  DeploymentWithdrawn    Idle
    Waiting      DeleteService        ServiceDeleted         Deleted
    Deploying    ConfirmDeployment    DeploymentSucceeded    Deployed
    Deploying    FailDeployment       DeploymentFailed       Failed
    Deploying    RequestUndeployment  UndeploymentRequested  Undeploying
    Deploying    DeleteService        ServiceDeleted         Deleted
    Deployed     RequestDeployment    DeploymentRequested    Deploying
    Deployed     RequestUndeployment  UndeploymentRequested  Undeploying
    Deployed     RecordDisappearance  ObjectDisappeared      Failed
    Failed       RequestDeployment    DeploymentRequested    Deploying
    Failed       RequestUndeployment  UndeploymentRequested  Undeploying
    Failed       DeleteService        ServiceDeleted         Deleted
    Failed       RecordReadiness      ServiceRecovered       Deployed
    Undeploying  ConfirmUndeployment  Undeployed             Idle
    Undeploying  DeleteService        ServiceDeleted         Deleted

All else leaves the state what it is, or is refused, but for three: a disappearance or a drift that is to be repaired
leads on to Deploying, what is Deployed but interrupted can be deleted as what has failed, and dismissing a parked task
counts as the answer that it waits for, the failure of a deployment. Some of these decide more than the one event:
deleting what may be in the cluster requests its undeployment first, and the end of a canary is told before what ends
it (see canary.py).
A deployment that is requested while another is under way replaces it; one of a service that is live is a roll-out, and
the old version serves on until the new one is ready, unless the roll-out finds its object gone.

Every request for a deployment has an id. The cluster's answers carry it, so that a late answer to a request
that another has replaced is told apart and ignored.

What a command comes to is decided by whose it is: what callers wish in inference_service_wishes.py, what the cluster
answers in inference_service_answers.py, what it was seen to do unasked in inference_service_observations.py, and what
operators make of a task that was set aside in parked_task.py. What an event makes of the state is in
inference_service_evolution.py.
"""

from msgspec import structs

from modeltrail.domain import parked_task
from modeltrail.domain.errors import ConflictError, service_not_found
from modeltrail.domain.inference_service_answers import decide_answer
from modeltrail.domain.inference_service_evolution import evolve
from modeltrail.domain.inference_service_facts import InferenceServiceEvent, Observation
from modeltrail.domain.inference_service_messages import (
    CreateService,
    ServiceAnswer,
    ServiceCommand,
    ServiceCreated,
)
from modeltrail.domain.inference_service_observations import decide_observation
from modeltrail.domain.inference_service_state import Deleted, Missing, ServiceSituation
from modeltrail.domain.inference_service_wishes import decide_wish
from modeltrail.domain.parked_task_messages import TaskCommand

__all__ = ["INITIAL", "InferenceServiceCommand", "decide", "evolve"]

INITIAL = Missing()
InferenceServiceCommand = ServiceCommand | Observation | TaskCommand


def decide(command: InferenceServiceCommand, state: ServiceSituation) -> list[InferenceServiceEvent]:
    """What happens when `command` meets `state`; nothing when it is so already or the news comes too late.

    Raises NotFoundError for a change to a service that does not exist.
    """
    if isinstance(command, CreateService):
        return [_create(command, state)]
    if isinstance(state, Missing):
        raise service_not_found()
    if isinstance(command, TaskCommand):
        return parked_task.decide(command, state)
    if isinstance(command, ServiceAnswer):
        return decide_answer(command, state)
    if isinstance(command, Observation):
        return [] if isinstance(state, Deleted) else decide_observation(command, state)
    if isinstance(state, Deleted):
        raise service_not_found()
    return [*decide_wish(command, state)]


def _create(command: CreateService, state: ServiceSituation) -> ServiceCreated:
    if not isinstance(state, Missing):
        raise ConflictError("inference service exists already")
    fields = structs.asdict(command)
    del fields["service_id"]
    return ServiceCreated(**fields)
