"""How late the event loop is: what everything in the process waits for beside its own work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from telemetry.figures import LAG_SECONDS, Histogram, Spread

_EVERY_SECONDS = 0.25


class LoopLag:
    """Looks at the clock a few times a second."""

    def __init__(self) -> None:
        self._late = Histogram(LAG_SECONDS)

    def figures(self) -> Iterator[Spread]:
        """How late it was, since it runs."""
        yield self._late.spread("skillforge_event_loop_lag_seconds", "How late the event loop was, four times a second.")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks while the inside runs."""
        task = asyncio.create_task(self._run(), name="event loop lag")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            self._late.observe(max(0.0, clock() - due))
