"""A long log of all that happens to models: a story that commands have written, told again about many other ones."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import re
from datetime import timedelta
from uuid import UUID, uuid4

from msgspec import structs

from modeltrail.commands import deployments, model_deletion, models, versions
from modeltrail.domain.ids import ProjectId, ServiceId
from modeltrail.domain.inference_service_messages import ConfirmDeployment, DeploymentRequested
from modeltrail.domain.registered_model_messages import ModelState
from modeltrail.eventlog.codec import Codec, encode, topic_of
from modeltrail.eventlog.log import SQL, columns_of, read_head
from modeltrail.eventlog.record import Context, Recorded
from support.committing import connected
from support.database import Database
from support.registry import Registry, registry

AT_ONCE = 5_000
_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


async def lengthen(database: Database, events: int) -> int:
    """Append so many events or a few more, and nothing to the read tables; how many there are in the log then.

    The stories go on side by side, so that each comes back to its rows after events about all the others.
    """
    async with registry(database) as world:
        await _story(world)
        story = [recorded for recorded in await world.events() if recorded.context.project_id == world.project]
    copies = [_Copy() for _ in range(events // len(story) + 1)]
    async with connected(database) as connection:
        head = await read_head(connection)
        told = [copy.retell(recorded) for recorded in story for copy in copies]
        for first in range(0, len(told), AT_ONCE):
            batch = [
                structs.replace(
                    recorded,
                    position=head.position + number,
                    recorded_at=head.recorded_at + timedelta(microseconds=number),
                )
                for number, recorded in enumerate(told[first : first + AT_ONCE], start=1)
            ]
            columns, head = columns_of(head, batch)
            await connection.execute(SQL.insert_events, *columns)
        await connection.execute("ANALYZE stored_events")
    return head.position


async def _story(world: Registry) -> None:
    """A model is deployed, described and undeployed, and another one is deleted with its version."""
    model, version = await world.ready_version()
    service = await world.deploy_to(model, await world.environment(f"ns-{uuid4()}"))
    await _confirm(world, service)
    for wish in (
        models.Revise(project_id=world.project, model_id=model, name="renamed", labels={"team": "pricing"}),
        versions.Revise(project_id=world.project, version_id=version, description="the first one", is_default=True),
    ):
        await world.submit(wish)
    await world.undeploy(service)
    gone, _ = await world.ready_version()
    await world.submit(models.Revise(project_id=world.project, model_id=gone, state=ModelState.ARCHIVED))
    await world.submit(model_deletion.Delete(project_id=world.project, model_id=gone))


async def _confirm(world: Registry, service: ServiceId) -> None:
    events = [recorded.event for recorded in await world.events(service)]
    (asked,) = (event for event in events if isinstance(event, DeploymentRequested))
    ready = ConfirmDeployment(deployment_id=asked.deployment_id, external_id="uid-1", url="http://iris")
    await world.submit(deployments.Report(service, ready))


class _Copy:
    """The story about others: each id of it stands for one of theirs."""

    def __init__(self) -> None:
        self._ids: dict[bytes, bytes] = {}
        self._codec = Codec()

    def retell(self, recorded: Recorded) -> Recorded:
        state = _UUID.sub(lambda found: self._id(found[0]), encode(recorded.event))
        event = self._codec.decode(topic_of(recorded.event), state)
        project = ProjectId(self._uuid(recorded.context.project_id))
        context = Context(project, uuid4(), "a-copy")
        return structs.replace(recorded, stream=self._uuid(recorded.stream), event=event, context=context)

    def _uuid(self, original: UUID) -> UUID:
        return UUID(self._id(str(original).encode()).decode())

    def _id(self, original: bytes) -> bytes:
        return self._ids.setdefault(original, str(uuid4()).encode())
