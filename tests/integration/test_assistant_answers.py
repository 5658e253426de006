"""Answers kept in Redis, made once at a time, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta

import pytest

from core.assistant import rules
from core.assistant.answers import Answers
from core.assistant.budget import Budget
from core.assistant.engines import Part, SummaryTask, Task
from core.call import Call, Caller
from core.errors import TooMany, Unavailable
from core.ids import new_id
from core.redis import Redis, keys
from skillforge.v1.assistant_pb2 import Summary
from skillforge.v1.identity_pb2 import ROLE_STUDENT, USER_STATUS_ACTIVE
from tests.support.doors import METHODS
from tests.support.polling import eventually

NOON = datetime(2026, 11, 22, 12)


class Writer:
    """An engine that writes when it is told to."""

    name, model, version = "writer", "1", "1"

    def __init__(self) -> None:
        self.asked = 0
        self.left = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def answer(self, task: Task) -> AsyncGenerator[Part, None]:
        self.asked += 1
        try:
            yield "It is "
            await self.go_on.wait()
            if self.error:
                raise self.error
            yield "so."
            yield Summary(summary="It is so.")
        except asyncio.CancelledError:
            self.left += 1
            raise

    async def close(self) -> None: ...


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis(redis_url)
    yield client
    await client.close()


@pytest.fixture
async def away() -> AsyncIterator[Redis]:
    """A Redis that is not there."""
    client = Redis("redis://127.0.0.1:1")
    yield client
    await client.close()


def new_call() -> Call:
    """Of somebody new."""
    user = Caller(new_id(), ROLE_STUDENT, USER_STATUS_ACTIVE, "Somebody", "user_1", "session_1")
    return Call(METHODS["Summarize"], {}, "test", "127.0.0.1", NOON, 0.0, caller=user)


def new_task() -> SummaryTask:
    return SummaryTask("", new_id().hex(), 100)


async def ask(answers: Answers, task: SummaryTask, call: Call | None = None) -> list[Part]:
    return [part async for part in answers.parts(call or new_call(), task)]


async def started(writer: Writer, count: int) -> None:
    await eventually(lambda: asyncio.sleep(0, writer.asked), lambda asked: asked == count)


async def test_who_comes_later_gets_it_from_the_beginning(redis: Redis) -> None:
    writer = Writer()
    answers, task = Answers(redis, writer, Budget(redis, 10)), new_task()
    first = asyncio.create_task(ask(answers, task))
    await started(writer, 1)
    second = asyncio.create_task(ask(answers, task))
    await asyncio.sleep(0.02)
    writer.go_on.set()
    parts = await first
    assert [str(part) for part in parts[:2]] == ["It is ", "so."]
    assert await second == parts
    assert writer.asked == 1
    [kept] = await ask(answers, task)
    assert (kept.summary, kept.engine, kept.model, kept.cached) == ("It is so.", "writer", "1", True)  # type: ignore[union-attr]
    assert writer.asked == 1


async def test_another_process_takes_what_is_kept(redis: Redis) -> None:
    writers, task = [Writer(), Writer()], new_task()
    for writer in writers:
        writer.go_on.set()
        await ask(Answers(redis, writer, Budget(redis, 10)), task)
    assert [writer.asked for writer in writers] == [1, 0]


async def test_an_answer_nobody_waits_for_is_given_up_and_may_begin_again(redis: Redis) -> None:
    writer = Writer()
    answers, task = Answers(redis, writer, Budget(redis, 10)), new_task()
    asking = [asyncio.create_task(ask(answers, task)) for _ in range(2)]
    await started(writer, 1)
    await asyncio.sleep(0.02)
    asking[0].cancel()
    await asyncio.wait([asking[0]])
    assert writer.left == 0
    asking[1].cancel()
    again = asyncio.create_task(ask(answers, task))
    await asyncio.wait([asking[1]])
    await started(writer, 2)
    assert writer.left == 1
    writer.go_on.set()
    assert len(await again) == 3


async def test_a_failure_is_everybody_s_and_costs_nothing(redis: Redis) -> None:
    writer, call = Writer(), new_call()
    budget = Budget(redis, 1)
    answers, task = Answers(redis, writer, budget), new_task()
    writer.error = Unavailable("AI_UNAVAILABLE", "Away.")
    both = [asyncio.create_task(ask(answers, task, call)) for _ in range(2)]
    await started(writer, 1)
    await asyncio.sleep(0.02)
    writer.go_on.set()
    assert [str(result) for result in await asyncio.gather(*both, return_exceptions=True)] == ["Away."] * 2
    writer.error = None
    assert len(await ask(answers, task, call)) == 3
    with pytest.raises(TooMany):
        await ask(answers, new_task(), call)


async def test_an_answer_that_takes_too_long(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.assistant.answers.ANSWER_SECONDS", 0.05)
    call, writer = new_call(), Writer()
    answers = Answers(redis, writer, Budget(redis, 1))
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            await ask(answers, new_task(), call)
        assert caught.value.reason == "AI_UNAVAILABLE"


async def test_what_is_kept_and_cannot_be_read_is_made_anew(redis: Redis) -> None:
    writer, task = Writer(), new_task()
    writer.go_on.set()
    answers = Answers(redis, writer, Budget(redis, 10))
    await redis.set(keys.ai_answer(rules.identity(writer, task)), b"\xff\xff", ttl_ms=1000)
    assert len(await ask(answers, task)) == 3


async def test_too_many_at_once_are_refused(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.assistant.answers.MAX_FLIGHTS", 1)
    writer = Writer()
    answers = Answers(redis, writer, Budget(redis, 10))
    first = asyncio.create_task(ask(answers, new_task()))
    await started(writer, 1)
    with pytest.raises(Unavailable) as caught:
        await ask(answers, new_task())
    assert caught.value.reason == "OVERLOADED"
    writer.go_on.set()
    await first


# The budget


async def test_the_budget_holds_when_all_ask_at_once_and_renews_at_midnight(redis: Redis) -> None:
    user, budgets = new_id(), [Budget(redis, 5) for _ in range(2)]
    results = await asyncio.gather(*(budgets[turn % 2].take(user, NOON) for turn in range(20)), return_exceptions=True)
    assert sum(result is None for result in results) == 5
    [refusal] = {str(result) for result in results if result is not None}
    assert "from 2026-11-23T00:00:00Z on" in refusal
    with pytest.raises(TooMany) as caught:
        await budgets[0].take(user, NOON + timedelta(hours=11, minutes=59))
    assert caught.value.retry_after == 60
    await budgets[0].take(user, NOON + timedelta(hours=12))
    await budgets[0].take(new_id(), NOON)
    await budgets[0].give_back(user, NOON)
    await budgets[1].take(user, NOON)
    assert 0 < await redis.run("PTTL", keys.ai_budget(user, "2026-11-22")) <= keys.AI_BUDGET_TTL_MS


async def test_nothing_is_given_back_that_was_not_taken(redis: Redis) -> None:
    user, budget = new_id(), Budget(redis, 1)
    await budget.give_back(user, NOON)
    await budget.take(user, NOON)
    with pytest.raises(TooMany):
        await budget.take(user, NOON)


async def test_without_redis_each_process_counts(away: Redis) -> None:
    user, budget = new_id(), Budget(away, 2)
    await budget.take(user, NOON)
    await budget.take(user, NOON)
    with pytest.raises(TooMany):
        await budget.take(user, NOON)
    await budget.give_back(user, NOON)
    await budget.take(user, NOON)
    with pytest.raises(TooMany):
        await budget.take(user, NOON)
    await budget.take(user, NOON + timedelta(days=1))
