"""One process of many that write the log at the same time: `python writer_process.py <dsn> <process> <commands>`.

It prints one line for each command: its id, what came of it (`written`, `nothing` or `refused`).
"""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import random
import sys
from collections.abc import Iterator
from uuid import UUID, uuid4

import uvloop

from modeltrail.commands import models, versions
from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.decision import Command
from modeltrail.domain.errors import DomainError
from modeltrail.domain.ids import ModelId, VersionId
from modeltrail.domain.model_version_messages import VersionStatus
from support.committing import committer_on, connect_to, context, register, register_version, rename
from support.database import Database
from support.samples import PROJECT

WRITERS = 16


class Writer:
    """One of the process's writers: mostly busy with models of its own, sometimes after a name that others want."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._dice = random.Random(name)
        self._models: list[ModelId] = []
        self._versions: list[tuple[ModelId, VersionId]] = []

    def next(self, number: int) -> Command:
        """The next command. Most find what they need, because this writer's own commands come one after the other."""
        kind = self._dice.random()
        if not self._models or kind < 0.25:
            self._models.append(ModelId(uuid4()))
            return register(f"{self._name}-{number}", self._models[-1])
        model = self._dice.choice(self._models)
        if not self._versions or kind < 0.5:
            self._versions.append((model, VersionId(uuid4())))
            return register_version(f"v{number}", *self._versions[-1], is_default=self._dice.random() < 0.5)
        owner, version = self._dice.choice(self._versions)
        if kind < 0.6:
            return versions.Revise(project_id=PROJECT, version_id=version, model_id=owner, is_default=True)
        if kind < 0.7:
            return versions.Revise(
                project_id=PROJECT, version_id=version, status=self._dice.choice(list(VersionStatus))
            )
        if kind < 0.8:
            return models.Revise(project_id=PROJECT, model_id=model, description=f"{number}", labels={"n": f"{number}"})
        if kind < 0.9:
            return rename(model, f"everybody wants {self._dice.randrange(200)}")
        # A model of this name may be there already: then the id below stays unused.
        return register(f"everybody wants {self._dice.randrange(200)}")


async def write(committer: Committer, writer: Writer, numbers: Iterator[int]) -> list[tuple[UUID, str]]:
    outcomes = []
    for number in numbers:
        command_id = uuid4()
        try:
            outcome = await committer.submit(writer.next(number), context(command_id=command_id))
        except DomainError:
            outcomes.append((command_id, "refused"))
        else:
            outcomes.append((command_id, "written" if outcome.events else "nothing"))
    return outcomes


async def main(dsn: str, process: str, commands: int) -> None:
    numbers = iter(range(commands))
    async with committer_on(connect_to(Database.from_dsn(dsn))) as committer:
        outcomes = await asyncio.gather(
            *(write(committer, Writer(f"{process}-{writer}"), numbers) for writer in range(WRITERS))
        )
    for command_id, outcome in (each for some in outcomes for each in some):
        sys.stdout.write(f"{command_id} {outcome}\n")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
