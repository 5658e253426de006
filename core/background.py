"""Work that a process repeats in the background."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

log = logging.getLogger("skillforge.background")


async def every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` about every so many seconds until cancelled. A failure is logged and the next round goes on.

    Each pause varies by a fifth, so that many processes don't work in step.
    """
    while True:
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))
        try:
            async with asyncio.timeout(max(seconds, 10.0)):
                await work()
        except Exception as error:
            log.warning("%s failed and is tried again later: %s", name, str(error) or type(error).__name__)
