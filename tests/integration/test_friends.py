"""Friendships through the services on a real database: lists, events, races, limits, and who may talk to whom."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from core.call import Caller
from core.errors import FailedPrecondition, InvalidArgument, NotFound
from core.friends import rules, service
from core.ids import to_text
from skillforge.v1 import enrollments_pb2, friends_pb2
from skillforge.v1.friends_pb2 import (
    FRIEND_STATUS_FRIENDS,
    FRIEND_STATUS_REQUESTED,
    REQUEST_DIRECTION_OUTGOING,
    AcceptFriendRequest,
    BlockUserRequest,
    DeclineFriendRequest,
    ListFriendRequestsRequest,
    ListFriendsRequest,
    RemoveFriendRequest,
    RequestFriendRequest,
    UnblockUserRequest,
)
from tests.support.classroom import refused
from tests.support.school import School


@pytest.fixture
async def ann(school: School) -> Caller:
    return await school.person()


@pytest.fixture
async def bob(school: School) -> Caller:
    return await school.person()


def text(person: Caller) -> str:
    return to_text(person.user_id)


async def ask(school: School, who: Caller, whom: Caller) -> friends_pb2.FriendStatus.ValueType:
    answer: friends_pb2.RequestFriendResponse = await school.run(RequestFriendRequest(user_id=text(whom)), who)
    return answer.status


async def befriend(school: School, one: Caller, other: Caller) -> None:
    await ask(school, one, other)
    assert await ask(school, other, one) == FRIEND_STATUS_FRIENDS


async def friends(school: School, who: Caller, **options: Any) -> list[str]:
    answer = await school.run(ListFriendsRequest(**options), who)
    return [item.person.id for item in answer.friends]


async def requests(school: School, who: Caller, **options: Any) -> list[str]:
    answer = await school.run(ListFriendRequestsRequest(**options), who)
    return [item.person.id for item in answer.requests]


async def talk(school: School, one: Caller, other: Caller) -> bool:
    return await school.friends.may_talk(school.db, one.user_id, other.user_id)


async def test_asking_accepting_and_parting(school: School, ann: Caller, bob: Caller) -> None:
    assert await ask(school, ann, bob) == FRIEND_STATUS_REQUESTED
    assert await ask(school, ann, bob) == FRIEND_STATUS_REQUESTED
    assert await requests(school, bob) == [text(ann)]
    assert await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == [text(bob)]
    assert (await friends(school, ann), await talk(school, ann, bob)) == ([], False)
    accepted = await school.run(AcceptFriendRequest(user_id=text(ann)), bob)
    assert (accepted.person.id, accepted.person.display_name) == (text(ann), ann.display_name)
    assert await school.run(AcceptFriendRequest(user_id=text(ann)), bob) == accepted
    assert (await friends(school, ann), await friends(school, bob)) == ([text(bob)], [text(ann)])
    assert await requests(school, bob) == await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == []
    assert await talk(school, ann, bob)
    assert await talk(school, bob, ann)
    await school.run(RemoveFriendRequest(user_id=text(bob)), ann)
    assert (await friends(school, ann), await friends(school, bob), await talk(school, bob, ann)) == ([], [], False)
    told = {(who, topic): await school.events_of(caller, f"friend.{topic}")
            for who, caller in (("ann", ann), ("bob", bob)) for topic in ("requested", "accepted", "removed")}  # fmt: skip
    assert told == {
        ("ann", "requested"): 0, ("ann", "accepted"): 1, ("ann", "removed"): 1,
        ("bob", "requested"): 1, ("bob", "accepted"): 1, ("bob", "removed"): 1,
    }  # fmt: skip


async def test_what_is_not_there_is_not_found(school: School, ann: Caller, bob: Caller) -> None:
    for request in (AcceptFriendRequest, DeclineFriendRequest, RemoveFriendRequest):
        await refused(NotFound, "NOT_FOUND", school.run(request(user_id=text(bob)), ann))
    nobody = "01890000-0000-7000-8000-000000000000"
    for unknown in (RequestFriendRequest, AcceptFriendRequest, BlockUserRequest, UnblockUserRequest):
        await refused(NotFound, "NOT_FOUND", school.run(unknown(user_id=nobody), ann))
    await refused(InvalidArgument, "INVALID_ARGUMENT", school.run(RequestFriendRequest(user_id=text(ann)), ann))
    await refused(InvalidArgument, "INVALID_ARGUMENT", school.run(BlockUserRequest(user_id=text(ann)), ann))
    assert await school.value("SELECT COUNT(*) FROM friendships WHERE low_id = %s OR high_id = %s", ann.user_id, ann.user_id) == 0


async def test_a_request_can_be_declined_and_taken_back(school: School, ann: Caller, bob: Caller) -> None:
    await ask(school, ann, bob)
    await school.run(DeclineFriendRequest(user_id=text(ann)), bob)
    assert await requests(school, bob) == await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == []
    assert await school.events_of(ann, "friend.removed") == 0
    await ask(school, ann, bob)
    await school.run(RemoveFriendRequest(user_id=text(bob)), ann)
    await refused(NotFound, "NOT_FOUND", school.run(AcceptFriendRequest(user_id=text(ann)), bob))


async def test_an_address_tells_nobody_whose_it_is(school: School, ann: Caller, bob: Caller) -> None:
    email = await school.value("SELECT email FROM users WHERE id = %s", bob.user_id)
    known = await school.run(RequestFriendRequest(email=email), ann)
    unknown = await school.run(RequestFriendRequest(email="nobody.at.all@example.com"), ann)
    assert known == unknown == friends_pb2.RequestFriendResponse(status=FRIEND_STATUS_REQUESTED)
    assert await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == []
    assert await requests(school, bob) == [text(ann)]
    # Who names the person knows them.
    await ask(school, ann, bob)
    assert await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == [text(bob)]


async def test_a_block_is_silent_and_holds(school: School, ann: Caller, bob: Caller) -> None:
    await befriend(school, ann, bob)
    await school.run(BlockUserRequest(user_id=text(ann)), bob)
    assert (await friends(school, ann), await friends(school, bob, blocked=True)) == ([], [text(ann)])
    assert not await talk(school, ann, bob)
    asked = await school.events_of(bob, "friend.requested")
    assert await ask(school, ann, bob) == FRIEND_STATUS_REQUESTED
    assert await requests(school, ann, direction=REQUEST_DIRECTION_OUTGOING) == [text(bob)]
    assert (await requests(school, bob), await school.events_of(bob, "friend.requested")) == ([], asked)
    await refused(FailedPrecondition, "USER_BLOCKED", school.run(RequestFriendRequest(user_id=text(ann)), bob))
    await refused(NotFound, "NOT_FOUND", school.run(AcceptFriendRequest(user_id=text(ann)), bob))
    await school.run(UnblockUserRequest(user_id=text(ann)), bob)
    assert (await requests(school, bob), await friends(school, bob, blocked=True)) == ([text(ann)], [])


async def test_teachers_and_their_students_may_talk(school: School, ann: Caller) -> None:
    teacher, stranger = await school.person("INSTRUCTOR"), await school.person("INSTRUCTOR")
    course = await school.course(teacher, (1,))
    assert not await talk(school, ann, teacher)
    await school.run(enrollments_pb2.EnrollInCourseRequest(course_id=course.id), ann)
    assert await talk(school, ann, teacher)
    assert await talk(school, teacher, ann)
    assert not await talk(school, ann, stranger)
    await school.run(BlockUserRequest(user_id=text(ann)), teacher)
    assert not await talk(school, ann, teacher)
    assert not await talk(school, teacher, ann)


async def test_many_pairs_are_answered_at_once(school: School, ann: Caller, bob: Caller) -> None:
    carl = await school.person()
    await befriend(school, ann, bob)
    pairs = [(one.user_id, other.user_id) for one in (ann, bob, carl) for other in (ann, bob, carl) if one is not other]
    ours = {(ann.user_id, bob.user_id), (bob.user_id, ann.user_id)}
    assert await school.friends.talking_among(school.db, pairs) == ours


async def test_lists_go_by_pages_newest_first(school: School, ann: Caller) -> None:
    others = [await school.person() for _ in range(5)]
    for other in others:
        school.later(seconds=1)
        await befriend(school, ann, other)
    found, token = [], ""
    while True:
        answer = await school.run(ListFriendsRequest(page_size=2, page_token=token), ann)
        found += answer.friends
        if not (token := answer.next_page_token):
            break
    assert [item.person.id for item in found] == [text(other) for other in reversed(others)]
    assert all(later.since_time.ToDatetime() > earlier.since_time.ToDatetime() for later, earlier in pairwise(found))


async def test_crossing_requests_race_to_one_friendship(school: School, ann: Caller) -> None:
    others = [await school.person() for _ in range(10)]
    wishes = [ask(school, *pair) for other in others for pair in ((ann, other), (other, ann))]
    answers = await asyncio.gather(*wishes)
    assert answers.count(FRIEND_STATUS_FRIENDS) >= len(others)
    assert sorted(await friends(school, ann)) == sorted(text(other) for other in others)
    for other in others:
        assert await school.events_of(other, "friend.accepted") == 1


async def test_an_accept_that_races_a_block_never_leaves_both(school: School, ann: Caller, bob: Caller) -> None:
    for _ in range(10):
        await ask(school, ann, bob)
        await asyncio.gather(
            school.run(AcceptFriendRequest(user_id=text(ann)), bob),
            school.run(BlockUserRequest(user_id=text(bob)), ann),
            return_exceptions=True,
        )
        assert await friends(school, ann, blocked=True) == [text(bob)]
        assert await friends(school, bob) == await friends(school, ann) == []
        assert not await talk(school, ann, bob)
        await school.run(UnblockUserRequest(user_id=text(bob)), ann)


async def test_there_are_so_many_friends_and_requests(
    school: School, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_REQUESTS", 1)
    monkeypatch.setattr(rules, "MAX_FRIENDS", 1)
    carl = await school.person()
    await ask(school, ann, bob)
    await refused(FailedPrecondition, "LIMIT_REACHED", school.run(RequestFriendRequest(user_id=text(carl)), ann))
    await refused(FailedPrecondition, "LIMIT_REACHED", school.run(RequestFriendRequest(email="x@example.com"), ann))
    await ask(school, bob, ann)
    await ask(school, carl, ann)
    await refused(FailedPrecondition, "LIMIT_REACHED", school.run(AcceptFriendRequest(user_id=text(carl)), ann))


async def test_parting_is_announced_after_the_commit(school: School, ann: Caller, bob: Caller) -> None:
    parted: list[tuple[bytes, bytes]] = []

    async def hear(one: bytes, other: bytes) -> None:
        assert not await talk(school, ann, bob)
        parted.append((one, other))

    school.friends.on_parted = (hear,)
    await befriend(school, ann, bob)
    assert parted == []
    await school.run(RemoveFriendRequest(user_id=text(bob)), ann)
    await school.run(BlockUserRequest(user_id=text(ann)), bob)
    assert parted == [(ann.user_id, bob.user_id), (bob.user_id, ann.user_id)]
    assert service.FriendsService.on_parted == ()


async def test_an_erased_account_has_no_friends(school: School, ann: Caller, bob: Caller) -> None:
    await befriend(school, ann, bob)
    await school.db.transact(lambda tx: school.friends.forget(tx, bob.user_id))
    assert await friends(school, ann) == []
