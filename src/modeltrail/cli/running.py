"""Runs a coroutine until it is done or the process is asked to stop."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from modeltrail.settings import Settings

new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None
try:
    from uvloop import new_event_loop
except ImportError:  # it is not made for every platform
    new_event_loop = None

__all__ = ["load_settings", "new_event_loop", "run_until_stopped"]


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, with the logs set up as they say."""
    # Here, because its libraries take longer to load than most commands to run, and only services log.
    from modeltrail.logs import configure_logs  # noqa: PLC0415

    settings = Settings.from_environment(environ)
    configure_logs(settings.logger)
    for warning in settings.warnings:
        logging.getLogger(__name__).warning(warning)
    return settings


def run_until_stopped(
    service: Coroutine[Any, Any, None],  # Any: nothing is sent to it
    *,
    on_impatience: Callable[[], None] = lambda: None,
) -> None:
    """Run `service`; SIGINT and SIGTERM cancel it, and then its end is a good one.

    A second signal ends the process at once, after a call of `on_impatience`.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_stoppable(service, on_impatience))


async def _stoppable(service: Coroutine[Any, Any, None], on_impatience: Callable[[], None]) -> None:
    task = asyncio.ensure_future(service)
    stopping = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            on_impatience()
            os._exit(128 + number)
        stopping = True
        task.cancel()

    if threading.current_thread() is threading.main_thread():  # signals reach no other one
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise
