"""Work that a process repeats in the background."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

log = logging.getLogger("skillforge.background")


async def every(seconds: float, name: str, work: Callable[[], Awaitable[object]], *, first: float | None = None) -> None:
    """Do `work` about every so many seconds until cancelled, the first time after `first` if that is given. A failure is
    logged and the next round goes on.

    Each pause varies by a fifth, so that many processes don't work in step.
    """
    pause = seconds if first is None else first
    while True:
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        pause = seconds
        try:
            async with asyncio.timeout(max(seconds, 10.0)):
                await work()
        except Exception as error:
            log.warning("%s failed and is tried again later: %s", name, str(error) or type(error).__name__)
