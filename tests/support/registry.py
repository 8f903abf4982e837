"""A registry without HTTP: a committer on a test's database, and the commands that lead to a deployment."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec

from modeltrail.commands import deployments, environments, inference_services, models, versions
from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.decision import Command
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.inference_service_messages import ConfirmDeployment, DeploymentRequested
from modeltrail.domain.model_version_messages import Artifact, RegisterVersion, VersionStatus
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.domain.serving_options import ServingOptions
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.postgres.connect import writer
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.documents import read_documents
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from support.committing import address_of, read_log
from support.database import Database

UNCHANGED = ServingOptions()
SKLEARN = Artifact("model-artifact", "sklearn", "1", "", "s3://models/iris")


class Registry:
    """Commands on behalf of one project."""

    def __init__(self, committer: Committer, database: Database) -> None:
        self.committer = committer
        self.database = database
        self.project = ProjectId(uuid4())

    async def submit(self, command: Command, request_id: str = "a-request") -> Outcome:
        return await self.committer.submit(command, Context(self.project, uuid4(), request_id))

    async def ready_version(self, uri: str = "s3://models/iris") -> tuple[ModelId, VersionId]:
        model = ModelId(uuid4())
        await self.submit(models.Register(RegisterModel(model_id=model, project_id=self.project, name=f"m-{model}")))
        return model, await self.another_version(model, uri, "v1")

    async def another_version(self, model: ModelId, uri: str, name: str = "v2") -> VersionId:
        """One that is ready."""
        version = VersionId(uuid4())
        artifact = msgspec.structs.replace(SKLEARN, uri=uri)
        wish = RegisterVersion(project_id=self.project, registered_model_id=model, name=name, artifact=artifact)
        await self.submit(versions.Register(version_id=version, wish=wish))
        ready = versions.Revise(project_id=self.project, version_id=version, status=VersionStatus.READY)
        await self.submit(ready)
        return version

    async def environment(self, name: str = "models") -> EnvironmentId:
        environment = EnvironmentId(uuid4())
        wish = CreateEnvironment(environment_id=environment, project_id=self.project, name=name)
        await self.submit(environments.Create(wish))
        return environment

    async def deploy(self, uri: str = "s3://models/iris", name: str | None = None) -> ServiceId:
        """A model, a version of it and an environment of its own, with the deployment requested."""
        model, _ = await self.ready_version(uri)
        environment = await self.environment(f"ns-{uuid4().hex[:8]}")
        return await self.deploy_to(model, environment, name)

    async def deploy_to(self, model: ModelId, environment: EnvironmentId, name: str | None = None) -> ServiceId:
        service = ServiceId(uuid4())
        command = deployments.Deploy(
            project_id=self.project,
            service_id=service,
            deployment_id=DeploymentId(uuid4()),
            model_id=model,
            environment_id=environment,
            default_namespace="models",
            name=name,
        )
        await self.submit(command, "the-click")
        return service

    async def roll_out(self, service: ServiceId, version: VersionId, options: ServingOptions = UNCHANGED) -> None:
        """Ask for a version in the place of the one that is there, or for other options of the same."""
        await self.submit(
            inference_services.Revise(
                project_id=self.project,
                service_id=service,
                deployment_id=DeploymentId(uuid4()),
                default_namespace="models",
                cluster=deployments.Cluster.CONFIGURED,
                version_id=version,
                options=options,
            )
        )

    async def undeploy(self, service: ServiceId) -> None:
        command = deployments.Undeploy(
            project_id=self.project,
            service_id=service,
            undeployment_id=DeploymentId(uuid4()),
            cluster=deployments.Cluster.CONFIGURED,
        )
        await self.submit(command, "the-undo")

    async def service(self, service: UUID) -> dict[str, Any]:  # Any: JSON
        connection = await writer(address_of(self.database))()
        try:
            found = await read_documents(connection, INFERENCE_SERVICES, [service])
        finally:
            await connection.close()
        body: dict[str, Any] = msgspec.json.decode(found[service].body)
        return body

    async def events(self, stream: UUID | None = None) -> list[Recorded]:
        return [recorded for recorded in await read_log(self.database) if stream in (None, recorded.stream)]

    async def event_names(self, stream: UUID) -> list[str]:
        return [type(recorded.event).__name__ for recorded in await self.events(stream)]


@asynccontextmanager
async def registry(database: Database) -> AsyncIterator[Registry]:
    async with Committer(writer(address_of(database)), INLINE) as committer:
        yield Registry(committer, database)


def confirmer(database: Database) -> Callable[[str], None]:
    """What a worker reports once the cluster serves what was asked of it, for tests of other processes."""

    async def confirm(service: str) -> None:
        async with registry(database) as world:
            events = [recorded.event for recorded in await world.events(UUID(service))]
            newest = [event for event in events if isinstance(event, DeploymentRequested)][-1]
            ready = ConfirmDeployment(deployment_id=newest.deployment_id, external_id="uid-1", url="http://iris")
            await world.submit(deployments.Report(ServiceId(UUID(service)), ready))

    return lambda service: asyncio.run(confirm(service))
