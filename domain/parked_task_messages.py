"""A task that the deploy worker keeps failing at (see parked_task.py): its commands, and their events."""

from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import DeploymentId

# --- commands ---------------------------------------------------------------------------------------------


class ParkTask(Command, frozen=True):
    """Set the request with this id aside: it failed `tries` times in a row; `cause` says at what, and quotes nobody."""

    task_id: DeploymentId
    tries: int
    cause: str


class RetryTask(Command, frozen=True):
    """Try a parked request again."""

    task_id: DeploymentId
    reason: str = ""


class DismissTask(Command, frozen=True):
    """Give a parked request up. Of an undeployment that states that nothing is left in the cluster."""

    task_id: DeploymentId
    reason: str


TaskCommand = ParkTask | RetryTask | DismissTask


# --- events -----------------------------------------------------------------------------------------------


class TaskParked(Event, frozen=True, tag="inference_service.task_parked"):
    task_id: DeploymentId
    tries: int
    cause: str


class TaskRetried(Event, frozen=True, tag="inference_service.task_retried"):
    task_id: DeploymentId
    reason: str


class TaskDismissed(Event, frozen=True, tag="inference_service.task_dismissed"):
    """Followed by what that makes of the request."""

    task_id: DeploymentId
    reason: str


TaskFact = TaskParked | TaskRetried | TaskDismissed


def parked_message(event: TaskParked) -> str:
    """What a person is told of a task that was set aside."""
    return (
        f"parked: the deploy worker failed at this {event.tries} times in a row ({event.cause}); it waits until an"
        " operator retries or dismisses it"
    )
