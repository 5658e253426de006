"""Rate limits: GCRA (the generic cell rate algorithm), counted in Redis for all processes together.

A process takes a few tokens at a time, so that most calls need no round trip: the sum taken never exceeds the limit.
Tokens not used soon are given up. While Redis is away each process counts for itself, by the same numbers.
Header fields: draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from core.redis import Redis, RedisAway, keys

# How long tokens taken in advance may be used.
LEASE_SECONDS = 5.0
# A process takes at most this part of a burst in advance.
LEASE_PART = 50
# How long a refusal is repeated without asking again.
MAX_REFUSAL_SECONDS = 2.0
MAX_KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Policy:
    """`limit` calls in `window_seconds`, of which `burst` may come at once.

    In any span of t seconds at most `burst + limit * t / window_seconds` calls are allowed.
    """

    name: str
    limit: int
    window_seconds: int
    burst: int
    # The RateLimit-Policy header field.
    header: str = field(init=False)

    def __post_init__(self) -> None:
        if min(self.limit, self.window_seconds, self.burst) < 1:
            raise ValueError(f"the rate limit {self.name} needs a limit, a window and a burst of at least 1")
        object.__setattr__(self, "header", f'"{self.name}";q={self.limit};w={self.window_seconds}')

    @property
    def interval(self) -> float:
        """Seconds a token."""
        return self.window_seconds / self.limit

    @property
    def lease(self) -> int:
        """How many tokens a process takes at a time."""
        return max(1, self.burst // LEASE_PART)


class Decision(NamedTuple):
    """Whether a call may go on; how many more may; in how many seconds all may again, and the next one may."""

    allowed: bool
    remaining: int
    reset_seconds: float
    retry_after: float

    def header(self, policy: Policy) -> str:
        """The RateLimit header field."""
        return f'"{policy.name}";r={self.remaining};t={math.ceil(self.reset_seconds)}'


class _Account:
    """What this process knows of one key: its tokens, or until when it is refused."""

    __slots__ = ("arrival", "asking", "full_at", "refused_until", "remaining", "tokens", "usable_until", "waiting")

    def __init__(self) -> None:
        self.tokens = 0
        self.usable_until = 0.0
        self.refused_until = 0.0
        self.remaining = 0
        self.full_at = 0.0
        # The theoretical arrival time by this process's own count, while Redis is away.
        self.arrival = 0.0
        self.asking: asyncio.Future[None] | None = None
        self.waiting = 0


class RateLimiter:
    """Counts calls by policy and key, such as a user or an IP."""

    def __init__(self, redis: Redis, *, max_keys: int = MAX_KEYS) -> None:
        self._take = redis.script("take_tokens")
        self._max_keys = max_keys
        # By (policy's name, key), the longest not asked for first.
        self._accounts: dict[tuple[str, str], _Account] = {}

    def try_take(self, policy: Policy, key: str) -> Decision | None:
        """The decision if it needs no round trip, and the call is counted; else None (then use `check`)."""
        account = self._accounts.get((policy.name, key))
        if account is None:
            return None
        now = monotonic()
        if account.tokens > 0 and now < account.usable_until:
            account.tokens -= 1
            return Decision(True, account.tokens + account.remaining, account.full_at - now, 0.0)
        if now < account.refused_until:
            return Decision(False, 0, account.full_at - now, account.refused_until - now)
        return None

    def knows(self, policy: Policy, key: str) -> bool:
        """Whether `try_take` has a decision now."""
        account = self._accounts.get((policy.name, key))
        now = monotonic()
        return account is not None and ((account.tokens > 0 and now < account.usable_until) or now < account.refused_until)

    async def check(self, policy: Policy, key: str) -> Decision:
        """Count a call and decide about it, asking Redis if need be."""
        while True:
            decision = self.try_take(policy, key)
            if decision is not None:
                return decision
            account = self._account(policy, key)
            if account.asking is None:
                account.asking = asyncio.get_running_loop().create_future()
                try:
                    return await self._ask(policy, key, account)
                finally:
                    account.asking.set_result(None)
                    account.asking = None
            # One round trip for all who come meanwhile.
            account.waiting += 1
            try:
                await asyncio.shield(account.asking)
            finally:
                account.waiting -= 1

    def _account(self, policy: Policy, key: str) -> _Account:
        """The key's account, moved to the young end of the table."""
        name = (policy.name, key)
        account = self._accounts.pop(name, None) or _Account()
        if len(self._accounts) >= self._max_keys:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[name] = account
        return account

    async def _ask(self, policy: Policy, key: str, account: _Account) -> Decision:
        wanted = max(policy.lease, 1 + account.waiting)
        arguments = (round(policy.interval * 1_000_000, 3), policy.burst, wanted)
        try:
            taken, remaining, reset, retry = await self._take([keys.limit(policy.name, key)], arguments)
        except RedisAway:
            return _count_here(policy, account)
        now = monotonic()
        account.remaining = remaining
        account.full_at = now + reset / 1e6
        if taken == 0:
            account.tokens = 0
            account.refused_until = now + min(retry / 1e6, MAX_REFUSAL_SECONDS)
            return Decision(False, 0, reset / 1e6, retry / 1e6)
        account.tokens = taken - 1
        account.usable_until = now + LEASE_SECONDS
        return Decision(True, account.tokens + remaining, reset / 1e6, 0.0)


def _count_here(policy: Policy, account: _Account) -> Decision:
    account.arrival, decision = take_one(policy, account.arrival, monotonic())
    return decision


def take_one(policy: Policy, arrival: float, now: float) -> tuple[float, Decision]:
    """GCRA for one call: the new theoretical arrival time and the decision. Times in seconds of any steady clock."""
    arrival = max(arrival, now)
    room = policy.burst * policy.interval - (arrival - now)
    # A hair less than a token counts as one: times are binary fractions.
    free = math.floor(room / policy.interval + 1e-9)
    if free < 1:
        return arrival, Decision(False, 0, arrival - now, policy.interval - room)
    arrival += policy.interval
    return arrival, Decision(True, free - 1, arrival - now, 0.0)
