"""Events and presence of several processes over one Redis: nothing missed, nothing twice, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from core.errors import TooMany
from core.ids import new_id
from core.realtime.presence import PresenceTimes
from core.redis import RedisAway, keys
from core.redis.event_log import passing
from skillforge.v1 import chat_pb2
from skillforge.v1.realtime_pb2 import EventPosition
from tests.support.polling import eventually
from tests.support.realtime_place import Process, processes
from tests.support.sockets import soon


@pytest.fixture
async def pair(redis_url: str) -> AsyncIterator[list[Process]]:
    async with processes(redis_url) as made:
        yield made


async def test_events_reach_every_process_in_order(pair: list[Process]) -> None:
    one, two = pair
    ada, bob = new_id(), new_id()
    tabs = [await one.open(ada), await two.open(ada, "phone"), await two.open(ada, "tablet")]
    others = await one.open(bob)
    await one.say(ada, *map(str, range(50)))
    for tab in tabs:
        await tab.until(*map(str, range(50)))
        assert [event.offset for event in tab.events] == list(range(1, 51))
        assert len({event.id for event in tab.events}) == 50
    assert others.events == []


async def test_an_event_is_published_once_however_often(pair: list[Process]) -> None:
    one, _ = pair
    ada, event_id = new_id(), new_id()
    tab = await one.open(ada)
    for _ in range(3):
        await one.publisher.publish(ada, "chat.message", chat_pb2.ChatMessage(body="once"), event_id)
    await one.say(ada, "after")
    await tab.until("once", "after")


async def test_what_passes_is_pushed_and_not_kept(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await two.open(ada)
    await one.publisher.push(ada, "chat.typing", chat_pb2.ChatTyping(typing=True))
    await one.publisher.push_many([ada, new_id(), new_id()], "chat.typing", chat_pb2.ChatTyping(typing=False))
    assert (await tab.next("chat.typing")).chat_typing.typing
    last = await tab.next("chat.typing")
    assert (last.offset, last.id, last.chat_typing.typing) == (0, "", False)
    assert await one.top(ada) == 0


async def test_a_stream_resumes_where_it_stopped(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await one.open(ada)
    assert not tab.joined.recovered
    await one.say(ada, "1", "2")
    await tab.until("1", "2")
    await tab.leave()
    await one.say(ada, "3", "4")
    again = await two.open(ada, resume=tab.position)
    assert (again.joined.recovered, again.joined.offset) == (True, 4)
    assert again.bodies == ["3", "4"]
    await one.say(ada, "5")
    await again.until("3", "4", "5")


async def test_resuming_again_and_again_without_traffic_repeats_nothing(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await one.open(ada)
    for process in (one, two, one, two):
        await tab.leave()
        tab = await process.open(ada, resume=tab.position)
        assert tab.joined.recovered
        assert tab.events == []
    await one.say(ada, "only")
    await tab.until("only")


async def test_what_cannot_be_resumed_is_not_called_recovered(pair: list[Process]) -> None:
    one, _ = pair
    ada = new_id()
    await one.say(ada, *map(str, range(5)))
    tab = await one.open(ada)
    epoch = tab.joined.epoch
    for position in (EventPosition(epoch="another", offset=2), EventPosition(epoch=epoch, offset=6), EventPosition()):
        await tab.leave()
        tab = await one.open(ada, resume=position)
        assert (tab.joined.recovered, tab.joined.epoch, tab.joined.offset, tab.events) == (False, epoch, 5, [])
    await one.redis.run("DEL", keys.events(ada))  # as after ten minutes
    gap = await one.open(ada, "phone", resume=EventPosition(epoch=epoch, offset=4))
    assert not gap.joined.recovered
    top = await one.open(ada, "tablet", resume=EventPosition(epoch=epoch, offset=5))
    assert top.joined.recovered


async def test_more_than_the_log_holds_is_not_replayed(pair: list[Process]) -> None:
    one, _ = pair
    ada = new_id()
    tab = await one.open(ada)
    await tab.leave()
    await one.say(ada, *("x" * 8000 for _ in range(40)))
    assert not (await one.open(ada, resume=tab.position)).joined.recovered


async def test_a_broken_subscription_is_mended_without_gap_or_repeat(pair: list[Process]) -> None:
    one, two = pair
    users = [new_id() for _ in range(20)]
    tabs = [await one.open(user) for user in users]
    sent = 0
    for _ in range(4):
        for wire in list(one.connections.hub._subscriptions._wires.values()):
            wire.close()
        for _ in range(3):
            for user in users:
                await two.say(user, str(sent))
            sent += 1
    for tab in tabs:
        await tab.until(*map(str, range(sent)))


async def test_a_lost_message_is_read_from_the_log(pair: list[Process]) -> None:
    """As if a published message had not arrived: the next one shows the gap."""
    one, _ = pair
    ada = new_id()
    tab = await one.open(ada)
    await one.say(ada, "1")
    await tab.until("1")
    hub = one.connections.hub
    heard, hub._subscriptions._on_message = hub._subscriptions._on_message, lambda name, data: None
    await one.say(ada, "2", "3")
    await asyncio.sleep(0.05)
    hub._subscriptions._on_message = heard
    await one.say(ada, "4")
    await tab.until("1", "2", "3", "4")


async def test_joining_while_events_pour_in_misses_none(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    await one.say(ada, "0")
    first = await one.open(ada, resume=EventPosition())
    total = 300

    async def pour() -> None:
        for number in range(1, total):
            await two.say(ada, str(number))

    pouring = asyncio.create_task(pour())
    tab, seen = first, list[int]()
    start = first.joined.offset
    while not pouring.done():
        await asyncio.sleep(random.uniform(0, 0.02))
        await tab.leave()
        seen += [event.offset for event in tab.events]
        tab = await random.choice(pair).open(ada, resume=EventPosition(epoch=tab.joined.epoch, offset=start + len(seen)))
        assert tab.joined.recovered
    await pouring
    await soon(lambda: start + len(seen) + len(tab.events) == total)
    assert seen + [event.offset for event in tab.events] == list(range(start + 1, total + 1))


async def test_a_lost_log_ends_the_streams(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tabs = [await one.open(ada), await two.open(ada, "phone")]
    await one.say(ada, "1")
    for tab in tabs:
        await tab.until("1")
    await one.redis.run("DEL", keys.events_head(ada), keys.events(ada))
    await one.say(ada, "2")
    assert [await tab.closed() for tab in tabs] == [4003, 4003]
    again = await one.open(ada, resume=tabs[0].position)
    assert not again.joined.recovered
    assert again.joined.epoch != tabs[0].joined.epoch


async def test_an_unknown_event_takes_its_place_and_no_more(pair: list[Process]) -> None:
    one, _ = pair
    ada = new_id()
    tab = await one.open(ada)
    await one.publisher.publish(ada, "of.the.future", chat_pb2.ChatMessage(body="?"), new_id())
    await one.redis.run("SPUBLISH", keys.events_channel(ada), b"garbage")
    await one.redis.run("SPUBLISH", keys.events_channel(ada), passing("!nonsense", b""))
    await one.say(ada, "2")
    await tab.until("2")
    assert tab.events[0].offset == 2


async def test_the_same_tab_takes_its_place_again(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    old = await one.open(ada, "laptop", "1")
    other = await one.open(ada, "laptop", "2")
    new = await two.open(ada, "laptop", "1")
    assert await old.closed() == 4505
    await one.say(ada, "1")
    await new.until("1")
    await other.until("1")
    assert len(await one.presence.connections(ada)) == 2


async def test_a_user_has_at_most_ten_connections(pair: list[Process]) -> None:
    ada = new_id()
    tabs = [await pair[number % 2].open(ada, tab=str(number)) for number in range(10)]
    with pytest.raises(TooMany):
        await pair[0].open(ada, tab="11")
    await pair[1].open(ada, tab="3")  # takes a place
    assert await tabs[3].closed() == 4505
    await tabs[4].leave()
    await eventually(lambda: pair[0].presence.connections(ada), lambda found: len(found) == 9)
    await pair[0].open(ada, tab="11")


async def test_presence_is_told_to_who_watches(pair: list[Process]) -> None:
    one, two = pair
    ada, bob, eve = new_id(), new_id(), new_id()
    watcher, stranger = await one.open(ada), await one.open(eve)
    standings = await one.connections.watch(ada, [bob], watcher.stream.connection)
    assert (standings[bob].online, standings[bob].seen_ms) == (False, None)
    first = await two.open(bob, tab="1")
    assert (await watcher.next("presence.changed")).presence_changed.online
    second = await one.open(bob, tab="2")
    await first.leave()  # the other one is still there
    await asyncio.sleep(0.25)
    assert watcher.events == []
    await second.leave()
    offline = (await watcher.next("presence.changed")).presence_changed
    assert (offline.online, offline.HasField("last_seen_time")) == (False, True)
    assert (await one.presence.standings([bob]))[bob].seen_ms is not None
    assert stranger.events == []
    await one.presence.unwatch(ada, bob)
    await eventually(lambda: _watched(watcher), lambda watched: watched == ())
    await two.open(bob)
    await asyncio.sleep(0.1)
    assert watcher.events == []


async def _watched(tab: object) -> tuple[bytes, ...]:
    return tab.stream.watched  # type: ignore[attr-defined, no-any-return]


async def test_who_comes_while_redis_is_away_is_told_of_later(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with processes(redis_url, times=PresenceTimes()) as (one, two):
        ada, bob = new_id(), new_id()
        watcher = await one.open(ada)
        await one.connections.watch(ada, [bob], watcher.stream.connection)
        announce = two.presence.announce

        async def away_once(user_id: bytes) -> None:
            monkeypatch.setattr(two.presence, "announce", announce)
            raise RedisAway("for once")

        monkeypatch.setattr(two.presence, "announce", away_once)
        await two.open(bob)
        assert (await watcher.next("presence.changed")).presence_changed.online


async def test_who_comes_back_in_time_was_never_away(redis_url: str) -> None:
    async with processes(redis_url, times=PresenceTimes(grace=5.0)) as (one, two):
        ada, bob = new_id(), new_id()
        watcher, tab = await one.open(ada), await one.open(bob)
        await one.connections.watch(ada, [bob], watcher.stream.connection)
        for process in (two, one, two):
            await tab.leave()
            await eventually(lambda: one.presence.connections(bob), lambda found: not found)
            assert (await one.presence.online([bob, ada])) == {bob: True, ada: True}
            tab = await process.open(bob)
        await one.say(ada, "last")
        await watcher.until("last")
        told = [event.presence_changed for event in watcher.events if event.topic == "presence.changed"]
        assert [item for item in told if not item.online] == []


async def test_a_killed_process_s_users_are_seen_offline(redis_url: str) -> None:
    async with processes(redis_url, 3) as (one, two, three):
        ada, users = new_id(), [new_id() for _ in range(30)]
        watcher = await one.open(ada)
        doomed = [await two.open(user) for user in users]
        await three.open(users[0], "phone")  # has another connection
        await one.connections.watch(ada, users, watcher.stream.connection)
        await two.die()
        gone = {(await watcher.next("presence.changed")).presence_changed.user_id for _ in users[1:]}
        assert len(gone) == 29
        assert await one.presence.online(users) == {user: user == users[0] for user in users}
        assert len(doomed) == 30


async def test_no_connection_counts_before_its_process_has_a_lease(redis_url: str) -> None:
    """Else nobody would notice that a process which has only just begun was killed."""
    process = Process(redis_url, PresenceTimes())
    await process.connections.hub.start()
    await process.open(new_id())
    assert await process.redis.run("ZSCORE", keys.PRESENCE_PROCESSES, process.presence.process) is not None
    await process.stop()


async def test_the_presence_outlives_an_emptied_redis(pair: list[Process]) -> None:
    one, two = pair
    ada, bob = new_id(), new_id()
    await one.open(ada)
    await two.open(bob)
    for user in (ada, bob):
        await one.redis.run("DEL", keys.presence(user))
    await eventually(lambda: one.presence.online([ada, bob]), lambda found: all(found.values()))


async def test_fallen_sessions_end_their_streams(pair: list[Process]) -> None:
    one, two = pair
    ada, bob = new_id(), new_id()
    tabs = [await process.open(ada, str(number)) for number, process in enumerate(pair)]
    other = await one.open(bob)
    for process in pair:
        process.sessions.down.add(f"sess_{ada.hex()}")
    one.sessions.session(f"sess_{ada.hex()}")
    two.sessions.account(None)
    assert [await tab.closed() for tab in tabs] == [4503, 4503]
    await one.say(bob, "still here")
    await other.until("still here")


async def test_a_service_s_stream_is_no_presence(pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await one.open(ada, silent=True)
    await two.say(ada, "1")
    await tab.until("1")
    assert await one.presence.online([ada]) == {ada: False}
    assert await one.presence.connections(ada) == []
