"""Calls counted at a door: by method and code, with the time they took. A door's client is wrapped where it is composed."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from time import perf_counter

from google.protobuf.message import Message

from contract.client import CoreClient, Reply
from contract.errors import CallError
from contract.metadata import REQUEST_ID
from contract.methods import Method
from telemetry.figures import CALL_SECONDS, Figure, Histogram, Spread

log = logging.getLogger("skillforge.calls")

# A call that took longer is told of, also when it succeeded; but of a method one a second is enough when all are slow.
SLOW_SECONDS = 2.0
_PAUSE_SECONDS = 1.0
_CALLS = "Calls that ended, by method, door and code."
_SECONDS = "How long calls took, lasting streams aside."
_RUNNING = "Calls in work now."


class _ByMethod(dict[Method, Histogram]):
    def __missing__(self, method: Method) -> Histogram:
        made = self[method] = Histogram(CALL_SECONDS)
        return made


class CallCounts:
    """What went through one door ("rest", "grpc", "ws")."""

    def __init__(self, door: str) -> None:
        self.door = door
        self.running = 0
        # Every call but lasting streams; those that failed are counted by code beside it.
        self.took = _ByMethod()
        self.failed: Counter[tuple[Method, str]] = Counter()
        # Lasting streams that began.
        self.began: Counter[Method] = Counter()

    def fail(self, method: Method, code: str) -> None:
        """Count a failure, such as "NOT_FOUND"."""
        self.failed[method, code] += 1

    def figures(self) -> Iterator[Figure | Spread]:
        """All of it."""
        ended: Counter[tuple[Method, str]] = Counter(self.failed)
        failures: Counter[Method] = Counter()
        for (method, _), count in self.failed.items():
            failures[method] += count
        for method, histogram in self.took.items():
            labels = self._labels(method)
            yield histogram.spread("skillforge_call_seconds", _SECONDS, *labels)
            ended[method, "OK"] = sum(histogram.counts) - failures[method]
        for (method, code), count in ended.items():
            yield Figure("skillforge_calls_total", _CALLS, count, (*self._labels(method), ("code", code)))
        for method, count in self.began.items():
            yield Figure("skillforge_streams_begun_total", "Lasting streams that were asked for.", count, self._labels(method))
        yield Figure("skillforge_calls_running", _RUNNING, self.running, (("door", self.door),))

    def _labels(self, method: Method) -> tuple[tuple[str, str], ...]:
        return ("method", method.path[1:]), ("door", self.door)


class CountedClient:
    """A client whose calls are counted."""

    def __init__(self, client: CoreClient, counts: CallCounts) -> None:
        self._call = client.call
        self._stream = client.stream
        self._counts = counts
        self._tell_from: dict[Method, float] = {}

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        """Call a unary method."""
        counts = self._counts
        began = perf_counter()
        counts.running += 1
        try:
            return await self._call(method, request, metadata, timeout)
        except BaseException as error:
            counts.fail(method, _code_of(error))
            raise
        finally:
            seconds = perf_counter() - began
            counts.running -= 1
            histogram = counts.took[method]
            # What `observe` does: here a call of a function would be a fifth of the whole.
            histogram.counts[bisect_left(CALL_SECONDS, seconds)] += 1
            histogram.sum += seconds
            if seconds > SLOW_SECONDS and began + seconds >= self._tell_from.get(method, 0.0):
                self._tell_from[method] = began + seconds + _PAUSE_SECONDS
                self._tell_slow(method, metadata, seconds)

    def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        """Call a server-streaming method."""
        if method.lasting:
            self._counts.began[method] += 1
            return _Lasting(self._stream(method, request, metadata, timeout), method, self._counts)
        return self._counted(method, request, metadata, timeout)

    async def _counted(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        counts = self._counts
        began = perf_counter()
        counts.running += 1
        try:
            async for message in self._stream(method, request, metadata, timeout):
                yield message
        except BaseException as error:
            counts.fail(method, _code_of(error))
            raise
        finally:
            counts.running -= 1
            counts.took[method].observe(perf_counter() - began)

    def _tell_slow(self, method: Method, metadata: Mapping[str, str], seconds: float) -> None:
        fields: dict[str, object] = {"method": method.path, "door": self._counts.door, "milliseconds": round(seconds * 1000, 2)}
        if REQUEST_ID in metadata:
            fields["request_id"] = metadata[REQUEST_ID]
        log.warning("%s was slow", method.name, extra={"fields": fields})


class _Lasting:
    """A stream of hours, one a socket: nothing stands between it and its reader once it has begun."""

    __slots__ = ("_counts", "_method", "_next", "_stream")

    def __init__(self, stream: AsyncIterator[Message], method: Method, counts: CallCounts) -> None:
        self._stream = stream
        self._method = method
        self._counts = counts
        self._next = self._first

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    def __anext__(self) -> Awaitable[Message]:
        return self._next()

    async def _first(self) -> Message:
        self._next = self._stream.__anext__  # type: ignore[assignment]  # an awaitable is all that is asked for
        try:
            return await self._stream.__anext__()
        except CallError as error:
            self._counts.fail(self._method, error.code_name)
            raise


def _code_of(error: BaseException) -> str:
    if isinstance(error, CallError):
        return error.code_name
    # Whoever called is gone: a client that hung up, a reader of a stream that had enough.
    return "CANCELLED" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "UNKNOWN"
