"""Keeps this process's part of the presence true: one task, whatever the number of connections."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from core.call import Connection
from core.realtime.presence import Presence
from core.realtime.streams import Stream
from core.redis import RedisAway

log = logging.getLogger("skillforge.realtime")

_RETRY_SECONDS = 1.0
_ROUND_SECONDS = 15.0


class PresenceKeeper:
    """Repeats and finishes what `Presence` cannot do in one call. `streams` gives the streams of this process."""

    def __init__(self, presence: Presence, streams: Callable[[], Iterable[Stream]]) -> None:
        self._presence = presence
        self._streams = streams
        self._came: set[bytes] = set()
        self._left: dict[bytes, list[Connection]] = {}
        # Users who left, by when it is decided whether they are offline.
        self._unsettled: deque[tuple[float, bytes]] = deque()
        self._due = dict.fromkeys(("beat", "refresh", "watch"), 0.0)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin, in the background; Redis may come later."""
        self._task = asyncio.create_task(self._run(), name="presence")

    async def close(self) -> None:
        """Take this process's connections out, and stop. Others find out who is offline."""
        if self._task is None:
            return
        # The Redis client may swallow a cancellation: the loop looks by itself, too.
        self._closing = True
        self._wake.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(RedisAway, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._take_leave()

    def came(self, user_id: bytes) -> None:
        """A user is connected who was not."""
        self._came.add(user_id)
        self._wake.set()

    def left(self, user_id: bytes, connection: Connection) -> None:
        """A connection is gone."""
        self._left.setdefault(user_id, []).append(connection)
        self._wake.set()

    def restored(self) -> None:
        """Redis may have lost what this process wrote there."""
        self._due |= {"beat": 0.0, "refresh": 0.0, "watch": 0.0}
        self._wake.set()

    async def _run(self) -> None:
        while not self._closing:
            try:
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._round()
            except (RedisAway, TimeoutError) as error:
                log.debug("presence waits: %s", str(error) or type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except Exception:
                log.exception("presence could not be kept")
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()

    def _pause(self) -> float:
        due = min(self._due.values())
        if self._unsettled:
            due = min(due, self._unsettled[0][0])
        return max(0.0, due - monotonic())

    async def _round(self) -> None:
        self._wake.clear()
        while self._came:
            user_id = self._came.pop()
            try:
                await self._presence.announce(user_id)
            except BaseException:
                self._came.add(user_id)
                raise
        await self._take_leave()
        settled = []
        while self._unsettled and self._unsettled[0][0] <= monotonic():
            settled.append(self._unsettled.popleft()[1])
        if settled:
            await self._settle(settled)
        times = self._presence.times
        if self._is_due("beat", times.beat):
            await self._retried("beat", self._presence.beat())
        if self._is_due("refresh", times.refresh):
            await self._retried("refresh", self._presence.refresh(self._connections()))
        if self._is_due("watch", times.watch_refresh):
            for stream in self._streams():
                if stream.watched:
                    await self._presence.standings(stream.watched, stream.caller.user_id)

    async def _take_leave(self) -> None:
        while self._left:
            user_id, connections = self._left.popitem()
            try:
                last = await self._presence.leave(user_id, connections)
            except BaseException:
                self._left.setdefault(user_id, []).extend(connections)
                raise
            if last:
                self._unsettled.append((monotonic() + self._presence.times.grace + 0.01, user_id))

    async def _settle(self, user_ids: list[bytes]) -> None:
        try:
            await self._presence.settle(user_ids)
        except BaseException:
            self._unsettled.extendleft((0.0, user_id) for user_id in user_ids)
            raise

    def _is_due(self, name: str, every: float) -> bool:
        """Whether it is time; the next one then comes in its own time, somewhat varied."""
        now = monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + every * random.uniform(0.9, 1.0)
        return True

    async def _retried(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do what is due; if it fails, it is due still."""
        try:
            await work
        except BaseException:
            self._due[name] = 0.0
            raise

    def _connections(self) -> dict[bytes, list[Connection]]:
        found: dict[bytes, list[Connection]] = {}
        for stream in self._streams():
            if stream.present and stream.connection is not None and not stream.over:
                found.setdefault(stream.caller.user_id, []).append(stream.connection)
        return found
