"""Click-to-deploy: what callers want of inference services, and what the cluster answered."""

from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, begin, carry_on
from modeltrail.commands.environments import existing_environment
from modeltrail.commands.existing import existing, require_revision
from modeltrail.commands.models import existing_model
from modeltrail.commands.question import RowsHaving, StateOf, row_named
from modeltrail.commands.targets import NOT_READY, candidate_in, defaults_in, is_in_namespace, namespace_in
from modeltrail.commands.versions import existing_version
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import ConflictError, RuleError, service_not_found, version_not_found
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.inference_service import InferenceServiceCommand
from modeltrail.domain.inference_service_facts import Observation
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    CreateService,
    FailDeployment,
    RecordApplied,
    RequestDeployment,
    RequestUndeployment,
    ServiceChange,
)
from modeltrail.domain.inference_service_state import Service, Undeploying
from modeltrail.domain.parked_task_messages import ParkTask
from modeltrail.domain.service_name import check_name, made_up_name
from modeltrail.domain.serving_options import LET_KSERVE_CHOOSE, ServingOptions
from modeltrail.projections.inference_services import INFERENCE_SERVICES, ServiceRow
from modeltrail.projections.model_versions import VersionRow
from modeltrail.projections.models import ModelRow
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS, EnvironmentRow


class Cluster(StrEnum):
    """Whether there is a cluster to carry out what is requested."""

    CONFIGURED = "configured"
    NONE = "none"


SUBSCRIPTION = "deploy-worker"  # the lease that the deploy worker holds
SYNC = "modeltrail_sync"  # the channel on which the deploy worker is asked to read a service's state, by its id
READ = "read"  # and its answer when that is done; any other says why it is not


async def existing_service(project_id: ProjectId, service_id: ServiceId) -> ServiceRow:
    """The service's row. Raises NotFoundError when the project has none with this id."""
    return await existing(INFERENCE_SERVICES, project_id, service_id, service_not_found)


async def state_of_service(service_id: ServiceId) -> Service:
    """The service as its events left it. Raises NotFoundError when there is none any more."""
    service = await StateOf(INFERENCE_SERVICE, service_id)
    if not isinstance(service, Service):
        raise service_not_found()
    return service


async def require_free(environment_id: UUID, name: str) -> None:
    """Raise ConflictError when a service of the environment has this name."""
    if await row_named(INFERENCE_SERVICES, environment_id, name) is not None:
        raise ConflictError("inference service name already exists")


def new_service(
    service_id: ServiceId,
    name: str,
    environment: EnvironmentRow,
    model: ModelRow,
    version_id: VersionId | None,
    options: ServingOptions,
    labels: dict[str, str],
) -> CreateService:
    """What makes a service of a model in an environment."""
    return CreateService(
        service_id=service_id,
        project_id=ProjectId(model.project_id),
        name=name,
        serving_environment_id=EnvironmentId(environment.id),
        serving_environment_name=environment.body.name,
        registered_model_id=ModelId(model.id),
        registered_model_name=model.body.name,
        model_version_id=version_id,
        runtime=options.runtime or LET_KSERVE_CHOOSE,
        labels=labels,
    )


def undeployment_wishes(service: Service, undeployment_id: DeploymentId, cluster: Cluster) -> list[ServiceChange]:
    """What takes the service off the cluster. Where there is no cluster, it is off at once."""
    request = RequestUndeployment(undeployment_id=undeployment_id)
    return [request] if cluster is Cluster.CONFIGURED else [request, nothing_is_left(service, undeployment_id)]


def nothing_is_left(service: Service, undeployment_id: DeploymentId) -> ConfirmUndeployment:
    """The answer that no cluster will give: to the undeployment under way, or else to the one with this id."""
    earlier = service.deployment
    under_way = earlier.undeployment_id if isinstance(earlier, Undeploying) else undeployment_id
    return ConfirmUndeployment(undeployment_id=under_way)


