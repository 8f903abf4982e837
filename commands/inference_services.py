"""What callers want of inference services."""

from typing import assert_never

from msgspec import Struct, structs

from modeltrail.commands.decision import Answer, Decision, begin
from modeltrail.commands.deployments import (
    Cluster,
    change_service,
    existing_service,
    new_service,
    nothing_is_left,
    require_free,
    state_of_service,
    undeployment_wishes,
)
from modeltrail.commands.environments import existing_environment
from modeltrail.commands.existing import require_revision
from modeltrail.commands.models import existing_model
from modeltrail.commands.question import RowAt
from modeltrail.commands.targets import NOT_READY, Candidate, candidate_in, defaults_in, namespace_in
from modeltrail.commands.versions import existing_version
from modeltrail.domain.canary import back_from_canary
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.inference_service_messages import (
    ChooseOptions,
    ChooseVersion,
    DeleteService,
    PostponeDeployment,
    RelabelService,
    RenameService,
    RequestDeployment,
    ServiceChange,
    Target,
)
from modeltrail.domain.inference_service_state import (
    Deployed,
    Deploying,
    Failed,
    Idle,
    Service,
    Undeploying,
    Waiting,
    canary_in,
    target_in,
)
from modeltrail.domain.inference_service_wishes import ALL_TRAFFIC
from modeltrail.domain.service_name import check_name
from modeltrail.domain.serving_options import ServingDefaults, ServingOptions, check_options
from modeltrail.projections.inference_services import INFERENCE_SERVICES, ServiceRow
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import ModelRow
from modeltrail.projections.service_body import ServiceState
from modeltrail.projections.serving_environments import EnvironmentRow


async def version_of_choice(model: ModelRow) -> Candidate | None:
    """The model's default version, else its latest; None when it has none."""
    chosen = model.default_version_id or model.latest_version_id
    row = None if chosen is None else await RowAt(MODEL_VERSIONS, chosen)
    return None if row is None else candidate_in(row)


class Create(Struct, frozen=True, kw_only=True):
    """Create a service, which is to ask for its deployment: at once, or as soon as a version is fit for it."""

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    name: str
    environment_id: EnvironmentId
    model_id: ModelId
    default_namespace: str
    version_id: VersionId | None = None
    options: ServingOptions = ServingOptions()
    labels: dict[str, str] = {}

    async def decide(self) -> Decision:
        environment = await existing_environment(self.project_id, self.environment_id)
        model = await existing_model(self.project_id, self.model_id)
        version = await self._version(model)
        namespace = namespace_in(environment, self.default_namespace)
        check_name(self.name, namespace)
        options = self.options
        check_options(options)
        await require_free(self.environment_id, self.name)
        create = new_service(
            self.service_id,
            self.name,
            environment,
            model,
            None if version is None else version.id,
            options,
            self.labels,
        )
        wish: RequestDeployment | PostponeDeployment
        if version is not None and version.is_ready:
            target = version.target(namespace, options, defaults_in(environment))
            wish = RequestDeployment(deployment_id=self.deployment_id, target=target)
        else:
            wish = PostponeDeployment(model_version_id=self.version_id, message=NOT_READY, options=options)
        service = begin(INFERENCE_SERVICE, self.service_id, create, wish)
        return Decision(Answer(INFERENCE_SERVICES, self.service_id), (service,))

    async def _version(self, model: ModelRow) -> Candidate | None:
        if self.version_id is None:
            return await version_of_choice(model)
        return candidate_in(await existing_version(self.project_id, self.version_id, self.model_id))


