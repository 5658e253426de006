"""An answer while it is made, followed by all who asked for the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from core.assistant.engines import Part


class Flight:
    """Parts as they come, kept for those who join later. It goes on for as long as anybody follows.

    `landed` is told once, when nothing more will come.
    """

    def __init__(self, work: AsyncGenerator[Part, None], landed: Callable[[Flight], None]) -> None:
        self._landed = landed
        self._parts: list[Part] = []
        self._error: Exception | None = None
        self._over = False
        self._followers = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(work))

    async def follow(self) -> AsyncGenerator[Part, None]:
        """Every part from the first one on. Raises what the work raised."""
        self._followers += 1
        try:
            seen = 0
            while True:
                news = self._news
                while seen < len(self._parts):
                    seen += 1
                    yield self._parts[seen - 1]
                if self._over:
                    break
                await news.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._followers -= 1
            if not self._followers and not self._over:
                # Nobody may join what is being given up.
                self._end()
                self._task.cancel()

    async def _run(self, work: AsyncGenerator[Part, None]) -> None:
        try:
            async with aclosing(work):
                async for part in work:
                    self._parts.append(part)
                    self._tell()
        except Exception as error:
            self._error = error
        finally:
            if not self._over:
                self._end()

    def _end(self) -> None:
        self._over = True
        self._landed(self)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
