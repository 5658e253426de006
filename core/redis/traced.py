"""Redis with a span for each command. It tells the command or the script, and no key: those name people."""

from __future__ import annotations

from typing import Any

from core.redis.client import Redis, Script, Value, load_script
from telemetry import tracing


class TracedRedis(Redis):
    """The client of a process whose calls are traced."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._scripts: dict[Value, str] = {}

    def script(self, name: str) -> Script:
        """As `Redis` does."""
        self._scripts[load_script(name)[1]] = name
        return super().script(name)

    async def run(self, *command: Value) -> Any:
        """As `Redis` does."""
        spans = tracing.spans()
        if spans is None:
            return await super().run(*command)
        name = str(command[0]) if command[0] != "EVALSHA" else f"EVALSHA {self._scripts.get(command[1], '')}"
        with spans.within(name, db_system_name="redis"):
            return await super().run(*command)
