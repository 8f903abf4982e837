"""Log lines have one form, whoever writes them."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from modeltrail.logs import configure_logs, request_context
from modeltrail.settings import LogFormat, LoggerSettings, LogLevel


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_structlog_and_the_standard_library_write_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LoggerSettings(level=LogLevel.INFO, format=LogFormat.JSON))

    with request_context("r-1"):
        structlog.get_logger("ours").info("deployed", service="iris")
        logging.getLogger("theirs").warning("slow by %d ms", 7, extra={"table": "models"})
    structlog.get_logger("ours").info("later")

    captured = capsys.readouterr()
    ours, theirs, later = (json.loads(line) for line in captured.err.splitlines())
    assert captured.out == ""
    assert (ours["event"], ours["level"], ours["logger"], ours["service"]) == ("deployed", "info", "ours", "iris")
    assert (theirs["event"], theirs["level"], theirs["table"]) == ("slow by 7 ms", "warning", "models")
    assert ours["request_id"] == theirs["request_id"] == "r-1"
    assert "request_id" not in later


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LoggerSettings(level=LogLevel.ERROR, format=LogFormat.JSON))

    structlog.get_logger("ours").warning("dropped")
    logging.getLogger("theirs").warning("dropped")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str], log_format: LogFormat) -> None:
    configure_logs(LoggerSettings(level=LogLevel.INFO, format=log_format))

    password = "-".join(["hunter", "2"])
    try:
        int(f"x{len(password)}")
    except ValueError:
        structlog.get_logger("ours").exception("failed")

    error = capsys.readouterr().err
    assert "ValueError: invalid literal" in error
    assert password not in error
