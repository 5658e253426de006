"""The Redis client and the invalidation stream on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import ResponseError

from cli.servers import LocalServers
from core.redis import Invalidations, LocalCache, Redis, RedisAway, client, keys, node_client
from tests.support.processes import freeze


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis(redis_url)
    await client.run("FLUSHDB")
    yield client
    await client.close()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (it comes from another process)
            await asyncio.sleep(0.002)


async def until_back(redis: Redis) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await redis.ping()
                return
            except RedisAway:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("url", ["http://x", "mysql://x", "redis://a:1,:2"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="Redis address"):
        Redis(url)


def test_keys_of_one_user_share_a_slot() -> None:
    user = bytes(range(16))
    names = [keys.events(user), keys.events_head(user), keys.events_channel(user), keys.published(user, b"x")]
    assert len({name[name.index("{") : name.index("}")] for name in names}) == 1


async def test_strings(redis: Redis) -> None:
    assert await redis.get("a") is None
    assert await redis.set("a", b"\x00\xff", ttl_ms=50_000)
    assert not await redis.set("a", b"2", ttl_ms=50_000, only_new=True)
    assert await redis.get("a") == b"\x00\xff"
    assert 0 < await redis.run("PTTL", "a") <= 50_000
    assert await redis.getdel("a") == b"\x00\xff"
    assert await redis.getdel("a") is None
    assert not await redis.delete("a")


async def test_scripts_survive_a_flush(redis: Redis) -> None:
    script = redis.script("set_if_newer")
    assert await script(["a"], [5, b"five", 1000]) == 1
    assert await script(["a"], [4, b"four", 1000]) == 0
    await redis.run("SCRIPT", "FLUSH")
    assert await script(["a"], [6, b"six", 1000]) == 1
    assert await redis.get("a") == b"6|six"


async def test_a_wrong_command_is_an_error_and_no_outage(redis: Redis) -> None:
    with pytest.raises(ResponseError):
        await redis.run("HGET", "a")
    await redis.ping()


async def test_many_at_once_share_one_connection(redis: Redis) -> None:
    await asyncio.gather(*(redis.set(f"k{number}", number, ttl_ms=1000) for number in range(300)))
    assert await asyncio.gather(*(redis.get(f"k{number}") for number in range(300))) == [str(n).encode() for n in range(300)]
    assert len(set(await asyncio.gather(*(redis.run("CLIENT", "ID") for _ in range(300))))) == 1


async def test_an_answer_that_lies_unread_is_not_late(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was busy for longer than a command's deadline learns nothing about the server."""
    monkeypatch.setattr(client, "COMMAND_SECONDS", 0.1)
    redis = Redis(redis_url)
    await redis.set("a", b"1", ttl_ms=60_000)
    for _ in range(3):
        task = asyncio.create_task(redis.get("a"))
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 (it is what happens)
        assert await task == b"1"
    await redis.close()


