"""What operators want of tasks that the deploy worker keeps failing at."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, carry_on
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.ids import ServiceId
from modeltrail.domain.parked_task_messages import DismissTask, RetryTask
from modeltrail.projections.deployment_tasks import DEPLOYMENT_TASKS

Wish = RetryTask | DismissTask


class DecideOnParked(Struct, frozen=True):
    """Retry or dismiss the parked task of a service, which may be deleted by now."""

    service_id: ServiceId
    wish: Wish

    async def decide(self) -> Decision:
        change = await carry_on(INFERENCE_SERVICE, self.service_id, self.wish)
        return Decision(Answer(DEPLOYMENT_TASKS, self.service_id), (change,))
