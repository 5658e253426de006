"""Conversations through the services on a real database: order, repeats, watermarks, races, and who may write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.call import Caller
from core.chat import receipts
from core.errors import Conflict, DomainError, InvalidArgument, NotAllowed, NotFound
from core.ids import to_text
from core.realtime.publisher import Publisher
from skillforge.v1 import chat_pb2
from skillforge.v1.chat_pb2 import (
    ChatMessage,
    ListConversationsRequest,
    ListMessagesRequest,
    MarkDeliveredRequest,
    MarkReadRequest,
    SendMessageRequest,
    SetTypingRequest,
)
from skillforge.v1.friends_pb2 import BlockUserRequest, RemoveFriendRequest, RequestFriendRequest
from tests.support.classroom import refused
from tests.support.polling import eventually
from tests.support.school import School, open_school


@pytest.fixture
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    async with open_school(database_url, redis_url) as opened:
        yield opened
        await opened.chat.close()


@pytest.fixture
async def ann(school: School) -> Caller:
    return await school.person()


@pytest.fixture
async def bob(school: School, ann: Caller) -> Caller:
    """A friend of Ann's."""
    friend = await school.person()
    await school.run(RequestFriendRequest(user_id=text(friend)), ann)
    await school.run(RequestFriendRequest(user_id=text(ann)), friend)
    return friend


def text(person: Caller) -> str:
    return to_text(person.user_id)


async def send(school: School, who: Caller, to: Caller, name: str, body: str = "hello") -> ChatMessage:
    request = SendMessageRequest(to=text(to), client_message_id=name, body=body)
    return (await school.run(request, who)).message  # type: ignore[no-any-return]


async def history(school: School, who: Caller, other: Caller, **options: Any) -> list[ChatMessage]:
    return list((await school.run(ListMessagesRequest(user_id=text(other), **options), who)).messages)


async def conversation(school: School, who: Caller) -> chat_pb2.Conversation:
    [found] = (await school.run(ListConversationsRequest(), who)).conversations
    return found  # type: ignore[no-any-return]


async def test_messages_are_numbered_kept_and_told(school: School, ann: Caller, bob: Caller) -> None:
    first = await send(school, ann, bob, "a1", "Hello Bob")
    assert school.status == 201
    second = await send(school, bob, ann, "b1", "Hello Ann")
    assert (first.seq, second.seq) == (1, 2)
    assert (first.sender_id, first.recipient_id, first.body) == (text(ann), text(bob), "Hello Bob")
    assert await history(school, ann, bob) == await history(school, bob, ann) == [second, first]
    assert await history(school, ann, bob, after_seq=1) == [second]
    for who in (ann, bob):
        assert await school.events_of(who, "chat.message") == 2
    mine = await conversation(school, ann)
    assert (mine.peer.id, mine.last_message, mine.last_seq, mine.unread_count) == (text(bob), second, 2, 1)


async def test_a_repeat_gives_the_same_message(school: School, ann: Caller, bob: Caller) -> None:
    first = await send(school, ann, bob, "same")
    assert await send(school, ann, bob, "same") == first
    assert school.status == 200
    await refused(Conflict, "MESSAGE_ID_REUSED", send(school, ann, bob, "same", "something else"))
    answers = await asyncio.gather(*(send(school, ann, bob, "at-once") for _ in range(20)))
    assert len({item.id for item in answers}) == 1
    assert [item.seq for item in await history(school, ann, bob)] == [2, 1]
    assert await school.events_of(bob, "chat.message") == 2
    # Another's message may have the same name.
    assert (await send(school, bob, ann, "same")).seq == 3


async def test_both_write_at_once_without_gaps(
    school: School, ann: Caller, bob: Caller, database_url: str, redis_url: str
) -> None:
    async with open_school(database_url, redis_url) as elsewhere:
        sends = [
            send(here, who, to, f"{number}")
            for number in range(40)
            for here, who, to in ((school, ann, bob), (elsewhere, bob, ann))
        ]
        answers = await asyncio.gather(*sends)
        await elsewhere.chat.close()
    assert sorted(item.seq for item in answers) == list(range(1, 81))
    found = await history(school, ann, bob, page_size=100)
    assert [item.seq for item in found] == list(range(80, 0, -1))
    assert (await conversation(school, ann)).unread_count == (await conversation(school, bob)).unread_count == 40


async def test_one_message_from_two_processes_at_once_is_one(
    school: School, ann: Caller, bob: Caller, database_url: str, redis_url: str
) -> None:
    async with open_school(database_url, redis_url) as elsewhere:
        for number in range(10):
            answers = await asyncio.gather(*(send(here, ann, bob, f"twice{number}") for here in (school, elsewhere)))
            assert answers[0] == answers[1]
        await elsewhere.chat.close()
    assert [item.seq for item in await history(school, ann, bob)] == list(range(10, 0, -1))


async def test_only_those_who_may_talk_write(school: School, ann: Caller, bob: Caller) -> None:
    stranger = await school.person()
    await refused(NotAllowed, "MAY_NOT_WRITE", send(school, stranger, ann, "x"))
    await refused(InvalidArgument, "INVALID_ARGUMENT", send(school, ann, ann, "x"))
    await refused(InvalidArgument, "INVALID_ARGUMENT", send(school, ann, bob, "x", " \n "))
    message = await send(school, ann, bob, "x")
    await school.run(BlockUserRequest(user_id=text(ann)), bob)
    blocked = await told(send(school, ann, bob, "y"))
    assert blocked == await told(send(school, stranger, bob, "y"))
    assert blocked == await told(send(school, bob, ann, "y"))
    # What was written stays readable, by the two alone.
    assert await history(school, ann, bob) == await history(school, bob, ann) == [message]
    assert await history(school, stranger, bob) == []
    admin = await school.person("ADMIN")
    assert await history(school, admin, bob) == []
    # A repeat of what was sent before is answered all the same.
    assert await send(school, ann, bob, "x") == message


