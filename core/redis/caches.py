"""A cache in this process, bounded in number and age, that hears of changes elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

Key = str | bytes
K = TypeVar("K", bound=Key)
V = TypeVar("V")

# While changes elsewhere are not heard of, nothing is believed for longer.
DEAF_SECONDS = 1.0
# How many drops are remembered, to refuse values that were read before them.
_MAX_DROPS = 4096


class Fill(NamedTuple):
    """A value being read: it may be stored if nothing was dropped since."""

    key: Key
    drops: int
    begun_at: float


class _Entry(Generic[V]):
    __slots__ = ("expires_at", "used", "value")

    def __init__(self, value: V, expires_at: float) -> None:
        self.value = value
        self.expires_at = expires_at
        self.used = False


class LocalCache(Generic[K, V]):
    """Values by key; None cannot be one. Made by `Invalidations.cache`. It begins deaf: nothing is heard of yet."""

    def __init__(self, name: str, max_entries: int, ttl_seconds: float, tell: Callable[[str, Key], Awaitable[None]]) -> None:
        self.name = name
        self._max = max_entries
        self._full_ttl = ttl_seconds
        self._ttl = min(ttl_seconds, DEAF_SECONDS)
        self._tell = tell
        self._entries: dict[Key, _Entry[V]] = {}
        # Drops are numbered; of each key the last is known, and nothing of those up to `_forgotten`.
        self._drops = 0
        self._forgotten = 0
        self._dropped: dict[Key, int] = {}
        # Told of every key that is forgotten, and None when all are.
        self.on_forget: Callable[[Key | None], None] | None = None

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or it is too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= monotonic():
            del self._entries[key]
            return None
        entry.used = True
        return entry.value

    def put(self, key: K, value: V) -> None:
        """Store a value that is current now. For one that was read from elsewhere use `begin` and `put_if`."""
        self._store(key, value, monotonic())

    def begin(self, key: K) -> Fill:
        """Call this before reading a value, and `put_if` after: its age counts from here."""
        return Fill(key, self._drops, monotonic())

    def put_if(self, fill: Fill, value: V) -> bool:
        """Store the value read unless its key was dropped since `begin`; whether it was stored."""
        if fill.drops < self._forgotten or self._dropped.get(fill.key, 0) > fill.drops:
            return False
        self._store(fill.key, value, fill.begun_at)
        return True

    async def drop(self, key: K) -> None:
        """Forget a value here at once, and everywhere as soon as the other processes hear of it. Never raises for Redis."""
        self.forget(key)
        await self._tell(self.name, key)

    def forget(self, key: Key) -> None:
        """Forget a value here."""
        self._entries.pop(key, None)
        self._drops += 1
        self._dropped.pop(key, None)
        self._dropped[key] = self._drops
        if len(self._dropped) > _MAX_DROPS:
            oldest = next(iter(self._dropped))
            self._forgotten = self._dropped.pop(oldest)
        if self.on_forget is not None:
            self.on_forget(key)

    def clear(self) -> None:
        """Forget all, and refuse what is being read."""
        self._entries.clear()
        self._dropped.clear()
        self._drops += 1
        self._forgotten = self._drops
        if self.on_forget is not None:
            self.on_forget(None)

    def set_deaf(self, deaf: bool) -> None:
        """Forget all; while deaf, believe nothing for longer than DEAF_SECONDS."""
        self.clear()
        self._ttl = min(self._full_ttl, DEAF_SECONDS) if deaf else self._full_ttl

    def _store(self, key: Key, value: V, current_at: float) -> None:
        if key not in self._entries and len(self._entries) >= self._max:
            self._evict()
        self._entries[key] = _Entry(value, current_at + self._ttl)

    def _evict(self) -> None:
        """Make room: the oldest goes, but one that was used since gets another round (the CLOCK algorithm)."""
        while True:
            key = next(iter(self._entries))
            entry = self._entries.pop(key)
            if not entry.used or entry.expires_at <= monotonic():
                return
            entry.used = False
            self._entries[key] = entry
