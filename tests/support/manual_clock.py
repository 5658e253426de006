"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import time


class ManualClock:
    """Stands still from when it is made, until `advance`."""

    def __init__(self) -> None:
        self._now = time.time()
        self._moved = asyncio.Event()

    def now(self) -> float:
        """Unix seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Returns when the clock was moved so far."""
        end = self._now + seconds
        while self._now < end:
            await self._moved.wait()

    def advance(self, seconds: float) -> None:
        """Move on; who sleeps until then wakes up with the event loop's next turn."""
        self._now += seconds
        self._moved.set()
        self._moved = asyncio.Event()
