"""What the command line does with the log as a whole: reading it, bringing it in, and erasing people."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.committing.rehearsal import Rehearsal
from modeltrail.commands.erasure import Traces, erase, find_traces, together
from modeltrail.composition.database import address_of, key_ring, open_connection, open_pool_in
from modeltrail.eventlog.auditor import Auditor
from modeltrail.eventlog.keys import KeysAtHand
from modeltrail.eventlog.people import People, PersonKeys, has_people
from modeltrail.eventlog.reader import LogReader
from modeltrail.eventlog.rotation import check_keys
from modeltrail.legacy.mover import Moved, Mover, Rehearsing, Sink, Writing
from modeltrail.legacy.tables import Source, open_tables
from modeltrail.postgres.connect import writer
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.log_import import Imported, LogImport
from modeltrail.projections.projection_status import check_versions
from modeltrail.projections.table import Table
from modeltrail.settings import Settings

# Whoever reads what is printed may take as long as they like: nobody else waits for it.
_AUDITOR = "SET application_name = 'modeltrail auditor'; SET statement_timeout = 0; SET idle_session_timeout = 0"
# But for him who holds the log's lock between two statements.
_WRITES = "RESET idle_session_timeout"


@asynccontextmanager
async def open_auditor(settings: Settings) -> AsyncGenerator[Auditor, None]:
    """For those who look into the whole log. Without secret keys they know nobody."""
    async with AsyncExitStack() as stack:
        pool = await open_pool_in(stack, settings, smallest=0, largest=2)
        connection = await writer(address_of(settings), statement_seconds=None)()
        stack.push_async_callback(connection.close)
        await connection.execute(_AUDITOR)
        if not settings.secret_keys:
            yield Auditor(connection, pool, PersonKeys(pool, KeysAtHand(None)))
            return
        keys = key_ring(settings)
        yield Auditor(connection, pool, PersonKeys(pool, KeysAtHand(keys)), People(pool, keys))


@asynccontextmanager
async def open_event_reader(settings: Settings) -> AsyncGenerator[LogReader, None]:
    """A reader of the log. It names those whose keys the secret keys open, if there are any."""
    async with AsyncExitStack() as stack:
        pool = await open_pool_in(stack, settings, smallest=1, largest=2)
        keys = key_ring(settings) if settings.secret_keys else None
        async with pool.acquire() as connection:
            yield LogReader(connection, PersonKeys(pool, KeysAtHand(keys)))


async def find_person(settings: Settings, address: str) -> Traces | None:
    """What an erasure would touch; None for a person who is not known."""
    keys = key_ring(settings)  # before anything is opened
    async with open_auditor(settings) as auditor:
        persons = await People(auditor.pool, keys).find(address)
        return together([await find_traces(auditor.connection, person) for person in persons])


async def erase_person(settings: Settings, address: str) -> Traces | None:
    """Erase a person; what was touched, or None for a person who is not known."""
    keys = key_ring(settings)  # before anything is opened
    async with open_auditor(settings) as auditor:
        persons = await People(auditor.pool, keys).find(address)
        await auditor.connection.execute(_WRITES)
        erased = [await erase(auditor.connection, person, f"erase-{uuid4()}") for person in persons]
        return together([traces for traces in erased if traces is not None])


async def import_log(settings: Settings, lines: Iterable[bytes], on_progress: Callable[[int], None]) -> Imported:
    """Bring the log of an export into the database, with its read tables. Raises SettingsError where people's keys are
    in the database, and none to open them with is configured."""
    async with open_auditor(settings) as auditor:
        await auditor.connection.execute(_WRITES)
        # Not the auditor's: an address that a key is missing for would be left out of the read tables for good.
        are_known = await has_people(auditor.pool)
        people = PersonKeys(auditor.pool, key_ring(settings)) if are_known else None
        return await LogImport(auditor.connection, INLINE, people).run(lines, on_progress)


async def import_legacy(
    settings: Settings, source: Source, on_progress: Callable[[int, int], None], *, write: bool
) -> Moved:
    """Take over what the old service's tables hold, or, without `write`, find out what would become of it."""
    keys = key_ring(settings)
    address = address_of(settings)
    async with AsyncExitStack() as stack:
        pool = await open_pool_in(stack, settings, smallest=0, largest=4)
        await check_keys(pool, keys)
        await check_versions(pool, INLINE)
        tables = await stack.enter_async_context(open_tables(source))
        connection = await stack.enter_async_context(open_connection(address))
        sink: Sink
        if write:
            committer = await stack.enter_async_context(Committer(writer(address), INLINE))
            sink = Writing(committer, People(pool, keys))
        else:
            sink = Rehearsing(await Rehearsal.begin(connection, [Table(each) for each in INLINE]))
        return await Mover(tables, sink, connection, keys).move(on_progress)
