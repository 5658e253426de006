"""Calls that several devices and processes change at once, or leave unfinished."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from core.calls import rules
from core.errors import DomainError, Unavailable
from core.ids import to_bytes
from core.redis import keys
from skillforge.v1 import calls_pb2
from skillforge.v1.friends_pb2 import RemoveFriendRequest
from tests.support.phones import Exchange, Phone, open_exchange, state


@pytest.fixture
async def exchange(database_url: str, redis_url: str) -> AsyncIterator[Exchange]:
    async with open_exchange(database_url, redis_url) as opened:
        yield opened


@pytest.fixture
async def pair(exchange: Exchange) -> tuple[Phone, Phone]:
    """Ann and Bob, friends, at two processes."""
    return await exchange.pair()


async def attempt(work: Any) -> str:
    """The state a request came to, or why it was refused."""
    try:
        return state(await work)
    except DomainError as error:
        return error.reason


async def test_of_two_accepts_at_once_one_wins(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    devices = [bob, *[await exchange.phone(bob.who, f"device{number}", number % 2) for number in range(7)]]
    for _ in range(5):
        call = await ann.invite(bob)
        answers = await asyncio.gather(*(attempt(device.accept(call)) for device in devices))
        assert sorted(answers) == [*["ALREADY_ANSWERED"] * 7, "CONNECTING"]
        told = await ann.told("call.accepted")
        winner = devices[answers.index("CONNECTING")]
        assert told.peer_device_id == winner.device
        await winner.hangup(call)
    await ann.quiet("call.accepted")


async def test_accept_against_the_deadline(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    for early in (0.0, 0.02):
        call = await ann.invite(bob)
        found = await exchange.services[0].store.get(to_bytes(call.call_id))
        assert found is not None
        exchange.later((found.due_ms - await exchange.services[0].store.now()) / 1000 - early)
        answer, _ = await asyncio.gather(attempt(bob.accept(call)), exchange.look())
        assert answer in ("CONNECTING", "TIMEOUT")
        assert await exchange.state(call) == answer
        await ann.told("call.accepted" if answer == "CONNECTING" else "call.ended")
        await attempt(bob.hangup(call))
        await exchange.free(ann, bob)


async def test_hangup_against_accept(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    for _ in range(10):
        call = await ann.invite(bob)
        hung_up, accepted = await asyncio.gather(attempt(ann.hangup(call)), attempt(bob.accept(call)))
        assert (hung_up, accepted) in {("CANCELLED", "CANCELLED"), ("HANGUP", "CONNECTING"), ("HANGUP", "HANGUP")}
        assert await exchange.state(call) == hung_up
        await exchange.free(ann, bob)


async def test_of_two_claimants_of_a_deadline_one_ends_the_call(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob)
    exchange.later(60)
    claims = await asyncio.gather(*(service.store.claim(10) for service in exchange.services))
    assert sum(to_bytes(call.call_id) in claim for claim in claims) == 1
    await exchange.look()
    assert await exchange.state(call) == "RINGING"  # whoever claimed it died
    await exchange.look(15)
    assert await exchange.state(call) == "TIMEOUT"
    await ann.told("call.ended")
    await ann.quiet("call.ended")


async def test_what_a_dead_process_left_untold_is_told(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    """As if it had been killed between a change and what follows from it."""
    ann, bob = pair
    call = await exchange.talk(ann, bob)
    store = exchange.services[0].store
    await store.step(to_bytes(call.call_id), lambda now_is, now: rules.end(now_is, calls_pb2.CALL_END_REASON_HANGUP, now))
    await bob.quiet("call.ended")
    eve = await exchange.phone()
    await exchange.friends(eve.who, bob.who)
    assert state(await eve.invite(bob)) == "RINGING"  # a lock that was left behind stops nobody
    await exchange.look(5)
    for device in (ann, bob):
        await device.told("call.ended")
    assert await exchange.row(call) == ("HANGUP", True, True, False)
    await exchange.free(ann)


async def test_what_was_told_is_not_told_again(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    """As if a process had died between telling and noting that."""
    ann, bob = pair
    call = await exchange.talk(ann, bob, active=False)
    for topic in ("call.accepted", "call.ended"):
        await exchange.services[0].store.step(to_bytes(call.call_id), lambda now_is, _: replace(now_is, settled=0))
        await exchange.look(5)
        for device in (ann, bob):
            await device.told(topic)
            await device.quiet(topic)
        await ann.hangup(call)


async def test_rows_of_calls_that_redis_lost_are_closed(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await exchange.talk(ann, bob)
    redis = exchange.processes[0].redis
    for name in (keys.call(to_bytes(call.call_id)), keys.call_pair(*sorted((ann.who.user_id, bob.who.user_id)))):
        await redis.delete(name)
    fresh = await ann.invite(bob)
    assert state(fresh) == "RINGING"
    school = exchange.school
    school.later(minutes=3)
    for _ in range(2):
        await exchange.services[0].watch.sweep(school.now, 500)
    assert await exchange.row(call) == ("PEER_LOST", True, True, False)
    assert await exchange.row(fresh) == ("UNSPECIFIED", False, False, False)


@pytest.mark.slow
async def test_a_thousand_crossing_invites_end_as_one_connecting_call_a_pair(exchange: Exchange) -> None:
    pairs = [await exchange.pair() for _ in range(25)]
    invites = [(one, other) for _ in range(20) for pair in pairs for one, other in (pair, pair[::-1])]

    async def invite(one: Phone, other: Phone) -> str:
        while True:
            try:
                return (await one.invite(other)).call_id
            except Unavailable as error:  # more than the database takes at once: whoever is told so asks again
                await asyncio.sleep(random.uniform(0, error.retry_after or 1.0))

    answers = await asyncio.gather(*(invite(*item) for item in invites))
    by_pair: dict[frozenset[str], set[str]] = {}
    for (one, other), call_id in zip(invites, answers, strict=True):
        by_pair.setdefault(frozenset((one.id, other.id)), set()).add(call_id)
    assert [len(found) for found in by_pair.values()] == [1] * 25
    for [call_id] in by_pair.values():
        assert await exchange.state(calls_pb2.CallStatus(call_id=call_id)) == "CONNECTING"
    for one, other in pairs:
        told = [await device.told("call.accepted") for device in (one, other)]
        assert sorted(item.polite for item in told) == [False, True]
        ended = await one.hangup(calls_pb2.CallStatus(call_id=told[0].call_id))
        assert state(ended) == "HANGUP"
        await exchange.free(one, other)


async def test_a_missed_hook_is_made_up_for(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    """As if the process had died between the commit and the end of the call."""
    ann, bob = pair
    call = await exchange.talk(ann, bob)
    exchange.school.friends.on_parted = ()
    await exchange.school.run(RemoveFriendRequest(user_id=ann.id), bob.who)
    await exchange.look(5)
    assert await exchange.state(call) == "ACTIVE"
    await exchange.look(25)
    assert await exchange.state(call) == "FORBIDDEN"
