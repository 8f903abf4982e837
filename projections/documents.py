"""Reading single resources: ready-made JSON by primary key, many callers per query."""

from collections.abc import Collection
from typing import Any, Protocol
from uuid import UUID

from asyncpg import Connection, Pool, Record
from msgspec import Struct

from modeltrail.projections.projection import Projection
from modeltrail.projections.shared_reads import SharedReads

LARGEST = 256
AT_ONCE = 1


class Queried(Protocol):
    """Read tables, as they are now or were once: a connection, a pool, or what stands in for them."""

    async def fetch(self, query: str, *args: Any) -> list[Record]:  # noqa: ANN401 arguments of several types
        """The rows that a statement gives."""


class Document(Struct, frozen=True):
    """A resource as GET answers it. `parent_id` is what it belongs to, where a route names that, too."""

    id: UUID
    project_id: UUID
    revision: int
    parent_id: UUID | None
    body: bytes


async def read_documents(
    tables: Queried,
    projection: Projection[Any],  # Any: of any kind
    ids: Collection[UUID],
) -> dict[UUID, Document]:
    """The resources with these ids, as far as they exist."""
    return {
        record["id"]: Document(
            id=record["id"],
            project_id=record["project_id"],
            revision=record["revision"],
            parent_id=record["parent_id"],
            body=projection.document(record),
        )
        for record in await tables.fetch(projection.get_documents, list(ids))
    }


class DocumentReader:
    """Reads documents by id; those that wait together share a query.

    One query at a time: two would share among them what one takes at the same cost. (Measured with 16 and 64
    connections.)
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reads: dict[Projection[Any], SharedReads[Connection, UUID, Document]] = {}

    async def get(self, projection: Projection[Any], id_: UUID) -> Document | None:
        """The resource, or None. The caller checks whose it is."""
        reads = self._reads.get(projection)
        if reads is None:
            reads = SharedReads(
                self._pool.acquire,
                lambda connection, ids: read_documents(connection, projection, ids),
                largest=LARGEST,
                at_once=AT_ONCE,
            )
            self._reads[projection] = reads
        return await reads.get(id_)
