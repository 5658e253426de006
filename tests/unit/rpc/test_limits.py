"""Rate limits: the rule itself, header fields, and a process counting alone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redis import RedisAway
from core.rpc import limits
from core.rpc.limits import Decision, Policy, RateLimiter, take_one

POLICIES = st.builds(Policy, st.just("user"), st.integers(1, 1000), st.integers(1, 3600), st.integers(1, 500))


class NoRedis:
    def script(self, name: str) -> Any:
        async def call(names: list[str], arguments: list[Any]) -> Any:
            raise RedisAway("away")

        return call


class SlowRedis:
    """Grants what is asked for, counts how often, and waits at `gate`."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.asked: list[int] = []
        self.gate = asyncio.Event()

    def script(self, name: str) -> Any:
        async def call(names: list[str], arguments: list[Any]) -> list[int]:
            self.asked.append(arguments[2])
            await self.gate.wait()
            taken = min(self.tokens, arguments[2])
            self.tokens -= taken
            return [taken, self.tokens, 1_000_000, 0 if taken else 1_000_000]

        return call


@given(POLICIES, st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_no_span_of_time_sees_more_than_its_share(policy: Policy, pauses: list[float]) -> None:
    now = 1000.0
    arrival = 0.0
    allowed: list[float] = []
    for pause in pauses:
        now += pause * policy.interval
        arrival, decision = take_one(policy, arrival, now)
        if decision.allowed:
            allowed.append(now)
    for start in range(len(allowed)):
        for end in range(start, len(allowed)):
            span = allowed[end] - allowed[start]
            assert end - start + 1 <= policy.burst + span / policy.interval + 1e-6


@given(POLICIES, st.lists(st.floats(0, 10), min_size=1, max_size=100))
def test_what_a_decision_says_is_true(policy: Policy, pauses: list[float]) -> None:
    now = 1000.0
    arrival = 0.0
    for pause in pauses:
        now += pause * policy.interval
        arrival, decision = take_one(policy, arrival, now)
        assert decision.remaining < policy.burst
        assert 0 <= decision.reset_seconds <= policy.burst * policy.interval + 1e-6
        if not decision.allowed:
            assert decision.retry_after > 0
            assert take_one(policy, arrival, now + decision.retry_after + 1e-6)[1].allowed
            assert not take_one(policy, arrival, now + decision.retry_after * 0.9)[1].allowed


def test_header_fields() -> None:
    policy = Policy("user", 100, 60, 100)
    assert policy.header == '"user";q=100;w=60'
    assert Decision(True, 12, 4.2, 0.0).header(policy) == '"user";r=12;t=5'


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_policy_of_nothing_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Policy("user", *numbers)


async def test_without_redis_a_process_counts_alone() -> None:
    limiter = RateLimiter(NoRedis())  # type: ignore[arg-type]
    policy = Policy("user", 10, 3600, 10)
    decisions = [await limiter.check(policy, "anna") for _ in range(12)]
    assert [decision.allowed for decision in decisions] == [True] * 10 + [False] * 2
    assert decisions[0].remaining == 9
    assert 0 < decisions[-1].retry_after <= 360
    assert (await limiter.check(policy, "ben")).allowed


async def test_many_at_once_ask_once() -> None:
    redis = SlowRedis(1000)
    limiter = RateLimiter(redis)  # type: ignore[arg-type]
    policy = Policy("user", 200, 60, 200)
    tasks = [asyncio.create_task(limiter.check(policy, "anna")) for _ in range(10)]
    await asyncio.sleep(0.001)
    assert redis.asked == [4]
    tasks[0].cancel()
    tasks[1].cancel()
    redis.gate.set()
    decisions = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(decision, Decision) and decision.allowed for decision in decisions) == 8
    assert len(redis.asked) <= 4


async def test_tokens_taken_need_no_round_trip_and_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = SlowRedis(1000)
    redis.gate.set()
    limiter = RateLimiter(redis)  # type: ignore[arg-type]
    policy = Policy("user", 200, 60, 200)
    assert limiter.try_take(policy, "anna") is None
    assert (await limiter.check(policy, "anna")).remaining == 999
    assert [limiter.try_take(policy, "anna") is None for _ in range(4)] == [False, False, False, True]
    await limiter.check(policy, "anna")
    later = time.monotonic() + limits.LEASE_SECONDS
    monkeypatch.setattr(limits, "monotonic", lambda: later)
    assert limiter.try_take(policy, "anna") is None


async def test_a_refusal_is_repeated_without_asking() -> None:
    redis = SlowRedis(0)
    redis.gate.set()
    limiter = RateLimiter(redis)  # type: ignore[arg-type]
    policy = Policy("user", 200, 60, 200)
    assert not (await limiter.check(policy, "anna")).allowed
    decision = limiter.try_take(policy, "anna")
    assert decision is not None
    assert not decision.allowed
    assert 0 < decision.retry_after <= 1


async def test_the_table_of_keys_is_bounded() -> None:
    redis = SlowRedis(1_000_000)
    redis.gate.set()
    limiter = RateLimiter(redis, max_keys=10)  # type: ignore[arg-type]
    policy = Policy("user", 1000, 60, 1000)
    for number in range(50):
        await limiter.check(policy, str(number))
    known = [number for number in range(50) if limiter.try_take(policy, str(number)) is not None]
    assert known == list(range(40, 50))
