"""Reads texts: short ones at once, longer ones away from the event loop, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.errors import Unavailable

R = TypeVar("R")

# A text this short takes two or three milliseconds.
AT_ONCE_CHARS = 2000
MAX_WAITING = 16


class Reader:
    """A thread for longer texts, and a line of bounded length before it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "reader")
        self._waiting = 0

    async def run(self, text: str, work: Callable[[str], R]) -> R:
        """What `work` makes of the text. Raises Unavailable when too many wait, and what `work` raises."""
        if len(text) <= AT_ONCE_CHARS:
            return work(text)
        if self._waiting >= MAX_WAITING:
            raise Unavailable("OVERLOADED", "Too many texts are being read. Try again soon.", retry_after=2.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, text)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of the thread; what waits for it is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)
