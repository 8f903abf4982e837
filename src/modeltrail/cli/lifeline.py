"""Ends the processes that `modeltrail dev` started when it is gone, even by `kill -9`.

`dev` holds the writing end of a pipe and its children the reading end, on which they wait: nothing is ever
written, so the read returns only when `dev` has ended. Unlike Linux's PR_SET_PDEATHSIG this also works on
macOS, and does not mistake the end of a thread for the end of the process.
"""

import os
import signal
import threading
import time

__all__ = ["LIFELINE_VARIABLE", "hold_on"]

LIFELINE_VARIABLE = "MODELTRAIL_LIFELINE"

_PATIENCE = 3.0
"""Seconds that a child has for a stop in good order."""


def hold_on() -> None:
    """Watch the pipe whose descriptor the environment names, from a thread of its own."""
    # Taken out, as processes that this one starts do not inherit the descriptor.
    descriptor = int(os.environ.pop(LIFELINE_VARIABLE))
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    # `dev` makes each child the leader of a group, which takes its own children along.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
