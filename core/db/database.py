"""Reading and writing: autocommit statements, and transactions as short scopes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from core.db.answer import Answer
from core.db.connection import Connection, open_connection
from core.db.errors import RetryScope, overloaded
from core.db.literals import bind_rows
from core.db.pool import Pool, PoolState
from core.db.url import parse_url
from core.errors import DomainError

log = logging.getLogger("skillforge.db")

T = TypeVar("T")
Hook = Callable[[], Awaitable[None]]
Row = tuple[Any, ...]

MAX_TRIES = 5
MAX_BACKOFF_SECONDS = 0.1
# A multi-row INSERT is split into statements of about this size; the servers' max_allowed_packet is 16 MiB and more.
MAX_STATEMENT_CHARACTERS = 1 << 20


class Reader(Protocol):
    """What can be read from: the database, or a transaction. `%s` stands for a parameter, a tuple for an IN list."""

    async def fetch_one(self, sql: str, params: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[Row]:
        """All rows."""


class Transaction:
    """The inside of a transaction scope. Made by `Database.transact` only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.hooks: list[Hook] = []
        # An error after which the transaction is no more, whatever the work makes of it.
        self._lost: Exception | None = None

    async def fetch_one(self, sql: str, params: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        rows = (await self.run(sql, params)).rows
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[Row]:
        """All rows."""
        return (await self.run(sql, params)).rows

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; how many rows it matched (changed or not) or inserted. Raises DuplicateKey, MissingParent."""
        return (await self.run(sql, params)).count

    async def insert_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        """Run an INSERT with one row of `%s`s after VALUES for many rows, in as few statements as their size allows."""
        count = 0
        for statement in bind_rows(sql, rows, MAX_STATEMENT_CHARACTERS):
            count += (await self.run(statement, ())).count
        return count

    def after_commit(self, hook: Hook) -> None:
        """Run `hook` after the commit, in order of registration; its failure is logged and harms nobody.

        When the connection is lost during the commit, so that nobody knows whether it took place, hooks run too:
        a hook must do no harm if nothing has changed.
        """
        self.hooks.append(hook)

    async def run(self, sql: str, params: Sequence[object]) -> Answer:
        """For `Database` alone."""
        if self._lost is not None:
            raise self._lost
        try:
            return await self._connection.run(sql, params)
        except RetryScope as error:
            self._lost = error
            raise
        except Exception as error:
            if not self._connection.wire.usable:
                self._lost = error
            raise

    async def begin(self) -> None:
        """For `Database` alone."""
        await self.run("BEGIN", ())

    async def commit(self) -> None:
        """For `Database` alone."""
        await self.run("COMMIT", ())


class Database:
    """Reads and single writes, each on a connection of the pool and committed by itself; and transactions.

    Every method raises Unavailable while the server is away or its connections are all busy for too long, and
    DeadlineExceeded when a statement runs for too long. Cancelling ends the statement at the server too.
    """

    def __init__(self, url: str, *, size: int = 16) -> None:
        """`url`: see `core.db.url`; ValueError says what is wrong with it. `size`: connections kept."""
        self.address = parse_url(url)
        self._pool = Pool(lambda: open_connection(self.address), size)
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def pool(self) -> PoolState:
        """How its connections stand now."""
        return self._pool.state

    async def start(self) -> None:
        """Begin connecting in the background; the server may come later."""
        self._pool.start()

    async def close(self) -> None:
        """Let commits under way end, then close the connections."""
        if self._endings:
            await asyncio.wait(self._endings, timeout=5)
        await self._pool.close()

    async def fetch_one(self, sql: str, params: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        rows = (await self._run(sql, params)).rows
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[Row]:
        """All rows."""
        return (await self._run(sql, params)).rows

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement as its own transaction; how many rows it matched or inserted. Raises DuplicateKey, MissingParent."""
        return (await self._run(sql, params)).count

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction: commit when it returns, roll back when it raises.

        On a deadlock or lock timeout the whole scope runs again, a few times, so `work` must have no effect outside
        the transaction but by `after_commit`. Unavailable after a lost COMMIT: it may or may not have taken place.
        """
        return await _with_retries(lambda: self._scope(work))

    async def _run(self, sql: str, params: Sequence[object]) -> Answer:
        pool = self._pool
        connection = pool.take_idle() or await pool.take()
        try:
            return await connection.run(sql, params)
        except RetryScope:
            pass
        finally:
            pool.give(connection)
        # The server undid the statement, which was a transaction of its own.
        return await self.transact(lambda tx: tx.run(sql, params))

    async def _scope(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        connection = self._pool.take_idle() or await self._pool.take()
        tx = Transaction(connection)
        try:
            await tx.begin()
            result = await work(tx)
            if not tx.hooks:
                await tx.commit()
        except asyncio.CancelledError:
            self._end(self._undo(tx, connection))
            raise
        except BaseException:
            await self._undo(tx, connection)
            raise
        if tx.hooks:
            # Whoever waits may be cancelled, the hooks of a commit that takes place may not be missed.
            await asyncio.shield(self._end(self._commit(tx, connection)))
        else:
            self._pool.give(connection)
        return result

    async def _commit(self, tx: Transaction, connection: Connection) -> None:
        try:
            await tx.commit()
        except DomainError:
            # Unknown whether it took place: let caches forget what may be old, and say so.
            await self._undo(tx, connection)
            await _run_hooks(tx.hooks)
            raise
        except BaseException:
            await self._undo(tx, connection)
            raise
        self._pool.give(connection)
        await _run_hooks(tx.hooks)

    async def _undo(self, tx: Transaction, connection: Connection) -> None:
        """Roll back and give the connection back; one that cannot even roll back is closed."""
        try:
            if connection.wire.usable:
                await connection.run("ROLLBACK")
        except Exception as error:
            log.debug("a rollback failed: %s", error)
            connection.close()
        finally:
            self._pool.give(connection)

    def _end(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the end of a transaction as a task of its own; there are never more than connections."""
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._endings.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a transaction ended with %r", task.exception())


async def _with_retries(scope: Callable[[], Awaitable[T]]) -> T:
    for number in range(1, MAX_TRIES + 1):
        try:
            return await scope()
        except RetryScope as error:
            if number == MAX_TRIES:
                raise overloaded() from error
        await asyncio.sleep(random.uniform(0, min(MAX_BACKOFF_SECONDS, 0.005 * 2**number)))
    raise AssertionError("not reached")


async def _run_hooks(hooks: Sequence[Hook]) -> None:
    for hook in hooks:
        try:
            await hook()
        except Exception:
            log.exception("a hook after a commit failed")