class Revise(Struct, frozen=True, kw_only=True):
    """Change what is named; None leaves it as it is. What is in the cluster follows."""

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    default_namespace: str
    cluster: Cluster
    expected_revision: int | None = None
    name: str | None = None
    desired_state: ServiceState | None = None
    version_id: VersionId | None = None
    options: ServingOptions = ServingOptions()
    labels: dict[str, str] | None = None

    async def decide(self) -> Decision:
        row = await existing_service(self.project_id, self.service_id)
        require_revision(row, self.expected_revision)
        service = await state_of_service(self.service_id)
        if self.version_id is not None:
            await existing_version(self.project_id, self.version_id, ModelId(row.body.registered_model_id))
        check_options(self.options)
        wishes: list[ServiceChange] = []
        if self.name is not None and self.name != row.body.name:
            await self._check_name(row, self.name)
            wishes.append(RenameService(name=self.name))
        if self.labels is not None:
            wishes.append(RelabelService(labels=self.labels))
        wishes += await self._deployment_wishes(row, service)
        return await change_service(self.service_id, *wishes)

    async def _check_name(self, row: ServiceRow, name: str) -> None:
        environment = await existing_environment(self.project_id, EnvironmentId(row.body.serving_environment_id))
        check_name(name, namespace_in(environment, self.default_namespace))
        await require_free(row.body.serving_environment_id, name)

    async def _deployment_wishes(self, row: ServiceRow, service: Service) -> list[ServiceChange]:
        desired = self.desired_state or row.body.desired_state
        if desired is ServiceState.DEPLOYED:
            return [await self._deployment(row, service)] if self._is_due(row, service) else []
        wishes: list[ServiceChange] = []
        if self.version_id not in (None, row.body.model_version_id):
            wishes.append(ChooseVersion(model_version_id=self.version_id))
        if self.options != ServingOptions():
            # The first version that goes live has all the traffic.
            wishes.append(ChooseOptions(options=self._options(service).with_all_traffic()))
        if self.desired_state is ServiceState.UNDEPLOYED:
            wishes += undeployment_wishes(service, self.deployment_id, self.cluster)
        return wishes

    def _is_due(self, row: ServiceRow, service: Service) -> bool:
        """Whether what is asked for differs from what the cluster was asked for last."""
        if self.version_id not in (None, row.body.model_version_id):
            return True
        if self.labels not in (None, service.labels) or not self._are_in_force(self._options(service), service):
            return True
        match service.deployment:
            case Idle() | Undeploying() | Failed():
                return self.desired_state is ServiceState.DEPLOYED
            case Waiting() | Deploying() | Deployed():
                return False
            case _:
                assert_never(service.deployment)

    async def _deployment(self, row: ServiceRow, service: Service) -> RequestDeployment | PostponeDeployment:
        options = self._options(service)
        asked_for = self.version_id
        if asked_for is None and isinstance(service.deployment, Waiting):
            asked_for = service.deployment.model_version_id
        elif asked_for is None and row.body.model_version_id is not None:
            asked_for = VersionId(row.body.model_version_id)
        version = await self._candidate(row, asked_for)
        if version is None or not version.is_ready:
            return PostponeDeployment(model_version_id=asked_for, message=NOT_READY, options=options)
        environment = await existing_environment(self.project_id, EnvironmentId(row.body.serving_environment_id))
        target = version.target(self._namespace(service, environment), options, defaults_in(environment))
        return RequestDeployment(deployment_id=self.deployment_id, target=target)

    def _are_in_force(self, options: ServingOptions, service: Service) -> bool:
        """Whether `options` say what the cluster was told, be it in the service's own name or as the environment's."""
        target = target_in(service.deployment)
        defaults = ServingDefaults() if target is None else target.defaults
        return options.over(defaults).mean_the_same_as(service.options.over(defaults))

    def _options(self, service: Service) -> ServingOptions:
        options = self.options.over(service.options)
        return options.with_all_traffic() if options.canary_traffic_percent == ALL_TRAFFIC else options

    async def _candidate(self, row: ServiceRow, asked_for: VersionId | None) -> Candidate | None:
        model_id = ModelId(row.body.registered_model_id)
        if asked_for is not None:
            return candidate_in(await existing_version(self.project_id, asked_for, model_id))
        return await version_of_choice(await existing_model(self.project_id, model_id))

    def _namespace(self, service: Service, environment: EnvironmentRow) -> str:
        """Where its object is, as long as there may be one: an object cannot move."""
        there = target_in(service.deployment)
        if there is not None:
            return there.namespace
        namespace = namespace_in(environment, self.default_namespace)
        check_name(self.name or service.name, namespace)
        return namespace


class Delete(Struct, frozen=True, kw_only=True):
    """Delete a service that is not deployed. Whatever is left of it in the cluster is removed, too."""

    project_id: ProjectId
    service_id: ServiceId
    undeployment_id: DeploymentId
    cluster: Cluster
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        row = await existing_service(self.project_id, self.service_id)
        require_revision(row, self.expected_revision)
        # More than the domain refuses, which lets go of what is on its way off the cluster, and may still serve.
        if row.body.current_state is ServiceState.DEPLOYED:
            raise RuleError("cannot delete deployed inference service")
        service = await state_of_service(self.service_id)
        wishes: list[ServiceChange] = [DeleteService(undeployment_id=self.undeployment_id)]
        if self.cluster is Cluster.NONE:
            wishes.append(nothing_is_left(service, self.undeployment_id))
        return await change_service(self.service_id, *wishes)


class RollBack(Struct, frozen=True, kw_only=True):
    """Deploy the version that was live before, or the given one, anew.

    The one that was live before comes back with the options and defaults that it had then.
    """

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    version_id: VersionId | None = None
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        row = await existing_service(self.project_id, self.service_id)
        require_revision(row, self.expected_revision)
        service = await state_of_service(self.service_id)
        back_to = self._earlier(service)
        version_id = self.version_id or back_to.model_version_id
        version = await existing_version(self.project_id, version_id, ModelId(row.body.registered_model_id))
        target = candidate_in(version).target(back_to.namespace, back_to.options.with_all_traffic(), back_to.defaults)
        canary = canary_in(service.deployment)
        if canary is not None and canary.canary_beside == version_id:
            target = back_from_canary(service, canary)
        return await change_service(self.service_id, RequestDeployment(deployment_id=self.deployment_id, target=target))

    def _earlier(self, service: Service) -> Target:
        """What is gone back to, where its object is. Raises RuleError when nothing can be."""
        current = target_in(service.deployment)
        if current is None:
            raise RuleError("inference service is not in the cluster, so there is nothing to roll back; deploy it")
        if self.version_id is not None:
            return current
        for earlier in service.lived:
            if earlier.model_version_id != current.model_version_id:
                return structs.replace(earlier, namespace=current.namespace)
        raise RuleError("no other version of this inference service was live before; name one in model_version_id")
