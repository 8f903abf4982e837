"""Logging: structlog and the standard library's loggers write the same lines to standard error."""

import logging
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor

from modeltrail.settings import LogFormat, LoggerSettings

__all__ = ["configure_logs", "request_context"]

# Chatty on every request or frame; what they have to say at these levels is of no use to an operator.
_QUIET_LOGGERS = ("asyncio", "aiohttp.access", "kubernetes_asyncio", "urllib3")


def configure_logs(settings: LoggerSettings) -> None:
    """Send all logs to standard error at the given level and in the given format. May be called again."""
    level = getattr(logging, settings.level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings.format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # It logs tracebacks while a database is away, which those who ask it report in a sentence.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


def request_context(request_id: str, **values: str) -> AbstractContextManager[None]:
    """While it is open, every log line of this task and the tasks it starts carries the request id."""
    return structlog.contextvars.bound_contextvars(request_id=request_id, **values)


def _renderers(log_format: LogFormat) -> list[Processor]:
    match log_format:
        case LogFormat.JSON:
            return [
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_as_json),
            ]
        case LogFormat.CONSOLE:
            # The rich traceback shows local variables, and with them passwords and keys.
            return [
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
                )
            ]


def _as_json(line: Mapping[str, Any], **_options: object) -> str:  # Any: log values are of every type
    return msgspec.json.encode(line, enc_hook=repr).decode()
