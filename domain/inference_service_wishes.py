"""What comes of what callers wish of an inference service."""

from typing import assert_never

from msgspec import structs

from modeltrail.domain.canary import (
    aborted,
    canary_under_way,
    end_with_canary,
    require_ready_canary,
    unfinished_abort,
)
from modeltrail.domain.canary_messages import CanaryPromoted
from modeltrail.domain.errors import ConflictError, RuleError, serve_model_not_found
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_messages import (
    AddServeModel,
    ChooseOptions,
    ChooseVersion,
    DeleteService,
    DeploymentPostponed,
    DeploymentRequested,
    DeploymentWithdrawn,
    OptionsChosen,
    PostponeDeployment,
    RelabelService,
    RemoveServeModel,
    RenameService,
    RequestDeployment,
    RequestUndeployment,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceDeleted,
    ServiceEvent,
    ServiceRelabelled,
    ServiceRenamed,
    ServiceWish,
    Target,
    UndeploymentRequested,
    VersionChosen,
)
from modeltrail.domain.inference_service_state import (
    Deployed,
    Deploying,
    Deployment,
    Failed,
    Idle,
    Service,
    Undeploying,
    Waiting,
    external_id_in,
    live_in,
    target_in,
)

ALL_TRAFFIC = 100  # percent


def decide_wish(  # noqa: C901 - one flat case per wish
    command: ServiceWish, service: Service
) -> list[ServiceEvent]:
    """What happens when `command` meets `service`; nothing when it is so already."""
    match command:
        case RequestDeployment():
            return _request_deployment(command, service)
        case PostponeDeployment():
            return _postpone_deployment(command, service)
        case RequestUndeployment():
            return _request_undeployment(command, service)
        case RenameService():
            return _rename(command, service)
        case RelabelService(labels=labels):
            return [] if labels == service.labels else [ServiceRelabelled(labels=labels)]
        case ChooseVersion(model_version_id=version):
            return [VersionChosen(model_version_id=version)]
        case ChooseOptions(options=options):
            return [] if options.mean_the_same_as(service.options) else [OptionsChosen(options=options)]
        case DeleteService():
            return _delete(command, service)
        case AddServeModel():
            return _add_serve_model(command, service)
        case RemoveServeModel():
            return _remove_serve_model(command, service)
        case _:
            assert_never(command)


def _request_deployment(command: RequestDeployment, service: Service) -> list[ServiceEvent]:
    if isinstance(service.deployment, Undeploying):
        raise RuleError("inference service is being undeployed; deploy it again once that is done")
    target = _with_traffic(command.target, service)
    requested = DeploymentRequested(
        deployment_id=command.deployment_id,
        name=service.name,
        registered_model_id=service.registered_model_id,
        labels=service.labels,
        target=target,
    )
    return [*_end_of_canary(target, service), requested]


def _with_traffic(target: Target, service: Service) -> Target:
    """The target beside the version that keeps the rest of the traffic, or with all of it.

    The first version that goes live has all of it, whatever is said: KServe has nothing to send the rest to.
    """
    percent = target.options.canary_traffic_percent
    if target.aborts_canary:
        return target
    if (aborting := unfinished_abort(service)) is not None:
        if target.model_version_id != aborting.model_version_id:
            raise RuleError(
                "a canary of this inference service is being aborted; until version"
                f" {aborting.model_version_name!r} is live again, only that can be deployed"
            )
        return structs.replace(
            target, options=target.options.with_all_traffic(), canary_beside=None, aborts_canary=True
        )
    if percent is not None and percent < ALL_TRAFFIC and live_in(service.deployment) is not None and service.lived:
        return structs.replace(target, canary_beside=service.lived[0].model_version_id)
    return structs.replace(target, options=target.options.with_all_traffic(), canary_beside=None)


