"""Redis emptied, set back and frozen, gateways killed in the middle of a send: nothing committed is lost or shown twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest

from cli.servers import LocalServers
from core.ids import new_id
from core.realtime.presence import PresenceTimes
from core.redis import Redis, keys
from skillforge.v1.realtime_pb2 import EventPosition
from tests.conftest import fresh_database, fresh_redis
from tests.support.installation import Installation, installed, serving
from tests.support.polling import eventually
from tests.support.processes import children, free_port, freeze
from tests.support.realtime_place import Process, processes
from tests.support.sockets import Refused, WsClient, socket_of

pytestmark = pytest.mark.slow

WORKER = "from multiprocessing.spawn"
SENDERS, MESSAGES = 4, 32


@pytest.fixture
async def pair(own_redis: LocalServers) -> AsyncIterator[list[Process]]:
    async with processes(own_redis.redis_url()) as made:
        yield made


async def heard_again(process: Process, *users: bytes) -> None:
    """Wait until Redis is back for a process, and events are published."""
    for user in users:
        await eventually(lambda user=user: said(process, user))  # type: ignore[misc]


async def said(process: Process, user: bytes) -> bool:
    try:
        await process.say(user, "back")
    except Exception:
        return False
    return True


async def test_a_redis_that_comes_back_empty_is_told_as_lost_state(own_redis: LocalServers, pair: list[Process]) -> None:
    one, two = pair
    ada, bob = new_id(), new_id()
    tabs = [await one.open(ada), await two.open(ada, "phone"), await two.open(bob)]
    await one.say(ada, "1", "2")
    await tabs[0].until("1", "2")
    await asyncio.to_thread(own_redis.restart_redis, kill=True)
    # Nothing is published meanwhile, and all the same everybody learns that the log is another one.
    assert [await tab.closed() for tab in tabs] == [4003] * 3
    again = await eventually(lambda: opened(one, ada, tabs[0].position))
    assert not again.joined.recovered
    await two.say(ada, "3")
    await again.until("3")
    await eventually(lambda: one.presence.online([ada]), lambda found: found[ada])


async def opened(process: Process, user: bytes, resume: EventPosition) -> Any:
    try:
        return await process.open(user, resume=resume)
    except Exception:
        return None


async def test_a_redis_set_back_in_time_never_passes_for_the_present(own_redis: LocalServers, pair: list[Process]) -> None:
    """It remembers an older top: new events would take offsets that clients have seen already."""
    one, two = pair
    ada = new_id()
    tab = await one.open(ada)
    await one.say(ada, "1", "2")
    await tab.until("1", "2")
    await one.redis.run("SET", "moment", "2")
    await one.redis.run("SAVE")
    await one.redis.run("SET", "moment", "4")
    await one.say(ada, "3", "4")
    await tab.until("1", "2", "3", "4")
    position = tab.position
    await asyncio.to_thread(own_redis.restart_redis, kill=True)
    writer = Redis(own_redis.redis_url())  # one that has never seen the server before
    assert await eventually(lambda: alive(writer))
    # Not the log's top: whoever reads the log first begins it anew.
    assert await writer.get("moment") == b"2"
    await writer.close()
    for _ in range(3):
        await heard_again(two, ada)
    assert await tab.closed() == 4003
    assert tab.bodies == ["1", "2", "3", "4"]
    again = await eventually(lambda: opened(one, ada, position))
    assert not again.joined.recovered
    await two.say(ada, "last")
    await again.until("last")


async def alive(redis: Redis) -> bool:
    try:
        await redis.ping()
    except Exception:
        return False
    return True


async def test_a_frozen_redis_delays_and_loses_nothing(own_redis: LocalServers, pair: list[Process]) -> None:
    one, two = pair
    ada = new_id()
    tab = await one.open(ada)
    await two.say(ada, "1")
    await tab.until("1")
    process = own_redis.redis._process
    assert process is not None
    freeze(process.pid)
    await asyncio.sleep(3.0)
    os.kill(process.pid, signal.SIGCONT)
    await heard_again(two, ada)
    await eventually(lambda: bodies(tab), lambda found: found[0] == "1" and found[-1] == "back")
    assert len({event.id for event in tab.events}) == len(tab.events)
    assert [event.offset for event in tab.events] == list(range(1, len(tab.events) + 1))


async def bodies(tab: Any) -> list[str]:
    return list(tab.bodies)


@pytest.fixture(scope="module")
def installation(servers: LocalServers, worker_number: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    url = fresh_database(servers, f"realtime_faults_{worker_number}")
    with installed(tmp_path_factory.mktemp("faults"), url, fresh_redis(servers, 40 + worker_number)) as made:
        yield made


class Sender:
    """Sends numbered messages to somebody, and again at another gateway what was not acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, token: str, to: str, number: int) -> None:
        self.session, self.token, self.to, self.number = session, token, to, number
        self.acknowledged: dict[str, int] = {}

    async def run(self, urls: list[str]) -> None:
        wanted = [f"{self.number}-{item}" for item in range(MESSAGES)]
        while rest := [name for name in wanted if name not in self.acknowledged]:
            try:
                async with socket_of(self.session, urls[0], self.token, tab=str(self.number)) as client:
                    await self._send(client, rest)
            except (ConnectionError, aiohttp.ClientError, TimeoutError, Refused):
                urls = [*urls[1:], urls[0]]
                await asyncio.sleep(0.05)

    async def _send(self, client: WsClient, names: list[str]) -> None:
        for start in range(0, len(names), 8):
            some = names[start : start + 8]
            tasks = [client.start("chat.send", {"to": self.to, "clientMessageId": name, "body": name}) for name in some]
            for name, reply in zip(some, await asyncio.gather(*tasks), strict=True):
                self.acknowledged[name] = int(reply["message"]["seq"])
            await asyncio.sleep(0.4)  # 20 frames a second


