"""What counting and tracing cost a call, in CPU of this process: `python -m benchmarks.telemetry`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping

from google.protobuf.message import Message
from rich.console import Console

from contract.client import CoreClient, Reply
from contract.methods import Method, load_methods
from telemetry import tracing
from telemetry.calls import CallCounts, CountedClient
from telemetry.metrics import Metrics
from telemetry.request_ids import CURRENT_ID

CALLS = 20_000
ROUNDS = 9
# Where nobody listens: what is sent there is dropped.
COLLECTOR = "http://127.0.0.1:9"

_METHOD = next(method for method in load_methods() if method.name == "ListCourses")
_REPLY = Reply(_METHOD.reply_type(), {})
_REQUEST, _METADATA = _METHOD.request_type(), {"x-request-id": "a" * 24}


class Nothing:
    """A core that answers at once."""

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        return _REPLY

    def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        raise NotImplementedError


async def _calls(client: CoreClient, count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        await client.call(_METHOD, _REQUEST, _METADATA, 30.0)
    return (time.thread_time() - began) / count * 1e6


async def _best(client: CoreClient, count: int = CALLS) -> float:
    return min([await _calls(client, count) for _ in range(ROUNDS)])


def _repeat(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(CALLS):
            work()
        best = min(best, (time.thread_time() - began) / CALLS * 1e6)
    return best


async def _scrape() -> float:
    """Milliseconds of the event loop that a scrape of 400 rows takes."""
    metrics = Metrics()
    counts = CallCounts("rest")
    for method in load_methods():
        for code in ("NOT_FOUND", "INTERNAL", "UNAVAILABLE"):
            counts.took[method].observe(0.01)
            counts.fail(method, code)
    with metrics.including(counts.figures):
        began = time.thread_time()
        figures = [figure for source in metrics._sources for figure in source()]
        taken = time.thread_time() - began
        assert len(figures) > 100
        await metrics.text()
    return taken * 1000


async def print_figures(console: Console) -> None:
    """Print microseconds a call, best of some rounds."""
    bare = await _best(Nothing())
    counted = await _best(CountedClient(Nothing(), CallCounts("rest")))
    console.print(f"counting a call: {counted - bare:.2f} µs; its id for the log: {_repeat(lambda: CURRENT_ID.set('x')):.2f} µs")
    console.print(f"tracing that is off, of a batched statement: {_repeat(lambda: tracing.batch((tracing.here(),))):.2f} µs")
    console.print(f"a scrape, on the event loop: {await _scrape():.2f} ms")
    tracing.start(COLLECTOR, "benchmark")
    try:
        traced = await _best(Metrics().counted(Nothing(), "rest"), CALLS // 20)
        console.print(f"tracing that is on, without statements: {traced - counted:.0f} µs a call")
    finally:
        await tracing.stop()


if __name__ == "__main__":
    asyncio.run(print_figures(Console()))
