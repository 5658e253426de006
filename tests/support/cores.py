"""Further cores over a world's database and Redis: what another process would see."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from cli.worker import running_core
from contract.errors import CallError
from core.app import Core
from core.settings import Settings
from skillforge.v1 import identity_pb2
from tests.support.doors import METHODS


class OtherCore:
    """Use `another_core`."""

    def __init__(self, core: Core) -> None:
        self.core = core

    async def call(self, name: str, request: Message, token: str) -> Any:
        """The answer; raises CallError."""
        metadata = {"authorization": f"Bearer {token}", "x-client-ip": "192.0.2.1"}
        return (await self.core.dispatcher.call(METHODS[name], request, metadata, 10.0)).message

    async def standing(self, token: str) -> str:
        """The role in which the pipeline lets the token in ("STUDENT"), or the reason why it does not."""
        try:
            await self.call("GetMe", identity_pb2.GetMeRequest(), token)
            _, caller = await self.core.resources.sessions.identify(token)
        except CallError as error:
            return error.reason
        assert caller is not None
        return identity_pb2.Role.Name(caller.role).removeprefix("ROLE_")


@asynccontextmanager
async def another_core(settings: Settings, **changes: Any) -> AsyncIterator[OtherCore]:
    """A core of its own with the settings but for the changes; it hears of changes unless its Redis is away."""
    async with running_core(dataclasses.replace(settings, **changes)) as core:
        if "redis_url" not in changes:
            await core.resources.invalidations.wait_hearing()
        yield OtherCore(core)