async def test_a_gateway_killed_in_the_middle_of_sends(installation: Installation) -> None:
    """Every message is committed once, in a gapless order, and seen once; who was there alone is seen offline."""
    with ExitStack() as stack:
        (doomed, running), (safe, _) = serving(installation, stack, installation.port, free_port())
        emails = ("bob", "cleo", *(f"sender{number}" for number in range(SENDERS)))
        tokens = [installation.sign_in(f"{name}@example.com", "STUDENT") for name in emails]
        people = [installation.call("GET", "/auth/me", token)["id"] for token in tokens]
        for token, user_id in zip(tokens[1:], people[1:], strict=True):
            installation.call("POST", "/friends/request", tokens[0], {"userId": user_id})
            installation.call("POST", f"/friends/{people[0]}/accept", token, {})
        async with (
            aiohttp.ClientSession() as session,
            socket_of(session, safe, tokens[0], tab="watching") as bob,
            socket_of(session, doomed, tokens[1]),
        ):
            reply = await bob.call("presence.watch", {"userIds": [people[1]]})
            assert reply["presences"][0]["online"]
            senders = [Sender(session, token, people[0], number) for number, token in enumerate(tokens[2:])]
            sending = [asyncio.create_task(sender.run([doomed, safe])) for sender in senders]
            await eventually(lambda: count(senders), lambda number: number > SENDERS * MESSAGES // 4)
            for worker in children(running.process.pid, WORKER):
                os.kill(worker, signal.SIGKILL)
            os.kill(running.process.pid, signal.SIGKILL)
            await asyncio.gather(*sending)
            total = SENDERS * MESSAGES
            # What the dead one had committed and not published is somebody else's after ten seconds, and goes before the rest.
            await eventually(lambda: received(bob), lambda found: found >= total, seconds=40)
            messages = [push for push in bob.pushes if push["t"] == "chat.message"]
            assert len({push["id"] for push in messages}) == len(messages) == total
            for sender in senders:
                own = [push["d"] for push in messages if push["d"]["senderId"] == people[2 + sender.number]]
                assert [int(item["seq"]) for item in own] == list(range(1, MESSAGES + 1))
                assert {item["clientMessageId"]: int(item["seq"]) for item in own} == sender.acknowledged
            await let_leases_end(installation)
            gone = await bob.push("presence.changed", lambda data: not data["online"], seconds=30)
            assert gone["userId"] == people[1]


async def let_leases_end(installation: Installation) -> None:
    """Let the time of every process's lease pass; the living carry theirs on. By itself all of it takes less than 30 s."""
    times = PresenceTimes()
    assert times.lease + times.beat * 2 < 30
    redis = Redis(installation.settings["REDIS_URL"])
    for process in await redis.run("ZRANGE", keys.PRESENCE_PROCESSES, 0, -1):
        await redis.run("ZADD", keys.PRESENCE_PROCESSES, 1, process)
    await redis.close()


async def count(senders: list[Sender]) -> int:
    return sum(len(sender.acknowledged) for sender in senders)


async def received(client: WsClient) -> int:
    return sum(push["t"] == "chat.message" for push in client.pushes)
