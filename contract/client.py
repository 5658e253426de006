"""What a door calls: the dispatcher in this process, or a core behind a gRPC channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from contract.methods import Method


class Reply(NamedTuple):
    """An answer: the message and the metadata that goes with it.

    `shared` says that this very object may be returned again (an immutable, cached answer), so that a door
    may keep its encoded bytes by the message's identity. Nobody may change a shared message.
    """

    message: Message
    metadata: Mapping[str, str]
    shared: bool = False


class CoreClient(Protocol):
    """Calls RPCs. Every failure is a `contract.errors.CallError`."""

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        """Call a unary method; `timeout` in seconds, None for the core's default."""
        ...

    def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        """Call a server-streaming method."""
        ...
