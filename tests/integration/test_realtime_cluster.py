"""The realtime parts over a Redis Cluster of six nodes: the same, and while slots move and masters die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from core.ids import new_id
from core.redis import Invalidations, LocalCache, Redis, RedisAway, keys
from tests.integration import test_call_races as call_races
from tests.integration import test_calls as calls
from tests.integration import test_realtime as cases
from tests.support.phones import open_exchange
from tests.support.polling import eventually
from tests.support.realtime_place import Process, processes
from tests.support.redis_cluster import RedisCluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(Path(tmp_path_factory.mktemp("cluster"))) as made:
        yield made


@pytest.fixture
async def pair(cluster: RedisCluster) -> AsyncIterator[list[Process]]:
    async with processes(cluster.url) as made:
        yield made


test_events = cases.test_events_reach_every_process_in_order
test_once = cases.test_an_event_is_published_once_however_often
test_passing = cases.test_what_passes_is_pushed_and_not_kept
test_resume = cases.test_a_stream_resumes_where_it_stopped
test_mending = cases.test_a_broken_subscription_is_mended_without_gap_or_repeat
test_pouring = cases.test_joining_while_events_pour_in_misses_none
test_superseding = cases.test_the_same_tab_takes_its_place_again
test_presence = cases.test_presence_is_told_to_who_watches


async def test_a_killed_process_is_noticed(cluster: RedisCluster) -> None:
    await cases.test_a_killed_process_s_users_are_seen_offline(cluster.url)


async def test_drops_are_heard(cluster: RedisCluster) -> None:
    """A PUBLISH reaches the subscribers of every node."""
    redis = Redis(cluster.url)
    hearers = [Invalidations(redis) for _ in range(4)]
    caches = [item.cache("c", 10, 30.0) for item in hearers]
    for item in hearers:
        await item.start()
        await item.wait_hearing()
    for cache in caches:
        cache.put("k", 1)
    await caches[0].drop("k")
    await eventually(lambda: _values(caches), lambda values: values == [None] * 4)
    for item in hearers:
        await item.close()
    await redis.close()


async def _values(caches: Sequence[LocalCache[Any, Any]]) -> list[object]:
    return [cache.get("k") for cache in caches]


async def test_a_slot_that_moves_takes_its_channels_along(cluster: RedisCluster, pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await one.open(ada)
    await two.say(ada, "1")
    await tab.until("1")
    slot = key_slot(keys.events_channel(ada).encode())
    source = cluster.owner(slot)
    await asyncio.to_thread(cluster.move_slot, slot, source, (source + 1) % 3)
    # The log moved to another server process: what it holds is kept, but its places are counted anew.
    await eventually(lambda: _said(two, ada, "2"))
    assert await tab.closed() == 4003
    again = await one.open(ada, resume=tab.position)
    assert not again.joined.recovered
    await two.say(ada, "3")
    await again.until("3")


async def test_a_master_that_dies_loses_nobody(cluster: RedisCluster) -> None:
    """Last of all: the cluster has a node less afterwards."""
    async with processes(cluster.url) as (one, two):
        users = [new_id() for _ in range(24)]
        tabs = [await one.open(user) for user in users]
        for user in users:
            await two.say(user, "1")
        for tab in tabs:
            await tab.until("1")
        owners = {user: cluster.owner(key_slot(keys.events_head(user).encode())) for user in users}
        await asyncio.to_thread(cluster.kill, 0)
        await others_are_served(two.redis, owners, 0)
        await eventually(lambda: asyncio.to_thread(cluster.masters), lambda found: len(found) == 3 and 0 not in found)
        for user in users:
            await eventually(lambda user=user: _said(two, user, "2"))  # type: ignore[misc]
        for user, tab in zip(users, tabs, strict=True):
            if tab.bodies == ["1", "2"]:
                continue  # its master lives
            assert await tab.closed() == 4003
            again = await one.open(user, resume=tab.position)
            await two.say(user, "3")
            await again.until("3")


async def others_are_served(redis: Redis, owners: dict[bytes, int], dead: int) -> None:
    """A dead node is away at once for its own users, and for nobody else."""
    lost = [user for user in owners if owners[user] == dead]
    assert 0 < len(lost) < len(owners)
    for user in [*lost, *lost]:
        with pytest.raises(RedisAway):
            await redis.get(keys.events_head(user))
        for other in owners:
            if owners[other] != dead:
                assert await redis.run("HGET", keys.events_head(other), "top") == b"1"


async def _said(process: Process, user: bytes, body: str) -> bool:
    try:
        await process.say(user, body)
    except Exception:
        return False
    return True


async def test_calls(cluster: RedisCluster, database_url: str) -> None:
    async with open_exchange(database_url, cluster.url) as exchange:
        for case in (
            calls.test_a_call_is_active_when_both_say_so_and_ends_by_hanging_up,
            calls.test_crossing_invites_are_one_call,
            calls.test_whoever_is_in_a_call_is_busy,
            calls.test_nobody_answers_in_a_minute,
            call_races.test_hangup_against_accept,
            call_races.test_what_a_dead_process_left_untold_is_told,
        ):
            await case(exchange, await exchange.pair())
