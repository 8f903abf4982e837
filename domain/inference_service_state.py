"""What is known of an inference service, and what can be read off it. How the states follow each other is told in
inference_service.py."""

from typing import assert_never

from msgspec import Struct

from modeltrail.domain.ids import DeploymentId, ModelId, ProjectId, VersionId
from modeltrail.domain.inference_service_messages import Target
from modeltrail.domain.serving_options import ServingOptions

ATTEMPTS_KEPT = 10
ROLLBACK_CHOICES = 10  # how many earlier versions a rollback can choose from by itself


class Missing(Struct, frozen=True, tag="missing"):
    """No such service, or none yet."""


class Deleted(Struct, frozen=True, tag="deleted"):
    """There is no such service any more. What is left of it in the cluster is on its way out, if `undeployment_id`."""

    registered_model_id: ModelId
    undeployment_id: DeploymentId | None
    parked: bool = False


class Live(Struct, frozen=True):
    """What the cluster serves right now, and since which deployment; `interruption` is why it is not ready just now."""

    deployment_id: DeploymentId
    version: VersionId
    external_id: str
    url: str
    interruption: str | None = None


class Idle(Struct, frozen=True, tag="idle"):
    """Nothing in the cluster, nothing asked of it."""


class Waiting(Struct, frozen=True, tag="waiting"):
    """To be deployed as soon as a version is fit for it: this one, or any that the model would choose."""

    model_version_id: VersionId | None
    message: str


class Attempt(Struct, frozen=True):
    """A deployment that another followed before it was live."""

    deployment_id: DeploymentId
    target: Target

    @property
    def version(self) -> VersionId:
        """The version that serves should it come to that: beside a canary, the one that keeps the rest."""
        return self.target.canary_beside or self.target.model_version_id


class Deploying(Struct, frozen=True, tag="deploying"):
    """Asked for, not answered. `replacing` serves on until the answer; `parked` means that nobody is at it.

    `attempted` are those since something was live, newest first: the object is as one of them left it should this
    one be refused.
    """

    deployment_id: DeploymentId
    target: Target
    external_id: str | None
    replacing: Live | None
    parked: bool = False
    attempted: tuple[Attempt, ...] = ()


class Deployed(Struct, frozen=True, tag="deployed"):
    """Live, or interrupted; `drift` is what others changed of it."""

    deployment_id: DeploymentId
    target: Target
    live: Live
    drift: tuple[str, ...] = ()


class Failed(Struct, frozen=True, tag="failed"):
    """The last deployment failed. Its object may be in the cluster, and `still_live` may serve."""

    deployment_id: DeploymentId
    target: Target
    external_id: str | None
    still_live: Live | None
    attempted: tuple[Attempt, ...] = ()


class Undeploying(Struct, frozen=True, tag="undeploying"):
    """To be taken away; `stalled` says what it waits for, when it has waited long; `parked` that nobody is at it."""

    undeployment_id: DeploymentId
    stalled: str | None = None
    parked: bool = False


Deployment = Idle | Waiting | Deploying | Deployed | Failed | Undeploying


class Service(Struct, frozen=True, tag="service"):
    project_id: ProjectId
    name: str
    registered_model_id: ModelId
    labels: dict[str, str]
    deployment: Deployment
    options: ServingOptions = ServingOptions()
    served: tuple[VersionId, ...] = ()  # the versions with a serve model
    lived: tuple[Target, ...] = ()  # what was live last, newest first, each version once


ServiceSituation = Missing | Service | Deleted


def live_in(deployment: Deployment) -> Live | None:
    """What the cluster serves."""
    match deployment:
        case Deployed(live=live):
            return live
        case Deploying(replacing=live) | Failed(still_live=live):
            return live
        case Idle() | Waiting() | Undeploying():
            return None
        case _:
            assert_never(deployment)


def external_id_in(deployment: Deployment) -> str | None:
    """The object that was seen last, if one may be there: be it that it serves, or that its deployment failed."""
    match deployment:
        case Deployed(live=live):
            return live.external_id
        case Deploying(external_id=known) | Failed(external_id=known):
            return known
        case Idle() | Waiting() | Undeploying():
            return None
        case _:
            assert_never(deployment)


def attempts_in(deployment: Deployment) -> tuple[Attempt, ...]:
    """The deployments that the object may be of, should the next one be refused, besides what is live."""
    match deployment:
        case Deploying(deployment_id=newest, target=target) | Failed(deployment_id=newest, target=target):
            return (Attempt(newest, target), *deployment.attempted)[:ATTEMPTS_KEPT]
        case _:
            return ()


def attempt_in(deployment: Deployment, attempted: DeploymentId) -> Attempt | None:
    """The deployment before the newest, which has failed, that the object may still be of."""
    attempts = deployment.attempted if isinstance(deployment, Failed) else ()
    return next((each for each in attempts if each.deployment_id == attempted), None)


def target_in(deployment: Deployment) -> Target | None:
    """What the cluster was asked to serve last, if anything of it may be there."""
    match deployment:
        case Deployed(target=target) | Deploying(target=target) | Failed(target=target):
            return target
        case Idle() | Waiting() | Undeploying():
            return None
        case _:
            assert_never(deployment)


def lived_with(live: Target, before: tuple[Target, ...]) -> tuple[Target, ...]:
    """What was live last, once that is `live`."""
    earlier = (each for each in before if each.model_version_id != live.model_version_id)
    return (live, *earlier)[:ROLLBACK_CHOICES]


def canary_in(deployment: Deployment) -> Target | None:
    """What gets, or is to get, a part of the traffic only."""
    target = target_in(deployment)
    return target if target is not None and target.canary_beside is not None else None
