"""The frames of one socket in work: those of one feature one after another, those of different features side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Lanes:
    """Runs work by lane, in order; at most `limit` at once and waiting together. Idle, it holds nothing."""

    __slots__ = ("_lanes", "_limit", "_room", "_tasks", "in_work")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: dict[str, deque[Work]] | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self._room: asyncio.Future[None] | None = None
        self.in_work = 0

    def add(self, lane: str, work: Work) -> None:
        """Run the work after what is in its lane. It raises nothing."""
        if self._lanes is None or self._tasks is None:
            self._lanes, self._tasks = {}, set()
        self.in_work += 1
        waiting = self._lanes.get(lane)
        if waiting is not None:
            waiting.append(work)
            return
        waiting = self._lanes[lane] = deque((work,))
        task = asyncio.create_task(self._run(lane, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def room(self) -> None:
        """Return when there is room for more."""
        while self.in_work >= self._limit:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def drop(self) -> None:
        """Forget what has not begun; what has begun finishes."""
        for waiting in (self._lanes or {}).values():
            self.in_work -= len(waiting)
            waiting.clear()

    async def _run(self, lane: str, waiting: deque[Work]) -> None:
        while waiting:
            try:
                await waiting.popleft()()
            finally:
                self.in_work -= 1
                if self._room is not None and not self._room.done():
                    self._room.set_result(None)
        assert self._lanes is not None
        del self._lanes[lane]
        if not self._lanes:
            self._lanes = None
