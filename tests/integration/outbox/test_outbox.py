"""The outbox: nothing lost, nothing twice, each user's events in order."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from cli.servers import LocalServers
from core.db import Database, Migrator, Transaction
from core.ids import new_id
from core.outbox import Outbox, queries, rows
from core.outbox.rows import Row
from core.redis import Redis, keys
from tests.conftest import fresh_database


class Place:
    """A database and a Redis, with as many relays as wanted."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.db = Database(database_url, size=6)
        self.redis = Redis(redis_url)
        self.outboxes: list[Outbox] = []

    async def open(self) -> None:
        await Migrator(self.db).apply()
        await self.db.start()
        await self.db.execute("DELETE FROM outbox")

    async def relay(self) -> Outbox:
        outbox = Outbox(self.db, self.redis)
        await outbox.start()
        self.outboxes.append(outbox)
        return outbox

    async def tell(self, outbox: Outbox, user: bytes, *texts: str) -> None:
        async def work(tx: Transaction) -> None:
            for text in texts:
                await outbox.add(tx, user, "payment.updated", StringValue(value=text))

        await self.db.transact(work)

    async def tell_together(self, outbox: Outbox, *news: tuple[bytes, str]) -> None:
        events = [(user, "chat.message", StringValue(value=text)) for user, text in news]
        await self.db.transact(lambda tx: outbox.add_together(tx, events))

    async def tell_many(self, outbox: Outbox, *news: tuple[bytes, str]) -> None:
        events = [(user, "payment.updated", StringValue(value=text)) for user, text in news]
        await self.db.transact(lambda tx: outbox.add_many(tx, events))

    async def log(self, user: bytes) -> list[str]:
        entries = await self.redis.run("XRANGE", keys.events(user), "-", "+")
        return [StringValue.FromString(fields[fields.index(b"payload") + 1]).value for _, fields in entries]

    async def waiting(self) -> int:
        row = await self.db.fetch_one("SELECT COUNT(*) FROM outbox")
        assert row is not None
        return int(row[0])

    async def close(self) -> None:
        for outbox in self.outboxes:
            await outbox.close()
        await self.db.close()
        await self.redis.close()


@pytest.fixture
async def place(database_url: str, redis_url: str) -> AsyncIterator[Place]:
    made = Place(database_url, redis_url)
    await made.open()
    yield made
    await made.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (it comes from the relay)
            await asyncio.sleep(0.01)


async def empty(place: Place, seconds: float = 10) -> None:
    async def none() -> bool:
        return await place.waiting() == 0

    await until(none, seconds)


async def test_an_event_is_published_right_after_its_commit(place: Place) -> None:
    outbox = await place.relay()
    user = os.urandom(16)
    client, subscription = await place.redis.subscriber()
    await subscription.ssubscribe(keys.events_channel(user))
    await subscription.get_message(timeout=1)
    await place.tell(outbox, user, "one")
    message: Any = await subscription.get_message(timeout=0.9, ignore_subscribe_messages=True)
    epoch, offset, _, topic, payload = message["data"].split(b"\n", 4)
    assert (offset, topic, StringValue.FromString(payload).value) == (b"1", b"payment.updated", "one")
    await empty(place)
    assert await place.redis.run("HGET", keys.events_head(user), "epoch") == epoch
    assert await place.log(user) == ["one"]
    assert 0 < await place.redis.run("PTTL", keys.events(user)) <= keys.EVENTS_TTL_MS
    await subscription.aclose()
    await client.aclose()


async def test_a_rolled_back_event_is_never_told(place: Place) -> None:
    outbox = await place.relay()
    user = os.urandom(16)

    async def work(tx: Transaction) -> None:
        await outbox.add(tx, user, "payment.updated", StringValue(value="no"))
        raise LookupError

    with pytest.raises(LookupError):
        await place.db.transact(work)
    await place.tell(outbox, user, "yes")
    await empty(place)
    assert await place.log(user) == ["yes"]


async def test_several_relays_keep_each_user_s_order(place: Place) -> None:
    outboxes = [await place.relay() for _ in range(3)]
    users = [os.urandom(16) for _ in range(5)]

    async def teller(user: bytes) -> None:
        for number in range(30):
            await place.tell(random.choice(outboxes), user, str(number))

    await asyncio.gather(*map(teller, users))
    await empty(place)
    for user in users:
        assert await place.log(user) == [str(number) for number in range(30)]


