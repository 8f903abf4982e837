"""What an operator decides about the deploy worker."""

from enum import StrEnum

import msgspec

from modeltrail.domain.serving_options import DeploymentMode


class OnDrift(StrEnum):
    """What to do about an object that was changed or deleted behind our back."""

    REPAIR = "repair"
    REPORT = "report"


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`ready_seconds`: after how long a deployment that is not ready has failed, until it gets ready after all;
    `stall_seconds`: after how long an undeployment that is not done is reported; `resync_seconds`: how often all
    objects are listed, whatever the watch says; `tries`: after how many failures in a row through a fault of our own
    a task is parked. A cluster or database that does not answer is no such fault."""

    mode: DeploymentMode = DeploymentMode.STANDARD
    on_drift: OnDrift = OnDrift.REPAIR
    ready_seconds: float = 900.0
    stall_seconds: float = 60.0
    resync_seconds: float = 300.0
    tries: int = 10
