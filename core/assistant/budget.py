"""How many answers a user may have made a day: every one costs money, or time of this machine."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from core.errors import TooMany
from core.redis import Redis, RedisAway, keys

MAX_USERS = 10_000


class Budget:
    """Counts in Redis for all processes together; while it is away each process counts for itself. Days are UTC's."""

    def __init__(self, redis: Redis, limit: int) -> None:
        self._limit = limit
        self._take = redis.script("take_budget")
        self._return = redis.script("return_budget")
        # By key, while Redis is away; the one not asked for longest goes first.
        self._here: dict[str, int] = {}

    async def take(self, user_id: bytes, now: datetime) -> None:
        """Count one answer. Raises TooMany (AI_BUDGET_SPENT) when the day's are spent."""
        key = _key(user_id, now)
        try:
            taken = bool(await self._take([key], (self._limit, keys.AI_BUDGET_TTL_MS)))
        except RedisAway:
            taken = self._take_here(key)
        if not taken:
            raise _spent(self._limit, now)

    async def give_back(self, user_id: bytes, now: datetime) -> None:
        """Count one less, for an answer that was not made."""
        key = _key(user_id, now)
        if self._here.get(key):
            self._here[key] -= 1
            return
        try:
            await self._return([key], ())
        except RedisAway:
            return  # one less to ask for today

    def _take_here(self, key: str) -> bool:
        count = self._here.pop(key, 0)
        if len(self._here) >= MAX_USERS:
            del self._here[next(iter(self._here))]
        self._here[key] = min(count + 1, self._limit)
        return count < self._limit


def _key(user_id: bytes, now: datetime) -> str:
    return keys.ai_budget(user_id, now.date().isoformat())


def _spent(limit: int, now: datetime) -> TooMany:
    renewal = datetime.combine(now.date() + timedelta(days=1), datetime.min.time())
    return TooMany(
        "AI_BUDGET_SPENT",
        f"Your {limit} answers for today are spent. There are new ones from {renewal.isoformat()}Z on.",
        retry_after=math.ceil((renewal - now).total_seconds()),
    )
