"""What the commands need of the composition root, which they import only when they run."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from modeltrail.cli.event_reader import EventReader
from modeltrail.settings import Settings

if TYPE_CHECKING:
    from modeltrail.commands.erasure import Traces
    from modeltrail.commands.parked_tasks import Wish
    from modeltrail.domain.ids import DeploymentId
    from modeltrail.eventlog.auditor import Auditor
    from modeltrail.eventlog.rotation import KeyUse, Rotation
    from modeltrail.legacy.mover import Moved
    from modeltrail.legacy.tables import Source
    from modeltrail.projections.comparison import Compared, Difference
    from modeltrail.projections.log_import import Imported
    from modeltrail.projections.parked_tasks import ParkedTask
    from modeltrail.projections.rebuild import Rebuilt

__all__ = ["Core", "load_core"]


class Core(Protocol):
    """The part of `modeltrail.composition` that the commands call."""

    async def run_api(self, settings: Settings) -> None:
        """Serve until cancelled."""

    async def run_worker(self, settings: Settings) -> None:
        """Work until cancelled."""

    async def parked_tasks(self, settings: Settings) -> "list[ParkedTask]":
        """What the deploy worker has set aside."""

    async def decide_on_parked(
        self, settings: Settings, task: UUID, operator: str, decide: "Callable[[DeploymentId], Wish]"
    ) -> None:
        """Let `operator`, an address, retry or dismiss a parked task."""

    async def run_migrations(self, settings: Settings) -> list[str]:
        """Apply what the schema lacks; return the names of what was applied."""

    async def outdated_projections(self, settings: Settings) -> list[str]:
        """The names of those whose tables were filled by older code than this."""

    async def rebuild_outdated(
        self, settings: Settings, on_progress: Callable[[int, int], None], on_wait: Callable[[str], None]
    ) -> list[str]:
        """Rebuild what older code filled; return the names of what this process rebuilt."""

    async def rotate_secrets(
        self, settings: Settings, on_progress: Callable[[int, int], None]
    ) -> "tuple[Rotation, list[KeyUse]]":
        """Put all that is encrypted under the current key."""

    async def secrets_status(self, settings: Settings) -> "list[KeyUse]":
        """What each key is needed for."""

    def open_event_reader(self, settings: Settings) -> AbstractAsyncContextManager[EventReader]:
        """A reader of the log with a connection of its own."""

    def open_auditor(self, settings: Settings) -> AbstractAsyncContextManager["Auditor"]:
        """For those who look into the whole log."""

    async def find_person(self, settings: Settings, address: str) -> "Traces | None":
        """What an erasure would touch; None for a person who is not known."""

    async def import_log(
        self, settings: Settings, lines: Iterable[bytes], on_progress: Callable[[int], None]
    ) -> "Imported":
        """Bring the log of an export into the database."""

    async def import_legacy(
        self, settings: Settings, source: "Source", on_progress: Callable[[int, int], None], *, write: bool
    ) -> "Moved":
        """Take over what the old service's tables hold, or find out what would become of it."""

    async def erase_person(self, settings: Settings, address: str) -> "Traces | None":
        """Erase a person; what was touched, or None for a person who is not known."""

    async def verify_projections(
        self, settings: Settings, names: Sequence[str], on_progress: Callable[[int, int], None]
    ) -> "Compared":
        """Compare the read tables with the log; all without `names`."""

    async def stopped_rebuild(self, settings: Settings) -> list[str]:
        """The projections of the rebuild that was stopped; empty when none was."""

    async def rebuild_projections(
        self,
        settings: Settings,
        names: Sequence[str],
        on_progress: Callable[[int, int], None],
        confirm: "Callable[[Sequence[Difference]], bool] | None" = None,
        *,
        resume: bool = False,
    ) -> "Rebuilt | None":
        """Build read tables anew, all without `names`, or go on with that; None when `confirm` did not want them."""


def load_core() -> Core:
    from modeltrail import composition  # noqa: PLC0415 it brings everything along

    return composition
