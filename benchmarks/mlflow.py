"""MLflow's tracking server, from a virtual environment of its own, on the PostgreSQL that ours runs on.

`make bench-peers` installs it: it brings a hundred packages, which nothing else here needs.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp

from benchmarks.api import answers
from benchmarks.database import empty_database
from benchmarks.registry import Contents
from modeltrail.cli.ports import free_port
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres

MLFLOW = Path(__file__).parent.parent / ".venv-peers" / "bin" / "mlflow"
API = "/api/2.0/mlflow"
START_SECONDS = 120.0

# MLflow's own row of a model and of a version, over and over, with other names: what all its columns are is its affair.
_FILL = """
INSERT INTO registered_models
SELECT (jsonb_populate_record(template, jsonb_build_object('name', names.name))).*
FROM registered_models AS template, unnest($1::text[]) AS names(name) WHERE template.name = 'template';
"""
_FILL_VERSIONS = """
INSERT INTO model_versions
SELECT (jsonb_populate_record(template, jsonb_build_object('name', names.name, 'version', number))).*
FROM model_versions AS template, unnest($1::text[]) AS names(name), generate_series(1, 3) AS number
WHERE template.name = 'template';
"""


class MLflow:
    """A running tracking server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, name: str) -> bytes:
        """A request for a model, which shows its newest version, too."""
        return self._request("GET", f"/registered-models/get?name={quote(name)}")

    def search(self, part: str) -> bytes:
        """A request for the first 20 models with `part` in their names."""
        wanted = quote(f"name ILIKE '%{part}%'")
        return self._request("GET", f"/registered-models/search?max_results=20&filter={wanted}")

    def create(self, body: bytes) -> bytes:
        """A request that registers a model."""
        return self._request("POST", "/registered-models/create", body)

    def _request(self, method: str, path: str, body: bytes = b"") -> bytes:
        head = f"{method} {API}{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def mlflow(server: EmbeddedPostgres, contents: Contents) -> AsyncGenerator[MLflow, None]:
    """A server with as many models as `contents`, called by their ids and words, with three versions each."""
    address = await empty_database(server, "bench_mlflow")
    port = free_port("127.0.0.1", 0)
    store = f"postgresql+psycopg2://{address.user}@/{address.database}?host={address.host}&port={address.port}"
    process = await asyncio.create_subprocess_exec(
        *(str(MLFLOW), "server", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await answers(port, "/health", START_SECONDS)
        await _make_templates(port)
        await _fill(address, contents)
        yield MLflow(port)
    finally:
        process.terminate()
        await process.wait()


async def _make_templates(port: int) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path, body in (("registered-models", {}), ("model-versions", {"source": "s3://models/template"})):
            async with session.post(f"{API}/{path}/create", json={"name": "template", **body}) as response:
                response.raise_for_status()


async def _fill(address: DatabaseAddress, contents: Contents) -> None:
    names = [name_of(contents, number) for number in range(len(contents.models))]
    connection = await writer(address)()
    try:
        await connection.execute(_FILL, names)
        await connection.execute(_FILL_VERSIONS, names)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def name_of(contents: Contents, number: int) -> str:
    """A name with a word in it that as many models share as in our own registry."""
    return f"{contents.words[number % len(contents.words)]}-{contents.models[number]}"
