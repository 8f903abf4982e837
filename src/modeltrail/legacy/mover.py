"""Taking all of the old service's rows over, page by page. What was taken over before is left as it is."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID, uuid4

from asyncpg import Connection
from msgspec import Struct, field

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.committing.rehearsal import Rehearsal
from modeltrail.commands.credentials import seal_credentials
from modeltrail.commands.decision import Command
from modeltrail.commands.takeovers import ModelTakeover, VersionTakeover
from modeltrail.domain.errors import DomainError, ForgottenPersonError
from modeltrail.domain.ids import ProjectId
from modeltrail.domain.model_version_messages import TakeOverVersion
from modeltrail.domain.personal import Personal
from modeltrail.domain.registered_model_messages import TakeOverModel
from modeltrail.eventlog.first_mention import NOBODY
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.people import People
from modeltrail.eventlog.record import Context, System
from modeltrail.legacy.rows import LegacyModel, LegacyVersion, Oddity, Reading
from modeltrail.legacy.tables import LegacyTables, ModelPage

PAGE = 200  # models; with their versions they are held in memory
ACTOR = System("import-legacy")
HOMELESS = "it belongs to no project, so no path would lead to it"
ORPHAN = "its model is not in these tables, so no path would lead to it"

_TAKEN_OVER = """SELECT originator_id, notification_id FROM stored_events
WHERE topic = $1 AND notification_id > $2 AND originator_version = 1
AND EXISTS (SELECT FROM {here} WHERE id = originator_id) ORDER BY notification_id LIMIT 1000"""

Wish = tuple[Command, Context]
Verdict = int | Exception
"""How many events a command added, or why it was refused."""


class Refusal(Struct, frozen=True):
    """A row that cannot be taken over, and why."""

    id: UUID
    says: str


class Tally(Struct):
    """What became of the rows of one table. `gone` were taken over before, and are not there any more."""

    new: int = 0
    changed: int = 0
    same: int = 0
    oddities: list[Oddity] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)


class Moved(Struct):
    """What became of all rows."""

    models: Tally = field(default_factory=Tally)
    versions: Tally = field(default_factory=Tally)


class Sink(Protocol):
    """Where commands go, and who seals people's addresses for them."""

    async def begin_page(self) -> None:
        """A page of models, and their versions, follows."""

    async def decide(self, wishes: Sequence[Wish]) -> list[Verdict]:
        """The verdict on each."""

    async def seal(self, address: str) -> Personal:
        """The address as personal data."""


class Writing:
    """Commands are written."""

    def __init__(self, committer: Committer, people: People) -> None:
        self._committer = committer
        self._people = people

    async def begin_page(self) -> None: ...

    async def decide(self, wishes: Sequence[Wish]) -> list[Verdict]:
        outcomes = await asyncio.gather(*(self._submit(*wish) for wish in wishes))
        return list(outcomes)

    async def seal(self, address: str) -> Personal:
        return await self._people.seal(address)

    async def _submit(self, command: Command, context: Context) -> Verdict:
        try:
            return (await self._committer.submit(command, context)).events
        except ForgottenPersonError as refusal:
            self._people.forget(refusal.persons)  # or the next pages' rows that name them would be refused, too
            return refusal
        except DomainError as refusal:
            return refusal


