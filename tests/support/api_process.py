"""`modeltrail serve` as operators run it: a process of its own, on a test's database."""

import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from modeltrail.cli.ports import free_port
from support.database import Database

HOST = "127.0.0.1"
START_SECONDS = 30.0


@contextmanager
def api_process(database: Database, folder: Path, **settings: str) -> Iterator[str]:
    """Its URL, once it answers. Its log is in `folder`; `settings` are variables that differ from the usual ones."""
    with mortal_api_process(database, folder, **settings) as (url, _):
        yield url


@contextmanager
def mortal_api_process(
    database: Database, folder: Path, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The same, with the process, to be killed."""
    port = free_port(HOST, 0)
    url = f"http://{HOST}:{port}"
    environment = os.environ | {
        "SERVER_HOST": HOST,
        "SERVER_PORT": str(port),
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "DATABASE_DBNAME": database.name,
        "KSERVE_ENABLED": "true",
        "KSERVE_DEPLOYMENT_MODE": "Knative",
        "MODELTRAIL_SECRET_KEYS": "test:" + b64encode(bytes(32)).decode(),
        **settings,
    }
    command = [sys.executable, "-m", "modeltrail", "serve"]
    log = folder / "api.log"
    with log.open("ab") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            _wait_for(process, url, log)
            yield url, process
        finally:
            process.terminate()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the API did not start:\n{log.read_text()}")
