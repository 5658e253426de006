"""A core and a gateway whose assistant asks a fake language model, beside a world: same database, same Redis."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from cli.addresses import listen
from cli.worker import running_core, running_gateway
from core.app import Core
from core.assistant.engines import AiSettings
from fakes.ai.server import API_KEY, MODEL, AiFake
from tests.support.world import HOST, Person, World

Event = tuple[str, dict[str, Any]]


@dataclass
class AiPlace:
    """Use `ai_place`."""

    world: World
    core: Core
    model: AiFake
    url: str

    async def ask(self, path: str, person: Person, **fields: Any) -> tuple[int, dict[str, str], Any]:
        """A POST: status, headers and JSON."""
        return await self.world.request("POST", f"/ai/{path}", person=person, url=self.url, json=fields)

    async def events(self, path: str, person: Person, **fields: Any) -> list[Event]:
        """Every event of a stream."""
        status, headers, raw = await self.ask(f"{path}/stream", person, **fields)
        assert (status, headers["content-type"]) == (200, "text/event-stream"), raw
        return read_events(raw)


def read_events(raw: bytes) -> list[Event]:
    """Server-sent events as their name and data; a message has no name."""
    found = []
    for block in raw.decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", ""), orjson.loads(fields["data"])))
    return found


@asynccontextmanager
async def ai_place(world: World, *, daily_budget: int = 100, **changes: Any) -> AsyncIterator[AiPlace]:
    """`changes`: of the world's settings."""
    model = AiFake()
    model.retry_after = "0.01"
    await model.listen()
    settings = dataclasses.replace(world.settings, ai=AiSettings(model.url, API_KEY, MODEL, daily_budget), **changes)
    listener = listen(HOST, 0, reuse_port=False)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    try:
        async with running_core(settings) as core, running_gateway(core.dispatcher, settings.door, listener, core.readiness):
            yield AiPlace(world, core, model, url)
    finally:
        await model.close()
