"""A bounded pool of connections: last in, first out; waiting is bounded; only healthy connections come back."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from core.db.connection import STATEMENT_SECONDS, Connection
from core.db.errors import away, overloaded
from core.errors import Unavailable

log = logging.getLogger("skillforge.db")

ACQUIRE_SECONDS = 2.0
# After a failed attempt to connect nobody else tries for so long.
AWAY_SECONDS = 0.25
RECYCLE_SECONDS = 1800.0
KILL_SECONDS = 3.0
_TICK_SECONDS = 1.0
_MAX_KILLERS = 4
_WAITERS_A_CONNECTION = 200


class PoolState(NamedTuple):
    """How many connections there may be and are, how many of them work and rest, how many callers wait for one, and how
    many ever gave up waiting."""

    size: int
    open: int
    in_use: int
    idle: int
    waiting: int
    gave_up: int


class Pool:
    """Keeps `size` connections open, also after the server was away, and lends them."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        # Connections that are open or being opened; never above `size`.
        self._slots = 0
        # A waiter gets a connection, or None: a slot to open one in.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._away_until = 0.0
        self._gave_up = 0
        self._keeper: asyncio.Task[None] | None = None
        self._killers: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def state(self) -> PoolState:
        """How it stands now."""
        idle, in_use = len(self._idle), len(self._lent)
        return PoolState(self._size, idle + in_use, in_use, idle, len(self._waiters), self._gave_up)

    def start(self) -> None:
        """Begin opening connections in the background."""
        self._keeper = asyncio.create_task(self._keep(), name="database pool")

    async def close(self) -> None:
        """Close all; lent connections when they come back. Waiters get Unavailable."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        for killer in self._killers:
            killer.cancel()
        self._fail_waiters(away())
        while self._idle:
            self._drop(self._idle.pop())

    def take_idle(self) -> Connection | None:
        """A healthy idle connection, if there is one and nobody waits before the caller."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._lent.add(connection)
                return connection
            self._drop(connection)
        return None

    async def take(self) -> Connection:
        """A connection; it must be given back. Raises Unavailable: the server is away, or all are busy for too long."""
        connection = self.take_idle()
        if connection is not None:
            return connection
        if self._closed:
            raise away()
        if self._slots < self._size:
            self._slots += 1
            return await self._open()
        return await self._wait()

    def give(self, connection: Connection) -> None:
        """Take a lent connection back. It must be in no transaction; a broken one is closed and replaced."""
        self._lent.discard(connection)
        if connection.interrupted:
            self._kill(connection)
        if self._closed or not connection.usable:
            self._drop(connection)
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._lent.add(connection)
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    async def _wait(self) -> Connection:
        if len(self._waiters) >= self._size * _WAITERS_A_CONNECTION:
            raise overloaded()
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                connection = await waiter
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                self._gave_up += 1
                raise overloaded() from error
            raise
        return connection if connection is not None else await self._open()

    def _leave(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Undo what a waiter was given in the very moment it gave up."""
        if not waiter.done() or waiter.cancelled():
            with suppress(ValueError):
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            connection = waiter.result()
            if connection is not None:
                self.give(connection)
            else:
                self._free_slot()

    async def _open(self) -> Connection:
        """Open a connection in a slot the caller holds."""
        clock = asyncio.get_running_loop().time
        try:
            if clock() < self._away_until:
                raise away()
            connection = await self._connect()
        except Unavailable as error:
            if clock() >= self._away_until:
                self._away_until = clock() + AWAY_SECONDS
            self._slots -= 1
            if not self._lent:
                self._fail_waiters(error)
            raise
        except BaseException:
            self._free_slot()
            raise
        self._lent.add(connection)
        return connection

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._free_slot()

    def _free_slot(self) -> None:
        """A slot is free: hand it to a waiter, or leave it to the keeper."""
        while self._waiters and not self._closed:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1

    def _fail_waiters(self, error: Unavailable) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    async def _keep(self) -> None:
        """Open what is missing, close what is old or stuck, for ever."""
        failing = False
        while True:
            self._sweep()
            try:
                while self._slots < self._size:
                    self._slots += 1
                    self.give(await self._open())
                if failing:
                    log.info("the database is back")
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("cannot connect to the database: %s", error.__cause__ or error)
                failing = True
            await asyncio.sleep(_TICK_SECONDS * random.uniform(0.8, 1.2) * (AWAY_SECONDS if failing else 1.0))

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._idle):
            if not connection.usable or now - connection.opened_at > RECYCLE_SECONDS * random.uniform(0.8, 1.0):
                self._idle.remove(connection)
                self._drop(connection)
        for connection in self._lent:
            # The server ends a long statement itself; if no answer comes then, the way to it is broken.
            if connection.asked_at and now - connection.asked_at > STATEMENT_SECONDS + 5:
                log.warning("a database connection does not answer; closing it")
                connection.interrupted = True
                connection.close()

    def _kill(self, connection: Connection) -> None:
        """End a statement nobody waits for any more; beyond a few at once the server's own bound has to do."""
        if len(self._killers) < _MAX_KILLERS and not self._closed:
            killer = asyncio.create_task(self._kill_statement(connection.server, connection.thread_id))
            self._killers.add(killer)
            killer.add_done_callback(self._killers.discard)

    async def _kill_statement(self, server: str, thread_id: int) -> None:
        try:
            async with asyncio.timeout(KILL_SECONDS):
                killer = await self._connect()
                try:
                    # Behind a balancer this may be another server, where the number is somebody else's.
                    if killer.server == server:
                        await killer.run("KILL QUERY %s", (thread_id,))
                finally:
                    killer.close()
        except Exception as error:
            # Mostly: the statement, and with it the thread, has ended by itself.
            log.debug("could not end an abandoned statement: %s", error)
