"""The realtime parts of several processes over one Redis, without doors and without MySQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from core.call import Caller, Claims, Connection
from core.identity.sessions import Sessions
from core.ids import new_id, to_text
from core.realtime.connections import Connections
from core.realtime.hub import Joined
from core.realtime.presence import PresenceTimes
from core.realtime.publisher import Publisher
from core.realtime.streams import Stream
from core.redis import Redis, keys
from skillforge.v1 import chat_pb2, identity_pb2
from skillforge.v1.realtime_pb2 import Event, EventPosition

QUICK = PresenceTimes(lifetime=2.0, refresh=0.5, grace=0.1, lease=0.4, beat=0.1, watch_refresh=0.5)
WAIT_SECONDS = 10.0


class NoSessions:
    """Sessions that all stand, but for those a test lets fall."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.asked = 0
        self.account: Any = None
        self.session: Any = None

    def on_doubt(self, account: Any, session: Any) -> None:
        self.account, self.session = account, session

    def recall_claims(self, claims: Claims) -> tuple[Claims, Caller]:
        return claims, caller(bytes.fromhex(claims.subject))

    async def fallen(self, callers: list[Caller]) -> list[Caller]:
        self.asked += 1
        return [item for item in callers if item.session_id in self.down]


def caller(user_id: bytes) -> Caller:
    return Caller(
        user_id, identity_pb2.ROLE_STUDENT, identity_pb2.USER_STATUS_ACTIVE, "Ada", user_id.hex(), f"sess_{user_id.hex()}"
    )


class Tab:
    """One stream, whose events a task collects."""

    def __init__(self, process: Process, stream: Stream, joined: Joined) -> None:
        self.process = process
        self.stream = stream
        self.joined = joined
        self.events: list[Event] = list(joined.replay)
        self.code = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    @property
    def bodies(self) -> list[str]:
        """The texts of the messages so far."""
        return [event.chat_message.body for event in self.events if event.HasField("chat_message")]

    @property
    def position(self) -> EventPosition:
        offset = max((event.offset for event in self.events), default=self.joined.offset)
        return EventPosition(epoch=self.joined.epoch, offset=max(offset, self.joined.offset - len(self.joined.replay)))

    async def until(self, *bodies: str) -> None:
        """Wait for the messages, exactly these and in this order."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.bodies) < len(bodies):
                self._news.clear()
                await self._news.wait()
        assert self.bodies == list(bodies)

    async def next(self, topic: str) -> Event:
        """The first event of a topic, which is then gone."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for event in self.events:
                    if event.topic == topic:
                        self.events.remove(event)
                        return event
                self._news.clear()
                await self._news.wait()

    async def closed(self) -> int:
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.wait((self._task,))
        return self.code

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.process.connections.close(self.stream)

    async def _read(self) -> None:
        async for event in self.stream:
            if event.HasField("closing"):
                self.code = event.closing.code
            self.events.append(event)
            self._news.set()
        self.process.connections.close(self.stream)


class Process:
    """What one process has."""

    def __init__(self, redis_url: str, times: PresenceTimes) -> None:
        self.redis = Redis(redis_url)
        self.sessions = NoSessions()
        self.publisher = Publisher(self.redis)
        self.connections = Connections(self.redis, cast(Sessions, self.sessions), self.publisher, times=times)
        self.presence = self.connections.presence
        self.tabs: list[Tab] = []

    async def open(
        self, user_id: bytes, device: str = "laptop", tab: str = "1", resume: EventPosition | None = None, silent: bool = False
    ) -> Tab:
        """A connection; `silent`: a service's, which does not count as one. Raises what opening it raises."""
        connection = None if silent else Connection(to_text(new_id()), device, tab)
        stream = Stream(caller(user_id), connection)
        claims = Claims(user_id.hex(), f"sess_{user_id.hex()}", 4e9, identity_pb2.ROLE_UNSPECIFIED)
        try:
            opened = Tab(self, stream, await self.connections.open(stream, claims, resume))
            self.tabs.append(opened)
            return opened
        except BaseException:
            self.connections.close(stream)
            raise

    async def say(self, user_id: bytes, *bodies: str) -> None:
        """Publish messages to a user's log."""
        for body in bodies:
            await self.publisher.publish(user_id, "chat.message", chat_pb2.ChatMessage(body=body), new_id())

    async def top(self, user_id: bytes) -> int:
        return int(await self.redis.run("HGET", keys.events_head(user_id), "top") or 0)

    async def stop(self) -> None:
        await self.connections.close_all()
        for tab in self.tabs:
            await tab.leave()
        await self.redis.close()

    async def die(self) -> None:
        """End like a killed process: nothing is taken back."""
        self.connections._keeper._task.cancel()  # type: ignore[union-attr]
        await asyncio.gather(self.connections._keeper._task, return_exceptions=True)  # type: ignore[arg-type]
        self.connections._keeper._task = None
        await self.stop()


@asynccontextmanager
async def processes(redis_url: str, count: int = 2, times: PresenceTimes = QUICK) -> AsyncIterator[list[Process]]:
    """So many processes over one Redis."""
    made = [Process(redis_url, times) for _ in range(count)]
    for item in made:
        await item.connections.start()
    try:
        yield made
    finally:
        for item in made:
            await item.stop()
