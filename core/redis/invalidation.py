"""Telling every process what to drop from its caches, and knowing when one cannot hear."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from contextlib import suppress
from time import monotonic
from typing import Any

from redis.exceptions import RedisError

from core.redis import keys
from core.redis.caches import Key, LocalCache
from core.redis.client import COMMAND_SECONDS, Redis, RedisAway

log = logging.getLogger("skillforge.redis")

# A stream that is silent for SILENCE_SECONDS although asked every PING_SECONDS counts as broken: within a second.
PING_SECONDS = 0.3
SILENCE_SECONDS = 0.8
_MAX_BACKOFF_SECONDS = 1.0
_MAX_UNSENT = 1000
# Who wakes up so much too late was busy, and looks again for as long.
_LATE_SECONDS = 0.1
# Instead of a key: everything in the cache.
_ALL = ""


class Invalidations:
    """One subscription a process. While it is broken the caches believe nothing for longer than a second."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._me = secrets.token_hex(8)
        self._caches: dict[str, LocalCache[Any, Any]] = {}
        self._listener: asyncio.Task[None] | None = None
        # Drops that could not be published: they are sent later, for not everybody may have lost Redis.
        self._unsent: dict[tuple[str, Key], None] = {}
        self._hearing = asyncio.Event()

    def cache(self, name: str, max_entries: int, ttl_seconds: float) -> LocalCache[Any, Any]:
        """A new cache; its name is the same in every process."""
        if name in self._caches:
            raise ValueError(f"there is a cache named {name} already")
        made: LocalCache[Any, Any] = LocalCache(name, max_entries, ttl_seconds, self._tell)
        made.set_deaf(not self.hearing)
        self._caches[name] = made
        return made

    @property
    def hearing(self) -> bool:
        """Whether drops elsewhere are heard of."""
        return self._hearing.is_set()

    async def wait_hearing(self) -> None:
        """Return when the subscription stands."""
        await self._hearing.wait()

    async def start(self) -> None:
        """Begin listening, in the background; Redis may come later."""
        self._listener = asyncio.create_task(self._listen_for_ever(), name="invalidations")

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _tell(self, name: str, key: Key) -> None:
        try:
            await self._redis.publish(keys.INVALIDATIONS, encode(self._me, name, key))
        except RedisAway:
            if len(self._unsent) >= _MAX_UNSENT:
                self._unsent = {(cache, _ALL): None for cache in self._caches}
            self._unsent[name, key] = None

    async def _send_unsent(self) -> None:
        while self._unsent:
            name, key = next(iter(self._unsent))
            await self._redis.publish(keys.INVALIDATIONS, encode(self._me, name, key))
            self._unsent.pop((name, key), None)

    async def _listen_for_ever(self) -> None:
        failures = 0
        while True:
            begun = monotonic()
            try:
                await self._listen()
            except (RedisAway, RedisError, OSError) as error:
                # One that stood for a while failed for the first time.
                failures = 1 if monotonic() - begun > _MAX_BACKOFF_SECONDS * 2 else failures + 1
                if failures == 1:
                    log.warning("cache invalidations are not heard: %s", str(error) or type(error).__name__)
            except Exception:
                failures += 1
                log.exception("cache invalidations are not heard")
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(_MAX_BACKOFF_SECONDS, 0.05 * 2**failures))

    async def _listen(self) -> None:
        """Subscribe, then hear until the stream breaks."""
        client, subscription = await self._redis.subscriber()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await subscription.subscribe(keys.INVALIDATIONS)
            heard_at = asked_at = monotonic()
            while True:
                due = max(monotonic(), min(asked_at + PING_SECONDS, heard_at + SILENCE_SECONDS))
                message = await subscription.get_message(timeout=due - monotonic())
                now = monotonic()
                if message is not None:
                    heard_at = now
                    self._heard(message)
                elif now - due > _LATE_SECONDS:
                    # This process was too busy to listen: what was said meanwhile may lie there unread.
                    heard_at = max(heard_at, now - SILENCE_SECONDS + _LATE_SECONDS)
                elif now - heard_at >= SILENCE_SECONDS:
                    raise RedisAway("the subscription is silent")
                if now - asked_at >= PING_SECONDS:
                    asked_at = now
                    async with asyncio.timeout(COMMAND_SECONDS):
                        await subscription.ping()
                    await self._send_unsent()
        finally:
            self._set_hearing(False)
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMAND_SECONDS):
                    await subscription.aclose()
                    await client.aclose()

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._set_hearing(True)
        elif message["type"] == "message":
            sender, name, key = decode(message["data"])
            cache = self._caches.get(name)
            if cache is None or sender == self._me:
                return
            if key == _ALL:
                cache.clear()
            else:
                cache.forget(key)

    def _set_hearing(self, hearing: bool) -> None:
        """Whatever was stored before may be old: a drop in between was missed."""
        for cache in self._caches.values():
            cache.set_deaf(not hearing)
        if hearing:
            self._hearing.set()
        else:
            self._hearing.clear()


def encode(sender: str, name: str, key: Key) -> bytes:
    """A drop on the wire: sender, cache, and the key, which is text or bytes."""
    kind, raw = ("b", key) if isinstance(key, bytes) else ("s", key.encode())
    return f"{sender} {name} {kind} ".encode() + raw


def decode(data: bytes) -> tuple[str, str, Key]:
    """The sender, cache and key of a drop."""
    sender, name, kind, raw = data.split(b" ", 3)
    return sender.decode(), name.decode(), raw if kind == b"b" else raw.decode()
