"""The first answers to requests with an idempotency key, kept for those who ask again."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Connection
from msgspec import Struct

from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.commands", "remembered.sql")
KEPT = timedelta(hours=24)
DELETED_PER_KEPT = 4  # expired rows go faster than new ones come, and no write has much to delete

KeyInProject = tuple[UUID, bytes]


class Remembered(Struct, frozen=True):
    """What a request was answered with: the answer in `box`, sealed, and what the request is known by."""

    project_id: UUID
    key: bytes
    fingerprint: bytes
    box: bytes

    def __repr__(self) -> str:
        return f"Remembered(project_id={self.project_id})"


async def load_remembered(connection: Connection, keys: Collection[KeyInProject]) -> dict[KeyInProject, Remembered]:
    """What is remembered under these keys. What has expired is forgotten, whether its row is there or not."""
    projects, digests = [project for project, _ in keys], [key for _, key in keys]
    rows = await connection.fetch(SQL.get_remembered, projects, digests, KEPT)
    return {(row["project_id"], row["key"]): Remembered(**row) for row in rows}


def columns_of(remembered: Sequence[Remembered]) -> list[Any]:  # Any: four columns, a duration and a number
    """The arguments that `save_remembered` and `delete_expired` have in common."""
    return [
        [each.project_id for each in remembered],
        [each.key for each in remembered],
        [each.fingerprint for each in remembered],
        [each.box for each in remembered],
        KEPT,
        DELETED_PER_KEPT * len(remembered),
    ]
