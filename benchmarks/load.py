"""The load generator: a process of its own that keeps a number of connections busy for a while.

One request per connection is under way at any time, and the next follows the answer at once. `measure` starts the
process, `python -m benchmarks.load` is the process: a Job in on stdin, a Measurement out on stdout.
"""

import asyncio
import os
import sys
import time
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

UNIQUE = b"@" * 32  # each request that holds this has 32 other hexadecimal digits there
PATIENCE_SECONDS = 30.0


class Job(Struct, frozen=True):
    """What to send: whole HTTP/1.1 requests, one after the other and from the beginning again."""

    port: int
    connections: int
    seconds: float
    requests: list[bytes]


class Measurement(Struct, frozen=True):
    """What came of it. Latencies in milliseconds; `body` is the last answer's, in bytes."""

    rate: float
    median: float
    p99: float
    body: int


async def measure(port: int, connections: int, seconds: float, requests: list[bytes]) -> Measurement:
    """Run a Job. Raises RuntimeError when a request is refused."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    job = msgspec.msgpack.encode(Job(port, connections, seconds, requests))
    answer, _ = await process.communicate(job)
    if process.returncode != 0:
        raise RuntimeError("the load generator failed")
    return msgspec.msgpack.decode(answer, type=Measurement)


class _Load:
    def __init__(self, job: Job) -> None:
        self._requests = job.requests
        self._sent = 0
        self._end = time.perf_counter() + job.seconds
        self._prefix = os.urandom(8).hex()
        self.latencies: list[float] = []
        self.body = 0
        self.failure = ""

    def next_request(self) -> bytes | None:
        """The next request, or None when time is up."""
        if time.perf_counter() > self._end or self.failure:
            return None
        request = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        if UNIQUE in request:
            return request.replace(UNIQUE, b"%s%016x" % (self._prefix.encode(), self._sent))
        return request


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._started = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is, but not by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._load.latencies.append(time.perf_counter() - self._started)
        self._load.body = length
        self._received = b""
        if head[9:10] != b"2":
            self._load.failure = (head.partition(b"\r\n")[0] + b" " + body[:500]).decode(errors="replace")
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        if not self._transport.is_closing():
            self._load.failure = f"the connection was lost: {error}"

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(request)


async def _run(job: Job) -> Measurement:
    load = _Load(job)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    pairs = [
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", job.port) for _ in range(job.connections)
    ]
    async with asyncio.timeout(job.seconds + PATIENCE_SECONDS):
        await asyncio.gather(*(connection.closed for _, connection in pairs))
    taken = time.perf_counter() - begun
    if load.failure or not load.latencies:
        raise SystemExit(load.failure or "nothing was answered")
    in_order = sorted(load.latencies)
    return Measurement(
        rate=len(in_order) / taken,
        median=in_order[len(in_order) // 2] * 1000,
        p99=in_order[int(len(in_order) * 0.99)] * 1000,
        body=load.body,
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
        sys.stdout.buffer.write(msgspec.msgpack.encode(runner.run(_run(job))))
