"""Waiting for what really happens by itself: another process, a webhook, a server that comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.02


async def eventually(read: Callable[[], Awaitable[T]], done: Callable[[T], bool] = bool, seconds: float = 15.0) -> T:
    """The first value read that is `done`; fails with the last one when that takes longer."""
    deadline = time.monotonic() + seconds
    while not done(value := await read()):
        assert time.monotonic() < deadline, f"after {seconds:g} s it is still {value!r}"
        await asyncio.sleep(PAUSE_SECONDS)
    return value
