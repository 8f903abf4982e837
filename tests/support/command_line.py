"""The `modeltrail` command in a process of its own, on a test's database."""

import asyncio
import os
import sys
from base64 import b64encode

from support.database import Database

KEY = ("test", b"k" * 32)  # as the API of the tests has


def environment_of(database: Database) -> dict[str, str]:
    """The variables that lead to the database, and a secret key."""
    return os.environ | {
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "DATABASE_DBNAME": database.name,
        "MODELTRAIL_SECRET_KEYS": f"{KEY[0]}:{b64encode(KEY[1]).decode()}",
    }


async def modeltrail(database: Database, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", *arguments, env=environment_of(database),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
