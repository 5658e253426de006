"""Rate limits counted in Redis for several processes together."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from core.redis import Redis, keys
from core.rpc.limits import Policy, RateLimiter


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis(redis_url)
    yield client
    await client.close()


@pytest.mark.parametrize(("limit", "burst"), [(100, 100), (50, 10), (3, 1), (1000, 200)])
async def test_never_more_than_the_limit_across_processes(redis: Redis, limit: int, burst: int) -> None:
    policy = Policy("user", limit, 1, burst)
    key = uuid.uuid4().hex
    processes = [RateLimiter(redis) for _ in range(4)]
    allowed: list[float] = []
    begun = time.monotonic()

    async def caller(limiter: RateLimiter) -> None:
        while time.monotonic() - begun < 1.2:
            decision = limiter.try_take(policy, key) or await limiter.check(policy, key)
            if decision.allowed:
                allowed.append(time.monotonic())
            await asyncio.sleep(0 if decision.allowed else min(decision.retry_after, 0.02))

    await asyncio.gather(*(caller(limiter) for limiter in processes for _ in range(3)))
    span = time.monotonic() - begun
    assert len(allowed) <= burst + limit * span + 1
    assert len(allowed) >= (burst + limit * span) * 0.7 - 1 - len(processes) * policy.lease


async def test_the_numbers_of_an_answer(redis: Redis) -> None:
    policy = Policy("user", 10, 60, 5)
    key = uuid.uuid4().hex
    limiter = RateLimiter(redis)
    decisions = [await limiter.check(policy, key) for _ in range(6)]
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert [decision.remaining for decision in decisions] == [4, 3, 2, 1, 0, 0]
    assert 5.5 < decisions[-1].retry_after <= 6
    assert 29 < decisions[-1].reset_seconds <= 30
    assert 29_000 < await redis.run("PTTL", keys.limit("user", key)) <= 30_001


async def test_keys_and_policies_are_counted_apart(redis: Redis) -> None:
    limiter = RateLimiter(redis)
    key = uuid.uuid4().hex
    for name in ("a", "b"):
        for who in (key, key + "x"):
            assert (await limiter.check(Policy(name, 1, 60, 1), who)).allowed
            assert not (await limiter.check(Policy(name, 1, 60, 1), who)).allowed
