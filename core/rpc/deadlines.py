"""Deadlines of calls, at no cost for those that have nothing to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from time import monotonic
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def finish_by(deadline: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; TimeoutError when it still waits at `deadline`, by `time.monotonic`.

    It begins at once, and the timer only when it first has to wait: an answer from memory costs none.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    async with asyncio.timeout(deadline - monotonic()):
        return await _Begun(work, waits_for)


class _Begun(Generic[T]):
    """The rest of a coroutine that waits: what it waits for goes to the event loop, and what comes of that goes back."""

    __slots__ = ("_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        work, waits_for = self._work, self._waits_for
        try:
            while True:
                try:
                    result = yield waits_for
                except GeneratorExit:
                    work.close()
                    raise
                except BaseException as error:
                    waits_for = work.throw(error)
                else:
                    waits_for = work.send(result)
        except StopIteration as end:
            ended: T = end.value
            return ended
