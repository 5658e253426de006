"""Idempotency keys on a real Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cli.servers import LocalServers
from contract.client import Reply
from core.errors import AlreadyExists, Conflict, InvalidArgument
from core.redis import Redis, keys
from core.rpc.idempotency import IdempotencyStore
from skillforge.v1 import courses_pb2


class Work:
    """Makes a course; how often, and what it waits for."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def __call__(self) -> Reply:
        self.runs += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Reply(courses_pb2.Course(id=f"course {self.runs}"), {"x-http-status": "201", "ratelimit": '"user";r=1;t=1'})


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis(redis_url)
    yield client
    await client.close()


@pytest.fixture
def store(redis: Redis) -> IdempotencyStore:
    return IdempotencyStore(redis)


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


async def begun(work: Work) -> None:
    while not work.runs:  # noqa: ASYNC110 (it waits for Redis meanwhile)
        await asyncio.sleep(0.001)


async def run(store: IdempotencyStore, key: str, work: Any, body: bytes = b"body", scope: str = "anna:/Create") -> Reply:
    return await store.run(scope, key, body, work, courses_pb2.Course)


async def test_the_first_answer_is_replayed(store: IdempotencyStore, redis: Redis, key: str) -> None:
    work = Work()
    first = await run(store, key, work)
    again = await run(store, key, work)
    assert work.runs == 1
    assert again.message == first.message
    assert again.metadata == {"x-http-status": "201", "idempotency-replayed": "true"}
    ttl = await redis.run("PTTL", keys.idempotency("anna:/Create", key))
    assert 86_000_000 < ttl <= 86_400_000


async def test_another_body_is_refused_running_or_done(store: IdempotencyStore, key: str) -> None:
    work = Work()
    work.gate.clear()
    first = asyncio.create_task(run(store, key, work))
    await begun(work)
    with pytest.raises(AlreadyExists) as caught:
        await run(store, key, work, b"other")
    assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"
    work.gate.set()
    await first
    with pytest.raises(AlreadyExists):
        await run(store, key, work, b"other")
    assert work.runs == 1


async def test_callers_and_methods_have_their_own_keys(store: IdempotencyStore, key: str) -> None:
    work = Work()
    for scope in ("anna:/Create", "ben:/Create", "anna:/Enroll"):
        await run(store, key, work, scope=scope)
    assert work.runs == 3


async def test_twenty_at_once_run_once(redis_url: str, key: str) -> None:
    clients = [Redis(redis_url) for _ in range(4)]
    stores = [IdempotencyStore(client) for client in clients]
    work = Work()
    work.gate.clear()
    tasks = [asyncio.create_task(run(stores[number % 4], key, work)) for number in range(20)]
    done, _ = await asyncio.wait(tasks, timeout=1)
    assert len(done) == 19
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert work.runs == 1
    assert sum(isinstance(result, Reply) for result in results) == 1
    conflicts = [result for result in results if isinstance(result, Conflict)]
    assert len(conflicts) == 19
    assert {(error.reason, error.retry_after) for error in conflicts} == {("IDEMPOTENCY_KEY_IN_USE", 1.0)}
    assert (await run(stores[0], key, work)).metadata["idempotency-replayed"] == "true"
    for client in clients:
        await client.close()


async def test_a_failure_is_not_kept(store: IdempotencyStore, key: str) -> None:
    work = Work()
    work.error = LookupError()
    with pytest.raises(LookupError):
        await run(store, key, work)
    work.error = None
    async with asyncio.timeout(2):
        while True:
            try:
                await run(store, key, work)
                break
            except Conflict:
                await asyncio.sleep(0.001)
    assert work.runs == 2


async def test_a_cancelled_call_gives_its_key_free(store: IdempotencyStore, redis: Redis, key: str) -> None:
    work = Work()
    work.gate.clear()
    task = asyncio.create_task(run(store, key, work))
    await begun(work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        while await redis.get(keys.idempotency("anna:/Create", key)) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_key_that_ran_out_is_not_given_free_by_its_old_owner(store: IdempotencyStore, redis: Redis, key: str) -> None:
    work = Work()
    work.gate.clear()
    task = asyncio.create_task(run(store, key, work))
    await begun(work)
    name = keys.idempotency("anna:/Create", key)
    await redis.set(name, b"somebody else's", ttl_ms=5000)
    work.gate.set()
    await task
    assert await redis.get(name) == b"somebody else's"


@pytest.mark.parametrize("bad", ["", "x" * 256, "né", "a\nb", "a\x7f"])
async def test_keys_that_are_none(store: IdempotencyStore, bad: str) -> None:
    work = Work()
    with pytest.raises(InvalidArgument):
        await run(store, bad, work)
    assert work.runs == 0


async def test_without_redis_calls_go_on(own_redis: LocalServers, key: str) -> None:
    redis = Redis(own_redis.redis_url())
    store = IdempotencyStore(redis)
    work = Work()
    await asyncio.to_thread(own_redis.stop_redis, kill=True)
    assert (await run(store, key, work)).message == courses_pb2.Course(id="course 1")
    await asyncio.to_thread(own_redis.start_redis)
    await redis.close()
