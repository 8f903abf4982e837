"""An API that is killed when it has written and not yet answered: `python dying_api_process.py <dsn> <port>`."""

import asyncio
import os
import signal
import sys
from dataclasses import replace

from modeltrail.http.app import create_app
from modeltrail.server import serve
from support.api import running_services
from support.committing import Fragile, committer_on, connect_to, fragile
from support.database import Database

HOST = "127.0.0.1"


async def die(_connection: Fragile, statement: str) -> None:
    """The statement that writes commits by itself: when it returns, all is in the database and nobody knows."""
    if "INSERT INTO stored_events" in statement:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(database: Database, port: int) -> None:
    async with (
        running_services(database) as services,
        committer_on(fragile(connect_to(database), after=die)) as committer,
    ):
        await serve(create_app(replace(services, committer=committer)), HOST, port, services.streams.close)


if __name__ == "__main__":
    asyncio.run(main(Database.from_dsn(sys.argv[1]), int(sys.argv[2])))