async def change_service(service_id: ServiceId, *commands: InferenceServiceCommand) -> Decision:
    """Decide `commands`, one after the other, on the service; the service answers the caller."""
    change = await carry_on(INFERENCE_SERVICE, service_id, *commands)
    return Decision(Answer(INFERENCE_SERVICES, service_id), (change,))


class Deploy(Struct, frozen=True, kw_only=True):
    """Put a version of a model on the cluster, as a new inference service.

    No `version_id` means the default version, else the latest. No `name` means a made-up one.
    """

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    model_id: ModelId
    environment_id: EnvironmentId
    default_namespace: str
    version_id: VersionId | None = None
    name: str | None = None
    options: ServingOptions = ServingOptions()
    labels: dict[str, str] = {}

    async def decide(self) -> Decision:
        environment = await existing_environment(self.project_id, self.environment_id)
        model = await existing_model(self.project_id, self.model_id)
        version = await self._version(model)
        candidate = candidate_in(version)
        if not candidate.is_ready:
            raise RuleError(NOT_READY)
        namespace = namespace_in(environment, self.default_namespace)
        target = candidate.target(namespace, self.options, defaults_in(environment))
        name = await self._free_name(model, version, namespace)
        create = new_service(
            self.service_id, name, environment, model, VersionId(version.id), self.options, self.labels
        )
        request = RequestDeployment(deployment_id=self.deployment_id, target=target)
        service = begin(INFERENCE_SERVICE, self.service_id, create, request)
        return Decision(Answer(INFERENCE_SERVICES, self.service_id), (service,))

    async def _version(self, model: ModelRow) -> VersionRow:
        wanted = self.version_id or model.default_version_id or model.latest_version_id
        if wanted is None:
            raise version_not_found()
        return await existing_version(self.project_id, VersionId(wanted), self.model_id)

    async def _free_name(self, model: ModelRow, version: VersionRow, namespace: str) -> str:
        if self.name is not None:
            check_name(self.name, namespace)
            await require_free(self.environment_id, self.name)
            return self.name
        environments = await self._environments_in(namespace)
        # The smallest numbers first, then some out of the service's own id: each try is a question to the database,
        # and a version may have been deployed thousands of times.
        for taken in (*range(4), *(self.service_id.int >> shift & 0xFFFFF for shift in range(0, 120, 20))):
            name = made_up_name(model.body.slug, VersionId(version.id), namespace, taken)
            if not await self._is_taken(name, environments):
                break
        else:
            raise ConflictError("inference service name already exists; give the deployment a name")
        check_name(name, namespace)  # a namespace can be so long that no name has room beside it
        return name

    async def _environments_in(self, namespace: str) -> list[UUID]:
        """Those whose services are in this namespace: there, no two objects can have the same name."""
        environments = await RowsHaving(SERVING_ENVIRONMENTS, "project_id", self.project_id)
        return [environment.id for environment in environments if is_in_namespace(environment, namespace)]

    async def _is_taken(self, name: str, environments: Iterable[UUID]) -> bool:
        for environment in environments:
            if await row_named(INFERENCE_SERVICES, environment, name) is not None:
                return True
        return False


class Undeploy(Struct, frozen=True, kw_only=True):
    """Take a service off the cluster. Where there is no cluster, it is off at once."""

    project_id: ProjectId
    service_id: ServiceId
    undeployment_id: DeploymentId
    cluster: Cluster
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        require_revision(await existing_service(self.project_id, self.service_id), self.expected_revision)
        service = await state_of_service(self.service_id)
        return await change_service(self.service_id, *undeployment_wishes(service, self.undeployment_id, self.cluster))


ClusterReport = RecordApplied | ConfirmDeployment | FailDeployment | ConfirmUndeployment | Observation | ParkTask


class Report(Struct, frozen=True):
    """What the cluster answered to a request. An answer to a request that another replaced changes nothing."""

    service_id: ServiceId
    news: ClusterReport

    async def decide(self) -> Decision:
        return await change_service(self.service_id, self.news)
