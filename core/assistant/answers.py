"""Answers to tasks: kept ones, those that somebody else is waiting for already, and new ones within the budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from google.protobuf.message import DecodeError

from core.assistant import rules
from core.assistant.budget import Budget
from core.assistant.engines import ANSWER_SECONDS, Engine, FeedbackTask, Part, QuizTask, SummaryTask, Task, Whole
from core.assistant.flights import Flight
from core.call import Call
from core.errors import DomainError, TooMany, Unavailable
from core.redis import Redis, RedisAway, keys
from skillforge.v1.assistant_pb2 import Feedback, QuizDraft, Summary

log = logging.getLogger("skillforge.assistant")

# Answers of this process that are being made at once.
MAX_FLIGHTS = 200
_REPLIES: dict[type[Task], type[Whole]] = {SummaryTask: Summary, QuizTask: QuizDraft, FeedbackTask: Feedback}


class Answers:
    """One engine's answers. The same task is asked once, here at a time and everywhere for as long as Redis keeps it."""

    def __init__(self, redis: Redis, engine: Engine, budget: Budget) -> None:
        self._redis = redis
        self._engine = engine
        self._budget = budget
        self._flights: dict[str, Flight] = {}

    async def parts(self, call: Call, task: Task) -> AsyncGenerator[Part, None]:
        """The parts of an answer, the whole last; of a kept one only the whole.

        Raises TooMany (AI_BUDGET_SPENT), and what the engine raises.
        """
        identity = rules.identity(self._engine, task)
        if identity not in self._flights and (kept := await self._kept(identity, task)) is not None:
            yield kept
            return
        flight, paid_for_nothing = self._flights.get(identity), False
        if flight is None:
            flight, paid_for_nothing = await self._begin(call, identity, task)
        try:
            async with aclosing(flight.follow()) as parts:
                async for part in parts:
                    yield part
        finally:
            if paid_for_nothing:
                await self._budget.give_back(call.user.user_id, call.now)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def _begin(self, call: Call, identity: str, task: Task) -> tuple[Flight, bool]:
        """The answer being made, at the caller's cost; or somebody else's that began meanwhile, and True."""
        if len(self._flights) >= MAX_FLIGHTS:
            raise Unavailable("OVERLOADED", "Too many answers are being made. Try again soon.", retry_after=5.0)
        try:
            await self._budget.take(call.user.user_id, call.now)
        except TooMany:
            # What somebody has begun meanwhile is free.
            if (present := self._flights.get(identity)) is not None:
                return present, False
            raise
        if (present := self._flights.get(identity)) is not None:
            return present, True
        flight = self._flights[identity] = Flight(self._make(call, identity, task), lambda item: self._landed(identity, item))
        return flight, False

    def _landed(self, identity: str, flight: Flight) -> None:
        if self._flights.get(identity) is flight:
            del self._flights[identity]

    async def _make(self, call: Call, identity: str, task: Task) -> AsyncGenerator[Part, None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), aclosing(self._engine.answer(task)) as parts:
                async for part in parts:
                    if isinstance(part, Whole):
                        part.engine, part.model = self._engine.name, self._engine.model
                        await self._keep(identity, part)
                    yield part
        except DomainError:
            await self._budget.give_back(call.user.user_id, call.now)
            raise
        except TimeoutError:
            await self._budget.give_back(call.user.user_id, call.now)
            raise Unavailable("AI_UNAVAILABLE", f"There was no answer in {ANSWER_SECONDS:g} s. Try again soon.") from None

    async def _kept(self, identity: str, task: Task) -> Whole | None:
        try:
            stored = await self._redis.get(keys.ai_answer(identity))
            whole = _REPLIES[type(task)].FromString(stored) if stored else None
        except RedisAway:
            return None
        except DecodeError:
            log.warning("a kept answer cannot be read and is made anew")
            return None
        if whole is not None:
            whole.cached = True
        return whole

    async def _keep(self, identity: str, whole: Whole) -> None:
        try:
            await self._redis.set(keys.ai_answer(identity), whole.SerializeToString(), ttl_ms=keys.AI_ANSWER_TTL_MS)
        except RedisAway:
            log.info("an answer is not kept: Redis is away")
