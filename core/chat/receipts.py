"""Receipts on their way: of one side of a conversation at most one a second is pushed, and always the last."""

from __future__ import annotations

import asyncio
import logging

from core.chat import messages
from core.chat.queries import Watermarks
from core.ids import new_id
from core.realtime.publisher import Publisher
from core.redis import RedisAway

log = logging.getLogger("skillforge.chat")

RECEIPT = "chat.receipt"
PAUSE_SECONDS = 1.0
MAX_WAITING = 10_000

_Side = tuple[bytes, bytes]


class Receipts:
    """Pushes watermarks to both sides. They stand in the database: what is not pushed is read there."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        # What a side came to since its last push; None: nothing, but its second is not over.
        self._waiting: dict[_Side, Watermarks | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def tell(self, me: bytes, other: bytes, marks: Watermarks) -> None:
        """Push my watermarks: now, or with later ones when the second is over."""
        side = (me, other)
        if side in self._waiting:
            last = self._waiting[side] or marks
            self._waiting[side] = Watermarks(max(last.delivered, marks.delivered), max(last.read, marks.read))
            return
        if len(self._waiting) < MAX_WAITING:
            self._waiting[side] = None
            task = asyncio.create_task(self._pause(side))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self._push(side, marks)

    async def close(self) -> None:
        """Push what waits, without its pause."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for side, marks in list(self._waiting.items()):
            if marks is not None:
                await self._push(side, marks)
        self._waiting.clear()

    async def _pause(self, side: _Side) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            marks = self._waiting[side]
            if marks is None:
                del self._waiting[side]
                return
            self._waiting[side] = None
            await self._push(side, marks)

    async def _push(self, side: _Side, marks: Watermarks) -> None:
        receipt = messages.receipt(*side, marks)
        try:
            for user_id in side:
                await self._publisher.publish(user_id, RECEIPT, receipt, new_id())
        except RedisAway as error:
            log.debug("a receipt is not pushed: %s", error)