class Rehearsing:
    """Commands are decided, and nothing is written: no key of a person either."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal

    async def begin_page(self) -> None:
        await self._rehearsal.begin_anew()

    async def decide(self, wishes: Sequence[Wish]) -> list[Verdict]:
        return await self._rehearsal.decide(wishes)

    async def seal(self, address: str) -> Personal:
        return Personal(NOBODY, b"", address)


class Mover:
    """Moves from `tables` to `sink`. `connection` leads to our own database; `keys` seal what opens storage."""

    def __init__(self, tables: LegacyTables, sink: Sink, connection: Connection, keys: KeyRing) -> None:
        self._tables = tables
        self._sink = sink
        self._connection = connection
        self._keys = keys
        self._request_id = f"import-legacy-{uuid4()}"

    async def move(self, on_progress: Callable[[int, int], None]) -> Moved:
        """Take over what is new or has changed there. Safe to break off, and to repeat.

        `on_progress` is told how many rows are done, and how many there are.
        """
        moved, done, total = Moved(), 0, sum(await self._tables.count())
        async for page in self._tables.pages(PAGE):
            await self._move_page(page, moved)
            done += len(page.models) + len(page.versions)
            on_progress(done, total)
        moved.versions.refused += [Refusal(id_, ORPHAN) for id_ in await self._tables.orphans()]
        moved.models.gone = await self._gone(self._tables.models, "registered_model.taken_over", "models")
        moved.versions.gone = await self._gone(self._tables.versions, "model_version.taken_over", "model_versions")
        return moved

    async def _move_page(self, page: ModelPage, moved: Moved) -> None:
        models = {}
        wishes: dict[UUID, Wish] = {}
        for row in page.models:
            if row["project_id"] is None:
                moved.models.refused.append(Refusal(row["id"], HOMELESS))
                continue
            reading = Reading(row)
            model = models[row["id"]] = reading.model(row["default_id"], row["defaults"])
            moved.models.oddities += reading.oddities
            wishes[model.id] = await self._model_wish(model)
        await self._sink.begin_page()
        await self._take(wishes, moved.models)
        wishes = {}
        for row in page.versions:
            if row["registered_model_id"] not in models:
                moved.versions.refused.append(Refusal(row["id"], HOMELESS))
                continue
            reading, model = Reading(row), models[row["registered_model_id"]]
            version = reading.version(is_default=row["id"] == model.origin.default_version_id)
            moved.versions.oddities += reading.oddities
            wishes[version.id] = await self._version_wish(version, ProjectId(model.project_id))
        await self._take(wishes, moved.versions)

    async def _take(self, wishes: dict[UUID, Wish], tally: Tally) -> None:
        known = await self._connection.fetch(
            "SELECT originator_id FROM stored_events WHERE originator_id = ANY($1::uuid[]) AND originator_version = 1",
            list(wishes),
        )
        before = {row["originator_id"] for row in known}
        verdicts = await self._sink.decide(list(wishes.values()))
        for id_, verdict in zip(wishes, verdicts, strict=True):
            match verdict:
                case DomainError():
                    tally.refused.append(Refusal(id_, verdict.message))
                case Exception():
                    raise verdict
                case 0:
                    tally.same += 1
                case _ if id_ in before:
                    tally.changed += 1
                case _:
                    tally.new += 1

    async def _model_wish(self, model: LegacyModel) -> Wish:
        project = ProjectId(model.project_id)
        wish = TakeOverModel(
            model_id=model.id,
            project_id=project,
            owner_email=await self._person(model.owner_email),
            origin=model.origin,
            fingerprint=model.fingerprint,
        )
        return ModelTakeover(wish), self._context(project)

    async def _version_wish(self, version: LegacyVersion, project: ProjectId) -> Wish:
        credentials = seal_credentials(self._keys, project, version.id, version.access_key, version.secret_key)
        wish = TakeOverVersion(
            project_id=project,
            registered_model_id=version.registered_model_id,
            created_by_email=await self._person(version.created_by_email),
            updated_by_email=await self._person(version.updated_by_email),
            origin=version.origin,
            has_credentials=credentials is not None,
            fingerprint=version.fingerprint,
        )
        return VersionTakeover(version_id=version.id, wish=wish, credentials=credentials), self._context(project)

    async def _person(self, address: str) -> Personal | None:
        return await self._sink.seal(address) if address else None

    def _context(self, project: ProjectId) -> Context:
        return Context(project, uuid4(), self._request_id, ACTOR)

    async def _gone(self, table: str, topic: str, here: str) -> list[UUID]:
        """What was taken over and is still here, but not there."""
        gone: list[UUID] = []
        after = 0
        while rows := await self._connection.fetch(_TAKEN_OVER.format(here=here), topic, after):
            gone += await self._tables.missing(table, [row["originator_id"] for row in rows])
            after = rows[-1]["notification_id"]
        return gone