async def test_what_waits_for_an_answer_is_bounded(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    await redis.ping()
    monkeypatch.setattr(node_client, "MAX_WAITING", 10)
    found = await asyncio.gather(*(redis.get("a") for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(item, RedisAway) for item in found) == 20
    assert await redis.get("a") is None


async def test_a_cancelled_command_does_not_leave_its_answer_to_the_next(redis: Redis) -> None:
    await redis.set("a", b"a", ttl_ms=60_000)
    for _ in range(30):
        task = asyncio.create_task(redis.run("GET", "a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await redis.run("ECHO", "b") == b"b"


async def test_away_fails_at_once_and_comes_back(own_redis: LocalServers) -> None:
    redis = Redis(own_redis.redis_url())
    await redis.ping()
    await asyncio.gather(*(redis.get("a") for _ in range(20)))
    await asyncio.to_thread(own_redis.stop_redis, kill=True)
    begun = time.monotonic()
    for _ in range(200):
        with pytest.raises(RedisAway):
            await redis.get("a")
    assert time.monotonic() - begun < 0.5
    await asyncio.to_thread(own_redis.start_redis)
    # The first to get through is a script that the new server does not know.
    script = redis.script("set_if_newer")
    async with asyncio.timeout(5):
        while True:
            try:
                assert await script(["a"], [1, b"one", 1000]) == 1
                break
            except RedisAway:
                await asyncio.sleep(0.02)
    await asyncio.gather(*(redis.get("a") for _ in range(20)))
    await redis.close()


async def test_a_frozen_server_counts_as_away(own_redis: LocalServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "COMMAND_SECONDS", 0.5)
    redis = Redis(own_redis.redis_url())
    await redis.ping()
    pid = int((own_redis.data_dir / "redis.pid").read_text())
    freeze(pid)
    try:
        begun = time.monotonic()
        with pytest.raises(RedisAway):
            await redis.get("a")
        with pytest.raises(RedisAway):
            await redis.get("a")
        assert time.monotonic() - begun < 0.8
    finally:
        os.kill(pid, signal.SIGCONT)
    await until_back(redis)
    await redis.close()


class Process:
    """What one process has: a client, a stream and a cache."""

    def __init__(self, url: str) -> None:
        self.redis = Redis(url)
        self.stream = Invalidations(self.redis)
        self.cache: LocalCache[str, int] = self.stream.cache("numbers", 100, 300.0)

    async def close(self) -> None:
        await self.stream.close()
        await self.redis.close()


async def open_processes(url: str) -> tuple[Process, Process]:
    pair = Process(url), Process(url)
    for process in pair:
        await process.stream.start()
        await process.stream.wait_hearing()
    return pair


async def test_a_drop_reaches_the_other_process(redis_url: str) -> None:
    here, there = await open_processes(redis_url)
    there.cache.put("a", 1)
    there.cache.put("b", 2)
    fill = there.cache.begin("a")
    await here.cache.drop("a")
    await until(lambda: there.cache.get("a") is None, 1)
    assert there.cache.get("b") == 2
    assert not there.cache.put_if(fill, 1)
    await here.close()
    await there.close()


async def test_a_value_put_after_the_drop_is_not_lost_to_its_own_message(redis_url: str) -> None:
    here, there = await open_processes(redis_url)
    await here.cache.drop("a")
    here.cache.put("a", 2)
    there.cache.put("z", 1)
    await here.cache.drop("z")
    await until(lambda: there.cache.get("z") is None, 1)
    assert here.cache.get("a") == 2
    await here.close()
    await there.close()


async def test_a_broken_stream_makes_caches_short_lived_until_it_is_back(own_redis: LocalServers) -> None:
    here, there = await open_processes(own_redis.redis_url())
    there.cache.put("a", 1)
    await asyncio.to_thread(own_redis.stop_redis, kill=True)
    await until(lambda: not there.stream.hearing, 1)
    assert there.cache.get("a") is None
    there.cache.put("a", 1)
    await here.cache.drop("a")
    await asyncio.sleep(1.05)
    assert there.cache.get("a") is None
    # Not before the other one hears again and has stored something does this one come back.
    await here.stream.close()
    await asyncio.to_thread(own_redis.start_redis)
    async with asyncio.timeout(5):
        await there.stream.wait_hearing()
    there.cache.put("a", 1)
    assert there.cache.get("a") == 1
    # The drop that could not be told is told now.
    await here.stream.start()
    await until(lambda: there.cache.get("a") is None, 5)
    await here.close()
    await there.close()


async def test_a_stream_is_not_silent_because_nobody_listened(redis_url: str) -> None:
    """A process that was busy for longer than a stream may be silent learns nothing about the stream."""
    here, there = await open_processes(redis_url)
    for _ in range(3):
        there.cache.put("a", 1)
        time.sleep(1.0)  # noqa: ASYNC251 (it is what happens)
        await asyncio.sleep(0.4)
        assert there.stream.hearing
        assert there.cache.get("a") == 1
    await here.close()
    await there.close()


async def test_a_half_open_connection_counts_as_broken_within_a_second(own_redis: LocalServers) -> None:
    here, there = await open_processes(own_redis.redis_url())
    there.cache.put("a", 1)
    pid = int((own_redis.data_dir / "redis.pid").read_text())
    freeze(pid)
    try:
        await until(lambda: not there.stream.hearing, 1.2)
        assert there.cache.get("a") is None
    finally:
        os.kill(pid, signal.SIGCONT)
    async with asyncio.timeout(5):
        await there.stream.wait_hearing()
    await here.close()
    await there.close()
