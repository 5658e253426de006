"""All figures of a process, and the answer to a scrape."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from contract.client import CoreClient
from telemetry import tracing
from telemetry.calls import CallCounts, CountedClient
from telemetry.exposition import CONTENT_TYPE, Family, families_of, render
from telemetry.figures import Figure, Spread
from telemetry.lag import LoopLag
from telemetry.outside import OUTSIDE
from telemetry.workers import Place, answering, ask_others

log = logging.getLogger("skillforge.metrics")

# A text this fresh is given again: scrapes cost milliseconds, and anybody with access may send many.
KEPT_SECONDS = 1.0
SHARED_SECONDS = 2.0

Source = Callable[[], Iterable[Figure | Spread]]
SharedSource = Callable[[], Awaitable[Iterable[Figure | Spread]]]


class Metrics:
    """Counts a process's calls, knows where its other figures are, and puts all into one text."""

    def __init__(self, place: Place | None = None, version: str = "") -> None:
        self._place = place or Place()
        self._version = version
        self._lag = LoopLag()
        self._counts: dict[str, CallCounts] = {}
        self._sources: list[Source] = [OUTSIDE.figures, self._lag.figures, self._own]
        self._shared: list[SharedSource] = []
        self._asking = asyncio.Lock()
        self._text, self._text_until = b"", 0.0

    def counted(self, client: CoreClient, door: str) -> CoreClient:
        """The client, with its calls counted, and traced when there are traces, as those of a door."""
        counts = self._counts.get(door)
        if counts is None:
            counts = self._counts[door] = CallCounts(door)
            self._sources.append(counts.figures)
        spans = tracing.spans()
        if spans is None:
            return CountedClient(client, counts)
        from telemetry.spans import TracedClient

        return CountedClient(TracedClient(client, door, spans), counts)

    @contextmanager
    def including(self, source: Source, shared: SharedSource | None = None) -> Iterator[None]:
        """Ask these too while the inside runs. `shared` is the same for every process, so only the scraped one asks it."""
        self._sources.append(source)
        if shared is not None:
            self._shared.append(shared)
        try:
            yield
        finally:
            self._sources.remove(source)
            if shared is not None:
                self._shared.remove(shared)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measures the event loop, and answers the other workers."""
        async with self._lag.running(), answering(self._place, self._collect):
            yield

    async def text(self) -> tuple[bytes, str]:
        """What Prometheus reads, and its media type."""
        async with self._asking:
            if time.monotonic() >= self._text_until:
                self._text = await self._render()
                self._text_until = time.monotonic() + KEPT_SECONDS
            return self._text, CONTENT_TYPE

    async def _render(self) -> bytes:
        own, others, shared = await asyncio.gather(self._collect(), ask_others(self._place), self._ask_shared())
        return await asyncio.to_thread(render, {self._place.number: own, **others}, shared)

    async def _collect(self) -> list[Family]:
        """This process's families: read here, put into shape in a thread."""
        figures = [figure for source in self._sources for figure in source()]
        return await asyncio.to_thread(families_of, figures, process=True)

    async def _ask_shared(self) -> list[Figure | Spread]:
        found: list[Figure | Spread] = []
        for source in self._shared:
            try:
                async with asyncio.timeout(SHARED_SECONDS):
                    found += await source()
            except Exception as error:
                # What it is about is away, which other figures tell.
                log.debug("figures are left out: %s", str(error) or type(error).__name__)
        return found

    def _own(self) -> Iterable[Figure]:
        yield Figure("skillforge_build_info", "The version that runs.", 1, (("version", self._version),))
