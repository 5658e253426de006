"""A second core and gateway over a world's database and Redis: what another process would be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cli.addresses import listen
from cli.worker import running_core, running_gateway
from core.app import Core
from core.realtime.presence import PresenceTimes
from core.settings import Settings

HOST = "127.0.0.1"


@dataclass
class SecondGateway:
    """Its core, and its address for clients."""

    core: Core
    url: str


@asynccontextmanager
async def second_gateway(settings: Settings, times: PresenceTimes | None = None) -> AsyncIterator[SecondGateway]:
    """Another process, in this one."""
    listener = listen(HOST, 0, reuse_port=False)
    async with running_core(settings) as core:
        if times is not None:
            core.resources.connections.presence.times = times
        await core.resources.invalidations.wait_hearing()
        async with running_gateway(core.dispatcher, settings.door, listener, core.readiness):
            yield SecondGateway(core, f"http://{HOST}:{listener.getsockname()[1]}")
