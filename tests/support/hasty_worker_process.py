"""`modeltrail worker` that waits seconds where operators' wait a minute: `python hasty_worker_process.py worker`."""

from datetime import timedelta

from modeltrail.__main__ import main
from modeltrail.workers import lease, repairs, settling

repairs.PAUSE_SECONDS = 1.0
settling.SETTLING_SECONDS = 2.0
lease.TERM = timedelta(seconds=5)
lease.RENEWAL_SECONDS = 1.0

if __name__ == "__main__":
    main()
