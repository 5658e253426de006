"""Clients that use a world all at once while something is taken away from it, and what they were answered.

Each does its deeds one after the other and repeats a refused one, as real clients do, until it is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.support.polling import eventually
from tests.support.world import Person, World

BACKOFF_SECONDS = 0.05


@dataclass
class Deed:
    """One request, and what is right about its acknowledgement. `key`: what is acknowledged, for the audit afterwards."""

    verb: str
    path: str
    person: Person | None = None
    key: Any = None
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    right: Callable[[Any], bool] = bool
    remade: Callable[[Deed], None] | None = None  # called before each try, to sign it anew for instance


class Client:
    """One client: endless deeds, and the keys of those acknowledged."""

    def __init__(self, name: str, deeds: Iterable[Deed]) -> None:
        self.name = name
        self.deeds = iter(deeds)
        self.acknowledged: list[Any] = []
        self.successes = 0


class Load:
    """Use it as a context manager: the clients work inside of it. `tolerated`: the statuses a deed may be refused with."""

    def __init__(self, world: World, clients: Iterable[Client], tolerated: frozenset[int]) -> None:
        self._world = world
        self.clients = list(clients)
        self._tolerated = tolerated
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work(client)) for client in self.clients]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let every client finish its deed; after an error give them up."""
        self._stopping = True
        try:
            if error is None:
                await asyncio.wait_for(asyncio.gather(*self._tasks), 20)
                assert not self.wrong, self.wrong[:5]
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def refused(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 400)

    async def everybody_succeeds(self, times: int = 3, seconds: float = 10.0) -> None:
        """Return when every client has been acknowledged so many times more."""
        wanted = {client.name: client.successes + times for client in self.clients}

        async def lagging() -> list[str]:
            return [client.name for client in self.clients if client.successes < wanted[client.name]]

        await eventually(lagging, lambda names: not names or bool(self.wrong), seconds)
        assert not self.wrong, self.wrong[:5]

    async def refusals(self, count: int, seconds: float = 10.0) -> None:
        """Return when so many deeds more were refused."""
        wanted = self.refused + count

        async def refused() -> int:
            return self.refused

        await eventually(refused, lambda now: now >= wanted or bool(self.wrong), seconds)

    async def _work(self, client: Client) -> None:
        for deed in client.deeds:
            await self._insist(client, deed)
            client.successes += 1
            client.acknowledged.append(deed.key)
            if self._stopping or self.wrong:
                return

    async def _insist(self, client: Client, deed: Deed) -> None:
        """Try until it is acknowledged, or answered wrongly."""
        while True:
            if await self._try(client, deed):
                return
            await asyncio.sleep(BACKOFF_SECONDS)

    async def _try(self, client: Client, deed: Deed) -> bool:
        """Whether the deed is over."""
        if deed.remade is not None:
            deed.remade(deed)
        sent = {"json": deed.body} if isinstance(deed.body, dict) else {"data": deed.body}
        status, headers, answer = await self._world.request(
            deed.verb, deed.path, person=deed.person, headers=dict(deed.headers), **sent
        )
        self.statuses[status] += 1
        fault = self._fault(status, headers, answer, deed)
        if fault:
            self.wrong.append(f"{client.name}: {deed.verb} {deed.path}: {fault}: {status} {str(answer)[:300]}")
        return status < 400 or bool(fault)

    def _fault(self, status: int, headers: dict[str, str], answer: Any, deed: Deed) -> str:
        if status < 300:
            return "" if deed.right(answer) else "a wrong answer"
        if status not in self._tolerated:
            return "a status that should not be"
        if status in (429, 503) and not headers.get("retry-after", "").isdigit():
            return "no Retry-After"
        return "" if answer["status"] == status and answer["instance"] else "no problem"
