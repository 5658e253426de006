"""A core for tests of the door: it remembers what it was asked and answers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from contract.client import Reply
from contract.errors import CallError
from contract.methods import Method


@dataclass
class Seen:
    """One call the core received."""

    method: Method
    request: Any
    metadata: Mapping[str, str]
    timeout: float | None


Behaviour = Callable[[Any], Message | Reply | Exception]


@dataclass
class StubCore:
    """Answers by method name; without an answer, with an empty reply."""

    answers: dict[str, Behaviour | Message | Reply | Exception] = field(default_factory=dict)
    calls: list[Seen] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    @property
    def last(self) -> Seen:
        return self.calls[-1]

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        self.calls.append(Seen(method, request, metadata, timeout))
        self.entered.set()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        answer = self.answers.get(method.name, method.reply_type())
        if callable(answer) and not isinstance(answer, Message):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(answer, {})

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        self.calls.append(Seen(method, request, metadata, timeout))
        answer: Any = self.answers.get(method.name, [])
        for item in [answer] if isinstance(answer, CallError) else answer:
            if isinstance(item, Exception):
                raise item
            yield item