async def told(call: Any) -> tuple[str, str]:
    with pytest.raises(DomainError) as caught:
        await call
    return caught.value.reason, caught.value.detail


async def test_a_batch_refuses_only_what_may_not_be(school: School, ann: Caller, bob: Caller) -> None:
    stranger = await school.person()
    sends = [send(school, ann, bob if number % 2 else stranger, f"m{number}") for number in range(20)]
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(item, NotAllowed) for item in answers] == [True, False] * 10
    assert [item.seq for item in await history(school, ann, bob)] == list(range(10, 0, -1))


async def test_sends_that_race_an_end_are_written_or_refused_whole(school: School, ann: Caller, bob: Caller) -> None:
    sends = [send(school, ann, bob, f"m{number}") for number in range(20)]
    *answers, _ = await asyncio.gather(*sends, school.run(RemoveFriendRequest(user_id=text(ann)), bob), return_exceptions=True)
    written = [item for item in answers if isinstance(item, ChatMessage)]
    assert all(isinstance(item, NotAllowed) for item in answers if not isinstance(item, ChatMessage))
    assert {item.seq for item in await history(school, ann, bob)} == {item.seq for item in written}
    await refused(NotAllowed, "MAY_NOT_WRITE", send(school, ann, bob, "late"))


async def test_watermarks_only_grow(school: School, ann: Caller, bob: Caller) -> None:
    await refused(NotFound, "NOT_FOUND", school.run(MarkReadRequest(user_id=text(ann), seq=1), bob))
    for number in range(5):
        await send(school, ann, bob, f"m{number}")
    await send(school, bob, ann, "own")

    async def mark(request: Any, seq: int) -> tuple[int, int]:
        receipt = await school.run(request(user_id=text(ann), seq=seq), bob)
        return receipt.delivered_seq, receipt.read_seq

    assert await mark(MarkDeliveredRequest, 3) == (3, 0)
    assert await mark(MarkReadRequest, 2) == (3, 2)
    assert await mark(MarkReadRequest, 1) == (3, 2)
    assert (await conversation(school, bob)).unread_count == 3
    assert await mark(MarkReadRequest, 4) == (4, 4)
    assert await mark(MarkReadRequest, 1_000_000) == (6, 6)
    theirs, mine = await conversation(school, ann), await conversation(school, bob)
    assert (theirs.peer_delivered_seq, theirs.peer_read_seq, theirs.unread_count) == (6, 6, 1)
    assert (mine.read_seq, mine.unread_count) == (6, 0)


async def test_reading_that_races_writing_counts_right(school: School, ann: Caller, bob: Caller) -> None:
    await send(school, ann, bob, "first")
    for number in range(15):
        await asyncio.gather(
            send(school, ann, bob, f"m{number}"),
            school.run(MarkReadRequest(user_id=text(ann), seq=number + 1), bob),
        )
        found = await conversation(school, bob)
        assert found.unread_count == found.last_seq - found.read_seq


async def test_history_goes_by_pages_while_messages_arrive(school: School, ann: Caller, bob: Caller) -> None:
    for number in range(7):
        await send(school, ann, bob, f"m{number}")
    found, token = [], ""
    while True:
        answer = await school.run(ListMessagesRequest(user_id=text(ann), page_size=3, page_token=token), bob)
        found += [item.seq for item in answer.messages]
        await send(school, ann, bob, f"late{len(found)}")
        if not (token := answer.next_page_token):
            break
    assert found == list(range(7, 0, -1))


async def test_conversations_go_by_pages_latest_first(school: School, ann: Caller) -> None:
    others = []
    for _ in range(5):
        other = await school.person()
        await school.run(RequestFriendRequest(user_id=text(other)), ann)
        await school.run(RequestFriendRequest(user_id=text(ann)), other)
        school.later(seconds=1)
        await send(school, other, ann, "hello")
        others.append(text(other))
    school.later(seconds=1)
    found, token = [], ""
    while True:
        answer = await school.run(ListConversationsRequest(page_size=2, page_token=token), ann)
        found += [item.peer.id for item in answer.conversations]
        if not (token := answer.next_page_token):
            break
    assert found == others[::-1]


async def test_typing_is_for_those_who_may_talk(school: School, ann: Caller, bob: Caller) -> None:
    await school.run(SetTypingRequest(to=text(bob), typing=True), ann)
    request = SetTypingRequest(to=text(bob), typing=True)
    await refused(NotAllowed, "MAY_NOT_WRITE", school.run(request, await school.person()))


async def test_receipts_are_pushed_once_a_pause_and_the_last_always(
    school: School, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "PAUSE_SECONDS", 0.05)
    pushed: list[tuple[bytes, int]] = []

    async def publish(self: Publisher, user_id: bytes, topic: str, message: Any, event_id: bytes) -> None:
        assert topic == "chat.receipt"
        pushed.append((user_id, message.read_seq))

    monkeypatch.setattr(Publisher, "publish", publish)
    for number in range(10):
        await send(school, ann, bob, f"m{number}")
    for seq in range(1, 11):
        await school.run(MarkReadRequest(user_id=text(ann), seq=seq), bob)
    await eventually(lambda: _last(pushed), lambda last: last == 10)
    for who in (ann, bob):
        own = [seq for user_id, seq in pushed if user_id == who.user_id]
        assert own[0] == 1
        assert own == sorted(set(own))
        assert len(own) < 10


async def _last(pushed: list[tuple[bytes, int]]) -> int:
    return pushed[-1][1] if pushed else 0
