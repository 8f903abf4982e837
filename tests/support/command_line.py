"""The `modeltrail` command on a test's database."""

import asyncio
import contextlib
import io
import logging
import os
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from unittest import mock

import structlog

from modeltrail.cli.main import run
from support.database import Database

KEY = ("test", b"k" * 32)  # as the API of the tests has
SECRET_KEYS = f"{KEY[0]}:{b64encode(KEY[1]).decode()}"


def environment_of(database: Database) -> dict[str, str]:
    """The variables that lead to the database, and a secret key."""
    return os.environ | {
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "DATABASE_DBNAME": database.name,
        "MODELTRAIL_SECRET_KEYS": SECRET_KEYS,
    }


async def modeltrail(database: Database, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; in a process of its own only when it is to read `stdin`."""
    if stdin is None:
        return await asyncio.to_thread(_run_here, environment_of(database), arguments)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", *arguments, env=environment_of(database),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _run_here(environment: Mapping[str, str], arguments: Sequence[str]) -> tuple[int, str, str]:
    """All that `python -m modeltrail` does, but for loading its libraries, which takes most of the time."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _same_logs_afterwards(),
    ):
        code = run(arguments)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return code, texts[0], texts[1]


@contextlib.contextmanager
def _same_logs_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
