"""Where the parts are put together: the API, the deploy worker, and what the command line needs of the log."""

from modeltrail.composition.records import (
    erase_person,
    find_person,
    import_legacy,
    import_log,
    open_auditor,
    open_event_reader,
)
from modeltrail.composition.running import run_api, run_worker
from modeltrail.composition.upkeep import (
    decide_on_parked,
    outdated_projections,
    parked_tasks,
    rebuild_outdated,
    rebuild_projections,
    rotate_secrets,
    run_migrations,
    secrets_status,
    stopped_rebuild,
    verify_projections,
)

__all__ = [
    "decide_on_parked",
    "erase_person",
    "find_person",
    "import_legacy",
    "import_log",
    "open_auditor",
    "open_event_reader",
    "outdated_projections",
    "parked_tasks",
    "rebuild_outdated",
    "rebuild_projections",
    "rotate_secrets",
    "run_api",
    "run_migrations",
    "run_worker",
    "secrets_status",
    "stopped_rebuild",
    "verify_projections",
]
