"""A full registry to measure on: 100,000 models with three versions each in one project, 1,000 in another.

They come in through the committer, in batches as large as it makes them: the log, its chain and every read table are
what production would have after as many requests.
"""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from benchmarks.database import fresh_database
from modeltrail.commands import models, versions
from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.decision import Command
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.model_version_messages import Artifact, RegisterVersion
from modeltrail.domain.registered_model_messages import RegisterModel, Tags
from modeltrail.eventlog.record import Context
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE

LARGE = 100_000
SMALL = 1_000
VERSIONS = 3
ALIKE = 20  # so many models share the word that a search is for
MODELS_A_BATCH = 1_000

_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]
_TYPES = ("CUSTOMTRAIN", "LLM", "VISION")


@dataclass(frozen=True)
class Contents:
    """One project's models: their ids, those of their versions, and the words that are in `ALIKE` names each."""

    project: ProjectId
    models: list[UUID]
    versions: list[UUID]
    words: list[str]


@dataclass(frozen=True)
class Registry:
    """A database, and what is in it."""

    address: DatabaseAddress
    large: Contents
    small: Contents


async def filled(server: EmbeddedPostgres, name: str) -> Registry:
    """A new database with both projects, and statistics as autovacuum takes them a minute later."""
    address = await fresh_database(server, name)
    async with Committer(writer(address), INLINE, max_batch=MODELS_A_BATCH * VERSIONS) as committer:
        small = await _fill(committer, SMALL, random.Random(1))
        large = await _fill(committer, LARGE, random.Random(2))
    connection = await writer(address, statement_seconds=None)()
    try:
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    return Registry(address, large, small)


async def _fill(committer: Committer, size: int, chance: random.Random) -> Contents:
    contents = Contents(ProjectId(new_id()), [], [], _words(size // ALIKE, chance))
    for first in range(0, size, MODELS_A_BATCH):
        made = [
            _model(contents, f"{contents.words[number % len(contents.words)]}-forecast-{number:06}")
            for number in range(first, min(first + MODELS_A_BATCH, size))
        ]
        # The models before their versions: a batch is slow where most commands wait for what another one makes.
        await _submit(committer, contents.project, [model for model, _ in made])
        await _submit(committer, contents.project, [version for _, its_versions in made for version in its_versions])
    return contents


async def _submit(committer: Committer, project: ProjectId, commands: Iterable[Command]) -> None:
    contexts = ((command, Context(project, new_id(), str(new_id()))) for command in commands)
    await asyncio.gather(*(committer.submit(command, context) for command, context in contexts))


def _words(count: int, chance: random.Random) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices(_SYLLABLES, k=4))] = None
    return list(words)


def _model(contents: Contents, name: str) -> tuple[Command, list[Command]]:
    """The commands that register a model, and its versions, the first of them its default."""
    model, project = ModelId(new_id()), contents.project
    register = RegisterModel(
        model_id=model,
        project_id=project,
        name=name,
        description=f"Forecasts {name} a week ahead, trained anew each night.",
        model_type=_TYPES[len(contents.models) % len(_TYPES)],
        tags=Tags(frameworks=("sklearn",), tasks=("forecasting",)),
        labels={"team": "pricing", "stage": "production"},
    )
    its_versions: list[Command] = []
    contents.models.append(model)
    for number in range(1, VERSIONS + 1):
        version = VersionId(new_id())
        wish = RegisterVersion(
            project_id=project,
            registered_model_id=model,
            name=f"v{number}",
            artifact=Artifact("model-artifact", "sklearn", "1.4", "", f"s3://models/{name}/{number}"),
            labels={"commit": f"{number:040x}"},
        )
        its_versions.append(versions.Register(version_id=version, wish=wish, is_default=number == 1))
        contents.versions.append(version)
    return models.Register(register), its_versions