async def test_a_dead_relay_s_events_are_taken_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "CLAIM_SECONDS", 1)
    dead = Outbox(place.db, place.redis)
    user = os.urandom(16)
    await place.tell(dead, user, "one", "two")
    claims: list[int] = []
    claim = queries.claim

    async def counted(db: Database, limit: int) -> list[Row]:
        claims.append(limit)
        return await claim(db, limit)

    monkeypatch.setattr(queries, "claim", counted)
    alive = await place.relay()
    await place.tell(alive, user, "three")
    await empty(place, 5)
    assert await place.log(user) == ["one", "two", "three"]
    assert len(claims) < 40  # a row that waits for the dead one's is looked at now and then


async def test_published_but_not_deleted_is_published_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a death between the two."""
    monkeypatch.setattr(queries, "CLAIM_SECONDS", 1)
    outbox = Outbox(place.db, place.redis)
    user = os.urandom(16)
    await place.tell(outbox, user, "one", "two")
    done: list[Row] = []
    assert await outbox._publishing.publish(list(outbox._fresh), done, {}) is None
    assert len(done) == 2
    assert await place.log(user) == ["one", "two"]
    await place.relay()
    await empty(place, 5)
    assert await place.log(user) == ["one", "two"]


async def test_events_told_together_share_a_row_and_wait_for_none(place: Place) -> None:
    dead = Outbox(place.db, place.redis)
    users = [os.urandom(16) for _ in range(3)]
    await place.tell(dead, users[0], "earlier")
    await place.tell_together(dead, *((user, "one") for user in users), (users[1], "two"))
    assert await place.waiting() == 2
    done: list[Row] = []
    shared = [row for row in dead._fresh if row.users]
    assert await dead._publishing.publish(shared, done, {}) is None
    assert await dead._publishing.publish(shared, done, {}) is None
    assert done == shared * 2
    assert [await place.log(user) for user in users] == [["one"], ["one", "two"], ["one"]]
    await place.db.execute("DELETE FROM outbox")


async def test_rows_told_together_are_deleted_soon(place: Place) -> None:
    outbox = await place.relay()
    users = [os.urandom(16) for _ in range(150)]
    await place.tell_together(outbox, *((user, "one") for user in users))
    await empty(place, 2)
    assert [await place.log(user) for user in users] == [["one"]] * 150
    await place.tell_together(outbox, (users[0], "two"))
    await outbox.close()
    assert await place.waiting() == 0
    assert await place.log(users[0]) == ["one", "two"]


async def test_one_user_s_broken_log_in_a_shared_row_holds_up_nobody_else(place: Place) -> None:
    outbox = Outbox(place.db, place.redis)
    broken, *users = (os.urandom(16) for _ in range(4))
    await place.redis.run("SET", keys.events(broken), "no stream")
    await place.tell_together(outbox, *((user, "one") for user in users))
    await place.tell_together(outbox, (users[0], "two"), (broken, "two"), (users[1], "two"), (users[2], "two"))
    await place.tell_together(outbox, *((user, "three") for user in users))
    first, second, third = outbox._fresh
    for _ in range(2):
        done: list[Row] = []
        assert await outbox._publishing.publish([first, second, third], done, {}) is not None
        assert done == [first, third]
        assert [await place.log(user) for user in users] == [["one", "two", "three"]] * 3
    await place.redis.run("DEL", keys.events(broken))
    await place.db.execute("DELETE FROM outbox")


async def test_a_new_epoch_when_the_head_is_lost(place: Place) -> None:
    outbox = await place.relay()
    user = os.urandom(16)
    await place.tell(outbox, user, "one", "two")
    await empty(place)
    first = await place.redis.run("HGET", keys.events_head(user), "epoch")
    await place.redis.delete(keys.events_head(user))
    await place.tell(outbox, user, "three")
    await empty(place)
    assert await place.log(user) == ["three"]
    assert await place.redis.run("HMGET", keys.events_head(user), "epoch", "top") != [first, b"1"]
    assert await place.redis.run("HGET", keys.events_head(user), "top") == b"1"


@pytest.mark.parametrize("few", [1, 5])
async def test_one_user_s_broken_log_holds_up_nobody_else(place: Place, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(rows, "FEW", few)
    outbox = await place.relay()
    broken, *users = (os.urandom(16) for _ in range(5))
    await place.tell(outbox, broken, "zero")
    await empty(place)
    await place.redis.run("DEL", keys.events(broken))
    await place.redis.run("SET", keys.events(broken), "no stream")

    async def work(tx: Transaction) -> None:
        news = [(user, "payment.updated", StringValue(value=text)) for text in ("one", "two") for user in (broken, *users)]
        await outbox.add_many(tx, news)

    await place.db.transact(work)

    async def only_broken() -> bool:
        return await place.db.fetch_all("SELECT user_id FROM outbox") == [(broken,)]

    await until(only_broken)
    assert [await place.log(user) for user in users] == [["one", "two"]] * 4
    await place.db.execute("DELETE FROM outbox")


@pytest.mark.parametrize("read", [30, 1])
async def test_a_row_of_several_users_keeps_each_one_s_order(place: Place, monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    monkeypatch.setattr(queries, "_MAX_READ", read)
    monkeypatch.setattr(rows, "FEW", 1)
    dead, outbox = Outbox(place.db, place.redis), Outbox(place.db, place.redis)
    users = [os.urandom(16) for _ in range(6)]
    await place.tell(dead, users[0], "one")
    await place.tell_many(dead, (users[1], "one"), (users[2], "one"))
    await place.tell_many(outbox, (users[0], "two"), (users[3], "two"))
    await place.tell_many(outbox, (users[2], "two"), (users[4], "two"))
    await place.tell(outbox, users[4], "three")
    assert not await outbox._relay_batch(list(outbox._fresh))
    assert [await place.log(user) for user in users] == [[]] * 6
    await place.tell_many(outbox, (users[0], "four"), (users[5], "four"))
    assert await dead._relay_batch(list(dead._fresh))
    assert [await place.log(user) for user in users] == [["one"], ["one"], ["one"], [], [], []]
    assert not await outbox._relay_batch(list(outbox._fresh)[-1:])  # behind rows that are not among these
    assert await outbox._relay_batch(list(outbox._fresh))
    assert [await place.log(user) for user in users] == [
        ["one", "two", "four"], ["one"], ["one", "two"], ["two"], ["two", "three"], ["four"]
    ]  # fmt: skip
    assert await place.waiting() == 0


async def test_the_log_is_bounded(place: Place) -> None:
    outbox = await place.relay()
    user = os.urandom(16)
    await place.tell(outbox, user, *map(str, range(600)))
    await empty(place)
    assert await place.log(user) == [str(number) for number in range(600 - keys.EVENTS_MAX, 600)]


async def test_closing_publishes_what_is_known(place: Place) -> None:
    outbox = await place.relay()
    user = os.urandom(16)
    await place.tell(outbox, user, *map(str, range(50)))
    await outbox.close()
    assert await place.waiting() == 0
    assert len(await place.log(user)) == 50


async def test_while_redis_is_away_events_wait(servers: LocalServers, worker_number: int, own_redis: LocalServers) -> None:
    place = Place(fresh_database(servers, f"outbox_{worker_number}"), own_redis.redis_url())
    await place.open()
    outbox = await place.relay()
    user = os.urandom(16)
    await place.tell(outbox, user, "one")
    await empty(place)
    await asyncio.to_thread(own_redis.stop_redis)
    for text in ("two", "three"):
        await place.tell(outbox, user, text)
    await asyncio.sleep(0.5)
    assert await place.waiting() == 2
    await asyncio.to_thread(own_redis.start_redis)
    await empty(place, 8)
    assert (await place.log(user))[-2:] == ["two", "three"]
    await place.close()


async def test_claims_of_two_relays_never_overlap(place: Place) -> None:
    outbox = Outbox(place.db, place.redis)
    await place.tell(outbox, new_id(), *map(str, range(100)))
    await place.db.execute("UPDATE outbox SET claim_time = NULL")
    claims = await asyncio.gather(*(queries.claim(place.db, 60) for _ in range(5)))
    ids = [row.id for rows in claims for row in rows]
    assert len(ids) == len(set(ids))
    await place.db.execute("DELETE FROM outbox")