def _end_of_canary(target: Target, service: Service) -> list[ServiceEvent]:
    """What becomes of the canary that is under way, if any."""
    canary = canary_under_way(service)
    if canary is None or target.canary_beside is not None:
        return []
    if target.aborts_canary:
        return [aborted(canary, target)]
    version = canary.target.model_version_id
    if target.model_version_id != version:
        # Until the other version is ready, KServe would give all the traffic to the canary.
        raise RuleError("a canary of this inference service is under way; promote or abort it first")
    require_ready_canary(canary)
    return [CanaryPromoted(deployment_id=canary.deployment_id, model_version_id=version)]


def _postpone_deployment(command: PostponeDeployment, service: Service) -> list[ServiceEvent]:
    """Only where nothing is in the cluster: elsewhere what is there serves on, and the wish is refused."""
    wanted = Waiting(model_version_id=command.model_version_id, message=command.message)
    match service.deployment:
        case Idle():
            pass
        case Waiting() as waiting:
            if waiting == wanted and command.options.mean_the_same_as(service.options):
                return []
        case Deploying() | Deployed() | Failed() | Undeploying():
            raise RuleError(command.message)
        case _:
            assert_never(service.deployment)
    postponed = DeploymentPostponed(
        model_version_id=command.model_version_id, message=command.message, options=command.options
    )
    return [postponed]


def _request_undeployment(command: RequestUndeployment, service: Service) -> list[ServiceEvent]:
    return [*end_with_canary(service), *_taken_away(command.undeployment_id, service)]


def _taken_away(undeployment_id: DeploymentId, service: Service) -> list[ServiceEvent]:
    """What is left of it in the cluster is to go."""
    match service.deployment:
        case Idle() | Undeploying():
            return []
        case Waiting():
            return [DeploymentWithdrawn()]
        case Deploying(target=target) | Deployed(target=target) | Failed(target=target):
            pass
        case _:
            assert_never(service.deployment)
    requested = UndeploymentRequested(
        undeployment_id=undeployment_id,
        name=service.name,
        namespace=target.namespace,
        external_id=external_id_in(service.deployment),
    )
    return [requested]


def _rename(command: RenameService, service: Service) -> list[ServiceEvent]:
    if command.name == service.name:
        return []
    if not isinstance(service.deployment, Idle | Waiting):
        raise RuleError("inference service cannot be renamed while it is in the cluster; undeploy it first")
    return [ServiceRenamed(name=command.name, previous_name=service.name)]


def _delete(command: DeleteService, service: Service) -> list[ServiceEvent]:
    live = live_in(service.deployment)
    if live is not None and live.interruption is None:
        raise RuleError("cannot delete deployed inference service")
    deleted = ServiceDeleted(name=service.name, registered_model_id=service.registered_model_id)
    if isinstance(service.deployment, Idle | Waiting | Undeploying):
        return [deleted]
    return [*_taken_away(command.undeployment_id, service), deleted]


def _add_serve_model(command: AddServeModel, service: Service) -> list[ServiceEvent]:
    if command.model_version_id in service.served:
        raise ConflictError("serve model already exists for this inference service and model version")
    added = ServeModelAdded(
        model_version_id=command.model_version_id,
        model_version_name=command.model_version_name,
        inference_service_name=service.name,
    )
    return [added]


def _remove_serve_model(command: RemoveServeModel, service: Service) -> list[ServiceEvent]:
    version = command.model_version_id
    if version not in service.served:
        raise serve_model_not_found()
    if version in _served_or_to_be(service.deployment):
        raise RuleError("cannot delete serve model: its version is deployed; undeploy the inference service first")
    return [ServeModelRemoved(model_version_id=version)]


def _served_or_to_be(deployment: Deployment) -> set[VersionId | None]:
    """The versions that the cluster serves, all of them while one replaces another, or was asked to serve."""
    target, live = target_in(deployment), live_in(deployment)
    asked_for = () if target is None else (target.model_version_id, target.canary_beside)
    return {*asked_for, None if live is None else live.version}
