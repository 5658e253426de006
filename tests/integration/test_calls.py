"""Calls of two processes' devices on real MariaDB and Redis: every row of the state table, and the races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.errors import FailedPrecondition, InvalidArgument, NotAllowed, NotFound
from core.ids import to_bytes
from core.redis import keys
from skillforge.v1 import calls_pb2, enrollments_pb2
from skillforge.v1.friends_pb2 import BlockUserRequest, RemoveFriendRequest
from tests.support.classroom import refused
from tests.support.phones import Exchange, Phone, open_exchange, state


@pytest.fixture
async def exchange(database_url: str, redis_url: str) -> AsyncIterator[Exchange]:
    async with open_exchange(database_url, redis_url) as opened:
        yield opened


@pytest.fixture
async def pair(exchange: Exchange) -> tuple[Phone, Phone]:
    """Ann and Bob, friends, at two processes."""
    return await exchange.pair()


async def test_an_invite_rings_every_device_of_the_callee(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    tablet = await exchange.phone(bob.who, "tablet")
    call = await ann.invite(bob)
    assert (state(call), call.outgoing, call.peer.id) == ("RINGING", True, bob.id)
    for device in (bob, tablet):
        ringing = await device.told("call.ringing")
        assert (ringing.call_id, ringing.caller.id, ringing.media) == (call.call_id, ann.id, calls_pb2.CALL_MEDIA_VIDEO)
        assert ringing.caller.display_name == ann.who.display_name
        assert 0 <= ringing.age_ms < 5000
    await ann.quiet("call.ringing")
    assert await exchange.row(call) == ("UNSPECIFIED", False, False, False)


async def test_a_device_that_connects_while_it_rings_rings_too_with_the_true_age(
    exchange: Exchange, pair: tuple[Phone, Phone]
) -> None:
    ann, bob = pair
    await bob.leave()
    call = await ann.invite(bob)
    exchange.later(7)
    [greeting] = await exchange.services[1].greet(bob.who.user_id)
    assert greeting.topic == "call.ringing"
    assert greeting.call_ringing.call_id == call.call_id
    assert 7000 <= greeting.call_ringing.age_ms < 12_000
    assert await exchange.services[1].greet(ann.who.user_id) == []
    await bob.come_back()
    await bob.accept(call)
    assert await exchange.services[1].greet(bob.who.user_id) == []


async def test_the_first_device_that_accepts_wins_and_the_others_are_silenced(
    exchange: Exchange, pair: tuple[Phone, Phone]
) -> None:
    ann, bob = pair
    tablet = await exchange.phone(bob.who, "tablet")
    call = await ann.invite(bob)
    answer = await bob.accept(call)
    assert (state(answer), answer.peer_device_id, answer.outgoing) == ("CONNECTING", "phone", False)
    caller_told, callee_told = await ann.told("call.accepted"), await bob.told("call.accepted")
    assert (caller_told.peer_id, caller_told.peer_device_id, caller_told.polite) == (bob.id, "phone", False)
    assert (callee_told.peer_id, callee_told.peer_device_id, callee_told.polite) == (ann.id, "phone", True)
    assert (await tablet.told("call.elsewhere")).call_id == call.call_id
    await tablet.quiet("call.accepted")
    await bob.quiet("call.elsewhere")
    for late in (tablet.accept(call), tablet.reject(call), bob.reject(call)):
        await refused(FailedPrecondition, "ALREADY_ANSWERED", late)
    assert await bob.accept(call) == answer
    await bob.quiet("call.accepted")
    assert await exchange.state(call) == "CONNECTING"


async def test_signals_go_between_the_bound_devices_alone(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    others = [await exchange.phone(bob.who, "tablet"), await exchange.phone(ann.who, "laptop")]
    call = await ann.invite(bob)
    await refused(FailedPrecondition, "CALL_NOT_ANSWERED", ann.signal(call))
    await bob.accept(call)
    await ann.signal(call, "offer")
    candidate = calls_pb2.IceCandidate(candidate="candidate:1", sdp_mid="0", sdp_m_line_index=0)
    await bob.run(calls_pb2.SignalRequest(call_id=call.call_id, candidates=[candidate]))
    await bob.run(calls_pb2.SignalRequest(call_id=call.call_id, end_of_candidates=True))
    assert (await bob.told("call.signal")).description.sdp == "offer"
    assert list((await ann.told("call.signal")).candidates) == [candidate]
    assert (await ann.told("call.signal")).end_of_candidates
    for other in others:
        await refused(FailedPrecondition, "NOT_IN_CALL", other.signal(call))
        await other.quiet("call.signal")
    stranger = await exchange.phone()
    for attempt in (stranger.signal(call), stranger.accept(call), stranger.hangup(call), ann.accept(call), ann.reject(call)):
        await refused(NotFound, "NOT_FOUND", attempt)
    await refused(InvalidArgument, "INVALID_ARGUMENT", ann.run(calls_pb2.SignalRequest(call_id=call.call_id)))
    await ann.hangup(call)
    await refused(FailedPrecondition, "CALL_ENDED", ann.signal(call))
    await bob.quiet("call.signal")


async def test_a_repeated_signal_is_relayed_once(pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.exchange.talk(ann, bob, active=False)
    for name in ("a", "a", "b"):
        await ann.signal(call, name, client_signal_id=name)
    assert [(await bob.told("call.signal")).description.sdp for _ in range(2)] == ["a", "b"]
    await bob.quiet("call.signal")


@pytest.mark.parametrize("big", [{"sdp": "x" * 32_769}, {"candidates": [calls_pb2.IceCandidate(candidate="c")] * 51}])
async def test_what_is_too_big_is_refused(pair: tuple[Phone, Phone], big: dict[str, Any]) -> None:
    ann, bob = pair
    call = await ann.exchange.talk(ann, bob, active=False)
    await refused(InvalidArgument, "INVALID_ARGUMENT", ann.signal(call, **big))
    await ann.signal(call, "x" * 32_768, candidates=[calls_pb2.IceCandidate(candidate="c")] * 50)


async def test_a_call_is_active_when_both_say_so_and_ends_by_hanging_up(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob)
    await refused(FailedPrecondition, "CALL_NOT_ANSWERED", ann.report(call))
    await bob.accept(call)
    assert state(await ann.report(call)) == state(await ann.report(call)) == "CONNECTING"
    assert state(await bob.report(call)) == state(await ann.report(call)) == "ACTIVE"
    await ann.signal(call, "renegotiation")
    tablet = await exchange.phone(bob.who, "tablet")
    await refused(FailedPrecondition, "NOT_IN_CALL", tablet.hangup(call))
    await refused(FailedPrecondition, "ALREADY_ANSWERED", tablet.accept(call))
    await exchange.look(40)
    assert await exchange.state(call) == "ACTIVE"
    ended = await bob.hangup(call)
    assert (state(ended), ended.version) == ("HANGUP", 4)
    for device in (ann, bob, tablet):
        told = await device.told("call.ended")
        assert (told.call_id, told.reason, told.missed) == (call.call_id, calls_pb2.CALL_END_REASON_HANGUP, False)
    for again in (ann.hangup(call), bob.accept(call), tablet.reject(call), ann.report(call)):
        assert state(await again) == "HANGUP"
    await exchange.free(ann, bob)
    assert await exchange.row(call) == ("HANGUP", True, True, False)
    await ann.quiet("call.ended")


async def test_declining_stops_every_device(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    tablet = await exchange.phone(bob.who, "tablet")
    call = await ann.invite(bob)
    assert state(await tablet.reject(call)) == state(await bob.reject(call)) == "DECLINED"
    for device in (ann, bob, tablet):
        assert (await device.told("call.ended")).reason == calls_pb2.CALL_END_REASON_DECLINED
    assert await exchange.row(call) == ("DECLINED", False, True, False)
    await exchange.free(ann, bob)


async def test_a_caller_who_hangs_up_leaves_a_missed_call(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob)
    await refused(FailedPrecondition, "NOT_IN_CALL", bob.hangup(call))
    assert state(await ann.hangup(call)) == "CANCELLED"
    told = await bob.told("call.ended")
    assert (told.missed, told.peer.id) == (True, ann.id)
    assert not (await ann.told("call.ended")).missed
    assert await exchange.row(call) == ("CANCELLED", False, True, True)
    await exchange.free(ann, bob)


async def test_nobody_answers_in_a_minute(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    await bob.leave()  # nobody is there to answer
    call = await ann.invite(bob)
    await exchange.look(59)
    assert await exchange.state(call) == "RINGING"
    await exchange.look(1)
    assert (await ann.told("call.ended")).reason == calls_pb2.CALL_END_REASON_TIMEOUT
    await bob.come_back()
    assert (await bob.told("call.ended")).missed
    assert await exchange.row(call) == ("TIMEOUT", False, True, True)
    await exchange.free(ann, bob)
    await exchange.look(10)
    assert await exchange.processes[0].redis.run("ZSCORE", keys.CALLS_DUE, to_bytes(call.call_id).hex()) is None


async def test_a_caller_who_is_gone_stops_ringing(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob)
    await ann.leave()
    await exchange.look(5)  # seen gone
    await ann.come_back(1)
    await exchange.look(5)
    await ann.leave()
    await exchange.look(5)
    await exchange.look(14)
    assert await exchange.state(call) == "RINGING"
    await exchange.look(1)
    assert (await bob.told("call.ended")).reason == calls_pb2.CALL_END_REASON_CANCELLED
    assert await exchange.row(call) == ("CANCELLED", False, True, True)
    await exchange.free(ann, bob)


async def test_one_callee_device_may_drop_while_others_ring(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    tablet = await exchange.phone(bob.who, "tablet")
    call = await ann.invite(bob)
    await bob.leave()
    await exchange.look(40)
    assert state(await tablet.accept(call)) == "CONNECTING"


async def test_media_have_half_a_minute(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await exchange.talk(ann, bob, active=False)
    await ann.report(call)
    await exchange.look(29)
    assert await exchange.state(call) == "CONNECTING"
    await exchange.look(1)
    for device in (ann, bob):
        assert (await device.told("call.ended")).reason == calls_pb2.CALL_END_REASON_ICE_FAILED
    assert await exchange.row(call) == ("ICE_FAILED", True, True, False)
    await exchange.free(ann, bob)


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_device_may_be_away_for_half_a_minute(exchange: Exchange, pair: tuple[Phone, Phone], lost: int) -> None:
    ann, bob = pair
    call = await exchange.talk(ann, bob)
    await pair[lost].leave()
    await exchange.look(5)
    await exchange.look(25)
    await pair[lost].come_back(1 - lost)  # at the other process
    await exchange.look(5)
    assert await exchange.state(call) == "ACTIVE"
    await pair[1 - lost].signal(call, "restart")
    assert (await pair[lost].told("call.signal")).description.sdp == "restart"
    await pair[lost].leave()
    await exchange.look(5)
    await exchange.look(29)
    assert await exchange.state(call) == "ACTIVE"
    await exchange.look(1)
    assert (await pair[1 - lost].told("call.ended")).reason == calls_pb2.CALL_END_REASON_PEER_LOST
    await exchange.free(ann, bob)


async def test_whoever_is_in_a_call_is_busy(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    eve = await exchange.phone()
    await exchange.friends(eve.who, bob.who)
    talking = await exchange.talk(ann, bob)
    await bob.told("call.ringing")
    busy = await eve.invite(bob)
    assert state(busy) == "BUSY"
    told = await bob.told("call.ended")
    assert (told.call_id, told.missed, told.peer.id) == (busy.call_id, True, eve.id)
    await bob.quiet("call.ringing")
    assert await exchange.row(busy) == ("BUSY", False, True, True)
    await exchange.free(eve)
    tablet = await exchange.phone(bob.who, "tablet")
    await refused(FailedPrecondition, "IN_ANOTHER_CALL", tablet.invite(eve))
    await refused(FailedPrecondition, "IN_ANOTHER_CALL", tablet.invite(ann))
    await ann.hangup(talking)
    assert state(await eve.invite(bob)) == "RINGING"


async def test_crossing_invites_are_one_call(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    first, second = await asyncio.gather(ann.invite(bob, "a"), bob.invite(ann, "b"))
    assert first.call_id == second.call_id
    assert await exchange.state(first) == "CONNECTING"
    polite = [(await device.told("call.accepted")).polite for device in pair]
    assert sorted(polite) == [False, True]
    again = await asyncio.gather(ann.invite(bob, "a"), bob.invite(ann, "b"))
    assert {call.call_id for call in again} == {first.call_id}
    await ann.report(first)
    assert state(await bob.report(first)) == "ACTIVE"


async def test_a_repeated_invite_is_one_call(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob, "once")
    assert await ann.invite(bob, "once") == await ann.invite(bob) == call
    await exchange.talk(ann, bob)
    assert (await ann.invite(bob, "once")).call_id == call.call_id
    await bob.hangup(call)
    assert state(await ann.invite(bob, "once")) == "HANGUP"
    assert (await ann.invite(bob, "another")).call_id != call.call_id


async def test_an_orphaned_call_is_replaced(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    old = await exchange.talk(ann, bob)
    new = await ann.invite(bob, "anew")  # the same device: the page was loaded anew
    assert (state(new), await exchange.state(old)) == ("RINGING", "REPLACED")
    assert (await bob.told("call.ended")).reason == calls_pb2.CALL_END_REASON_REPLACED
    await bob.accept(new)
    await ann.leave()
    laptop = await exchange.phone(ann.who, "laptop")
    newer = await laptop.invite(bob)
    assert (state(newer), await exchange.state(new)) == ("RINGING", "REPLACED")
    assert await exchange.row(new) == ("REPLACED", True, True, False)
    eve = await exchange.phone()
    await exchange.friends(eve.who, ann.who)
    elsewhere = await laptop.invite(eve)  # a device is in one call
    assert (state(elsewhere), await exchange.state(newer)) == ("RINGING", "REPLACED")
    await exchange.free(bob)


@pytest.mark.parametrize("part", [RemoveFriendRequest, BlockUserRequest])
@pytest.mark.parametrize("active", [True, False])
async def test_parting_ends_a_call(exchange: Exchange, pair: tuple[Phone, Phone], part: Any, active: bool) -> None:
    ann, bob = pair
    call = await exchange.talk(ann, bob) if active else await ann.invite(bob)
    await exchange.school.run(part(user_id=ann.id), bob.who)
    for device in (ann, bob):
        assert (await device.told("call.ended")).reason == calls_pb2.CALL_END_REASON_FORBIDDEN
    assert await exchange.state(call) == "FORBIDDEN"
    await refused(NotAllowed, "MAY_NOT_CALL", ann.invite(bob))
    await exchange.free(ann, bob)


async def test_a_teacher_s_call_ends_with_the_enrollment_unless_they_are_friends(exchange: Exchange) -> None:
    school = exchange.school
    teacher = await exchange.phone(await school.person("INSTRUCTOR"))
    student = await exchange.phone(number=1)
    course = await school.course(teacher.who)
    await refused(NotAllowed, "MAY_NOT_CALL", student.invite(teacher))
    await school.run(enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student.who)
    call = await exchange.talk(student, teacher)

    async def leave() -> bool:
        pair = (student.who.user_id, to_bytes(course.id))
        return await school.db.transact(lambda tx: school.enrollments.revoke(tx, *pair, "free", pair[1], school.now))

    assert await leave()
    assert (await teacher.told("call.ended")).reason == calls_pb2.CALL_END_REASON_FORBIDDEN
    await school.run(enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student.who)
    await exchange.friends(student.who, teacher.who)
    call = await exchange.talk(student, teacher)
    assert await leave()
    assert await exchange.state(call) == "ACTIVE"


async def test_suspension_ends_a_call(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    call = await exchange.talk(*pair)
    await exchange.services[1].barred(pair[0].who.user_id)
    assert await exchange.state(call) == "FORBIDDEN"


async def test_only_frames_of_a_connection_may_call(pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    call = await ann.invite(bob)
    for request in (
        calls_pb2.InviteRequest(to=bob.id, media=calls_pb2.CALL_MEDIA_AUDIO), calls_pb2.AcceptRequest(call_id=call.call_id),
        calls_pb2.RejectRequest(call_id=call.call_id), calls_pb2.HangupRequest(call_id=call.call_id),
        calls_pb2.SignalRequest(call_id=call.call_id), calls_pb2.ReportConnectedRequest(call_id=call.call_id),
    ):  # fmt: skip
        await refused(FailedPrecondition, "NOT_CONNECTED", bob.run(request, connected=False))
    await refused(InvalidArgument, "INVALID_ARGUMENT", ann.invite(ann))


async def test_the_history_has_both_directions_and_pages(exchange: Exchange, pair: tuple[Phone, Phone]) -> None:
    ann, bob = pair
    await bob.hangup(await exchange.talk(ann, bob))
    missed = await ann.invite(bob)
    await ann.hangup(missed)
    live = await bob.invite(ann)
    seen: list[calls_pb2.Call] = []
    token = ""
    while True:
        request = calls_pb2.ListCallsRequest(page_size=2, page_token=token)
        page = await exchange.run(request, bob.who)
        seen += page.calls
        token = page.next_page_token
        if not token:
            break
    assert [(item.outgoing, item.missed, item.HasField("end_time")) for item in seen] == [
        (True, False, False), (False, True, True), (False, False, True),
    ]  # fmt: skip
    assert [item.id for item in seen[:2]] == [live.call_id, missed.call_id]
    assert {item.peer.id for item in seen} == {ann.id}
    mine = (await exchange.run(calls_pb2.ListCallsRequest(), ann.who)).calls
    assert [(item.outgoing, item.missed) for item in mine] == [(False, False), (True, False), (True, False)]
