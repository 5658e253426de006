"""Group commit: items that arrive while a batch runs go together in the next one; nobody waits while it is idle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from core.db.errors import overloaded
from telemetry import tracing

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Batcher(Generic[I, O]):
    """Runs items in batches of up to `max_size`, at most `in_flight` at once; `max_waiting` items wait at most. Beside another
    batch one begins only for `crowd` items, so that few items don't cost two transactions.
    Batches that are not full begin `spacing` seconds apart: an item that comes alone begins at once, many that come one by
    one share.

    `run` gets the items and returns one result each, in order; an Exception among the results is raised for its item
    alone, and if `run` itself raises, every item of the batch gets that.
    """

    def __init__(
        self,
        run: Callable[[list[I]], Awaitable[Sequence[O | Exception]]],
        *,
        max_size: int = 64,
        in_flight: int = 1,
        crowd: int = 1,
        max_waiting: int = 2000,
        spacing: float = 0.0,
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._in_flight = in_flight
        self._crowd = crowd
        self._max_waiting = max_waiting
        self._spacing = spacing
        self._next_at = 0.0
        # With the span of whoever waits, if there are spans.
        self._waiting: deque[tuple[I, asyncio.Future[O], Any]] = deque()
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: I) -> O:
        """The item's result. Raises Unavailable when too many wait. Cancelling gives up waiting; the batch goes on."""
        if len(self._waiting) >= self._max_waiting:
            raise overloaded()
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future, tracing.here()))
        if self._active < self._in_flight and self._may_begin(beside=self._active):
            self._start()
        return await future

    async def close(self) -> None:
        """Wait for what is under way and waiting."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self) -> None:
        self._active += 1
        task = asyncio.create_task(self._drain())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        try:
            await self._run_all()
        finally:
            # Here and not in a callback: an item submitted before that would start nothing.
            self._active -= 1

    def _may_begin(self, *, beside: int) -> bool:
        return beside == 0 or len(self._waiting) >= self._crowd

    async def _run_all(self) -> None:
        while self._waiting and self._may_begin(beside=self._active - 1):
            if self._spacing:
                await self._space()
            batch: list[tuple[I, asyncio.Future[O], Any]] = []
            while self._waiting and len(batch) < self._max_size:
                entry = self._waiting.popleft()
                # Nobody waits for a cancelled item, and it was never begun.
                if not entry[1].done():
                    batch.append(entry)
            if batch:
                await self._run_batch(batch)

    async def _space(self) -> None:
        """Wait until the next batch may begin, unless it is full already."""
        clock = asyncio.get_running_loop().time
        pause = self._next_at - clock()
        if pause > 0 and len(self._waiting) < self._max_size:
            await asyncio.sleep(pause)
        self._next_at = clock() + self._spacing

    async def _run_batch(self, batch: list[tuple[I, asyncio.Future[O], Any]]) -> None:
        try:
            with tracing.batch([span for _, _, span in batch]):
                results = await self._run([item for item, _, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"a batch of {len(batch)} gave {len(results)} results")
        except asyncio.CancelledError:
            for _, future, _ in batch:
                future.cancel()
            raise
        except Exception as error:
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
