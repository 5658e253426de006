"""Loads shared by everybody who asks meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Longest a shared load may take, in seconds: it belongs to no single call, so no call's deadline bounds it.
LOAD_SECONDS = 10.0


class Flight(Generic[T]):
    """One load and, once it landed, its value: a cache holds the flight itself, so that many who miss at once
    make one query, and an entry dropped while it loads is never seen by those who ask after the drop."""

    __slots__ = ("_task", "landed", "value")

    # Set once `landed`.
    value: T

    def __init__(self, load: Callable[[], Awaitable[T]]) -> None:
        self.landed = False
        self._task: asyncio.Task[T] | None = asyncio.create_task(self._fly(load))

    @property
    def failed(self) -> bool:
        """Whether the load raised; whoever sees it starts another."""
        return self._task is not None and self._task.done() and not self.landed

    async def join(self) -> T:
        """The value, waiting for it as long as need be; one waiter's cancellation disturbs no other.

        Raises what the load raised.
        """
        return self.value if self._task is None else await asyncio.shield(self._task)

    async def _fly(self, load: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(LOAD_SECONDS):
            value = await load()
        self.value = value
        self.landed = True
        self._task = None
        return value
