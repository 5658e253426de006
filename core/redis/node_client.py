"""Commands to one Redis node over one connection: what is asked in the same moment goes out in one write.

The server answers in order, so an answer finds its command by its place. RESP2, read by hiredis.
Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

import hiredis
from redis import exceptions

from core.redis.nodes import Login, Node, RedisAway, Value, open_wire

log = logging.getLogger("skillforge.redis")

# After a failure calls fail at once for so long; then one of them finds out whether the server is back.
AWAY_SECONDS = 0.5
# How many times as long as a deadline is its lateness our own fault.
LATE = 1.3
_LOOK_AGAIN_SECONDS = 0.05
# Commands without an answer; each is given up after a deadline.
MAX_WAITING = 20_000

# Beside lost connections: replies of a server that cannot serve now (full, loading, a replica, a cluster with a hole).
_AWAY_REPLIES = ("READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "LOADING", "NOREPLICAS", "MISCONF", "UNBLOCKED")


class Wire(asyncio.Protocol):
    """A connection. A command that gets no answer within the deadline ends it, and every other command with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reader = hiredis.Reader(replyError=_refusal)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        # When each command was sent and who waits for its answer, in order.
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None

    def ask(self, command: Sequence[Value]) -> asyncio.Future[Any]:
        """Send a command, soon. The answer may be given up: it is thrown away then."""
        if len(self._waiting) >= MAX_WAITING:
            raise RedisAway("too many commands wait for Redis")
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
        now = monotonic()
        self._waiting.append((now, future))
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, now + self._seconds)
        return future

    def close(self, error: Exception | None = None) -> None:
        """Give the connection up, and all that waits on it with `error`."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent.clear()
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(error or exceptions.ConnectionError("the connection is closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                _, future = self._waiting.popleft()
                if future.done():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close(exceptions.ConnectionError("the server said what nobody asked"))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.close(exceptions.ConnectionError(str(error) if error else "the server closed the connection"))

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _look(self, due: float) -> None:
        """Whether the oldest command has waited for too long. A look that comes late itself says nothing about the server:
        the answer may lie there unread."""
        self._timer = None
        if not self._waiting:
            return
        now = monotonic()
        if now - due > self._seconds * (LATE - 1):
            due = now + _LOOK_AGAIN_SECONDS
        elif now < (deadline := self._waiting[0][0] + self._seconds):
            due = deadline
        else:
            self.close(exceptions.TimeoutError("no answer in time"))
            return
        self._timer = self._loop.call_later(due - now, self._look, due)


class NodeClient:
    """Commands to a node, each with the deadline `seconds`. While the node is away, or slow, they fail at once."""

    def __init__(self, node: Node, login: Login, database: int, seconds: float) -> None:
        self._node = node
        self._login = login
        self._database = database
        self._seconds = seconds
        self._wire: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None
        self._away_until = 0.0
        # Whether the last command failed for the server or the way to it, and how many did.
        self.away = False
        self.failures = 0

    async def run(self, *commands: Sequence[Value]) -> Any:
        """Run commands, one right after another; the last one's answer. Raises RedisAway, or ResponseError for a refusal
        of the last."""
        if self.away:
            self._probe()
        try:
            wire = self._wire
            if wire is None or not wire.usable:
                wire = await self._open()
            answers = [wire.ask(command) for command in commands]
            for unimportant in answers[:-1]:
                unimportant.add_done_callback(_ignore)
            answer = await answers[-1]
        except exceptions.ResponseError as error:
            if str(error).startswith(_AWAY_REPLIES):
                raise self._failed(error) from error
            # A refusal is an answer.
            self._answered()
            raise
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            raise self._failed(error) from error
        self._answered()
        return answer

    async def close(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._wire is not None:
            self._wire.close()

    async def _open(self) -> Wire:
        """The connection, which all who come meanwhile wait for."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _connect(self) -> Wire:
        began = monotonic()
        try:
            return await self._connect_in_time()
        except TimeoutError:
            if monotonic() - began > self._seconds * LATE:
                raise RedisAway("this process was too busy to connect") from None
            raise

    async def _connect_in_time(self) -> Wire:
        async with asyncio.timeout(self._seconds):
            wire = await open_wire(self._node, self._login, lambda: Wire(self._seconds))
            try:
                for command in (self._login.command, ("SELECT", self._database) if self._database else None):
                    if command is not None:
                        await wire.ask(command)
            except exceptions.ResponseError as error:
                wire.close()
                raise exceptions.ConnectionError(str(error)) from error
            except BaseException:
                wire.close()
                raise
        return wire

    def _opened(self, opening: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._wire = opening.result()

    def _probe(self) -> None:
        """Let the caller find out whether the node is back, but only one at a time."""
        now = monotonic()
        if now < self._away_until:
            raise RedisAway("Redis is away")
        self._away_until = now + AWAY_SECONDS

    def _answered(self) -> None:
        if self.away:
            log.info("Redis is back")
            self.away = False

    def _failed(self, error: Exception) -> RedisAway:
        if not self.away:
            log.warning("Redis is away: %s", str(error) or type(error).__name__)
        self.away = True
        self.failures += 1
        self._away_until = monotonic() + AWAY_SECONDS
        return RedisAway(str(error) or type(error).__name__)


def _refusal(text: str) -> exceptions.ResponseError:
    kind = exceptions.NoScriptError if text.startswith("NOSCRIPT") else exceptions.ResponseError
    return kind(text)


def _ignore(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
