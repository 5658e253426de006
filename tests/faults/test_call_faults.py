"""A gateway killed and Redis restarted in mid-call: no lock is left, no row stays open, and a call goes on if it can."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import aiohttp
import orjson
import pytest

from cli.servers import LocalServers
from core.errors import NotFound, Unavailable
from core.redis import RedisAway
from tests.conftest import fresh_database, fresh_redis
from tests.support.classroom import refused
from tests.support.installation import Installation, installed, serving
from tests.support.phones import Exchange, Phone, open_exchange, state
from tests.support.polling import eventually
from tests.support.processes import children, fetch, free_port
from tests.support.sockets import socket_of

pytestmark = pytest.mark.slow

WORKER = "from multiprocessing.spawn"


@pytest.fixture
async def exchange(database_url: str, own_redis: LocalServers) -> AsyncIterator[Exchange]:
    async with open_exchange(database_url, own_redis.redis_url()) as opened:
        yield opened


async def restart(exchange: Exchange, own_redis: LocalServers, *phones: Phone) -> None:
    """Kill Redis and start it anew; the devices connect again."""
    await asyncio.to_thread(own_redis.restart_redis, kill=True)

    async def back() -> bool:
        try:
            for place in exchange.processes:
                await place.redis.ping()
        except RedisAway:
            return False
        return True

    await eventually(back)
    for phone in phones:
        await phone.tab.leave()
        phone.tab = await exchange.processes[phone.number].open(phone.who.user_id, phone.device)


async def test_a_redis_that_comes_back_empty_leaves_nothing_behind(exchange: Exchange, own_redis: LocalServers) -> None:
    ann, bob = await exchange.pair()
    call = await exchange.talk(ann, bob)
    own_redis.redis.stop(kill=True)
    await refused(Unavailable, "UNAVAILABLE", ann.signal(call))
    await exchange.services[0].parted(ann.who.user_id, bob.who.user_id)
    await exchange.look()
    assert await exchange.services[0].greet(ann.who.user_id) == []
    await restart(exchange, own_redis, ann, bob)
    await refused(NotFound, "NOT_FOUND", bob.signal(call))
    again = await exchange.talk(bob, ann)
    assert state(again) == "ACTIVE"
    exchange.school.later(minutes=3)
    await exchange.services[1].watch.sweep(exchange.school.now, 500)
    assert await exchange.row(call) == ("PEER_LOST", True, True, False)
    await ann.hangup(again)
    await exchange.free(ann, bob)


async def test_a_redis_set_back_in_time_ends_what_it_brings_back(exchange: Exchange, own_redis: LocalServers) -> None:
    ann, bob = await exchange.pair()
    call = await ann.invite(bob)
    await exchange.processes[0].redis.run("SAVE")
    await bob.accept(call)
    await ann.hangup(call)
    await restart(exchange, own_redis, ann, bob)
    assert await exchange.state(call) == "RINGING"
    await exchange.look(60)
    assert await exchange.state(call) == "TIMEOUT"
    assert await exchange.row(call) == ("HANGUP", True, True, False)  # what was kept stays
    await exchange.free(ann, bob)
    assert state(await exchange.talk(bob, ann)) == "ACTIVE"


@pytest.fixture(scope="module")
def installation(servers: LocalServers, worker_number: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    url = fresh_database(servers, f"call_faults_{worker_number}")
    with installed(tmp_path_factory.mktemp("calls"), url, fresh_redis(servers, 44 + worker_number)) as made:
        yield made


async def test_a_gateway_killed_in_the_middle_of_a_call(installation: Installation) -> None:
    """The device comes back at the other gateway, has what it missed, and takes its place again."""
    with ExitStack() as stack:
        (doomed, running), (safe, _) = serving(installation, stack, installation.port, free_port())
        tokens = [installation.sign_in(f"{name}@example.com", "STUDENT") for name in ("ann", "bob")]
        people = [installation.call("GET", "/auth/me", token)["id"] for token in tokens]
        for token, user_id in zip(tokens, reversed(people), strict=True):
            installation.call("POST", "/friends/request", token, {"userId": user_id})
        async with aiohttp.ClientSession() as session, socket_of(session, safe, tokens[0], device="laptop") as ann:
            async with socket_of(session, doomed, tokens[1], device="phone") as bob:
                call = await ann.call("call.invite", {"to": people[1], "media": "CALL_MEDIA_AUDIO"})
                here = {"callId": call["callId"]}
                await bob.call("call.accept", here)
                await ann.call("call.connected", here)
                assert (await bob.call("call.connected", here))["state"] == "CALL_STATE_ACTIVE"
                position = bob.position
                for worker in children(running.process.pid, WORKER):
                    os.kill(worker, signal.SIGKILL)
                os.kill(running.process.pid, signal.SIGKILL)
                await bob.closed()
            await ann.call("call.signal", {**here, "description": {"type": "offer", "sdp": "restart"}})
            async with socket_of(session, safe, tokens[1], device="phone", resume=position) as bob:
                assert bob.connected["recovered"]
                assert (await bob.push("call.signal"))["description"]["sdp"] == "restart"
                await bob.call("call.signal", {**here, "endOfCandidates": True})
                assert (await ann.push("call.signal"))["endOfCandidates"]
                await bob.call("call.hangup", here)
                assert (await ann.push("call.ended"))["reason"] == "CALL_END_REASON_HANGUP"
        status, history = fetch(f"{safe}/calls", tokens[0])
        assert status == 200
        assert [(item["id"], item["reason"]) for item in orjson.loads(history)["calls"]] == [
            (call["callId"], "CALL_END_REASON_HANGUP")
        ]
