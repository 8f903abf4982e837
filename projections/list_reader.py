"""Reading pages of lists, many callers per query."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from asyncpg import Connection, Pool, Record
from msgspec import Struct

from modeltrail.projections.shared_reads import SharedReads

# Measured at 100,000 models: one of 8 pages that share a query costs a quarter of a page on its own, and one of 8
# searches 40%. A search that matches a whole large project takes a quarter of a second, and so do those that share it.
LARGEST = 8
AT_ONCE = 4

Asked = tuple[object, ...]
"""The values of one page: limit, offset, then those of the filters."""


class Page(Struct, frozen=True):
    """Some of the matches. `items` is their JSON with commas between, `returned` how many they are, `total` of how
    many."""

    items: bytes
    returned: int
    total: int


class PageReader(Protocol):
    """Answers the statements of listings."""

    async def page(self, statement: str, asked: Asked) -> Page:
        """What `statement` answers to this. It takes an array per value, and gives the number of each with its page."""


class ListReader:
    """Reads pages; those of the same statement that wait together share a query."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reads: dict[str, SharedReads[Connection, Asked, Page]] = {}

    async def page(self, statement: str, asked: Asked) -> Page:
        """What `statement` answers to this. It takes an array per value, and gives the number of each with its page."""
        reads = self._reads.get(statement)
        if reads is None:
            read = partial(_read, statement)
            reads = SharedReads(self._pool.acquire, read, largest=LARGEST, at_once=AT_ONCE)
            self._reads[statement] = reads
        page = await reads.get(asked)
        if page is None:
            raise RuntimeError("a list was not answered")
        return page


async def _read(statement: str, connection: Connection, asked: Sequence[Asked]) -> Mapping[Asked, Page]:
    return pages_in(await connection.fetch(statement, *columns(asked)), asked)


def columns(asked: Sequence[Asked]) -> list[list[object]]:
    """The arguments of a statement that answers all of `asked`."""
    return [list(values) for values in zip(*asked, strict=True)]


def pages_in(rows: Iterable[Record], asked: Sequence[Asked]) -> dict[Asked, Page]:
    """What the statement answered to each."""
    return {asked[row["number"] - 1]: Page(row["items"], row["returned"], row["total"]) for row in rows}
