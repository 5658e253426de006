"""Reading and writing: autocommit statements, and transactions as short scopes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from core.db.answer import Answer
from core.db.connection import Connection, open_connection, server_error
from core.db.errors import DuplicateKey, MissingParent, RetryScope, overloaded
from core.db.literals import bind, bind_rows
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


class Posted(NamedTuple):
    """A statement that is sent with the next one, and how many rows it must match (None: any number)."""

    statement: str
    rows: int | None = None


_BEGIN = Posted("SET autocommit = 0")
_AUTOCOMMIT = "SET autocommit = 1"


class Transaction:
    """The inside of a transaction scope. Made by `Database.transact` only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._posted: list[Posted] = []
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

    def post(self, sql: str, params: Sequence[object] = (), *, rows: int | None = None) -> None:
        """Run a write whose answer nobody waits for: it is sent with the next statement that somebody waits for, or before the
        commit. When another transaction was before it (a key is taken, a parent gone, or it matches other than `rows` rows),
        the whole scope runs again."""
        self._posted.append(Posted(bind(sql, params), rows))

    def post_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """`insert_many`, but sent as by `post`."""
        self._posted += map(Posted, bind_rows(sql, rows, MAX_STATEMENT_CHARACTERS))

    def after_commit(self, hook: Hook) -> None:
        """Run `hook` after the commit, in order of registration; its failure is logged and harms nobody.

        When the connection is lost during the commit, so that nobody knows whether it took place, hooks run too:
        a hook must do no harm if nothing has changed.
        """
        self.hooks.append(hook)

    async def run(self, sql: str, params: Sequence[object]) -> Answer:
        """For `Database` alone."""
        statement = bind(sql, params)
        if self._posted and self._posted[0] is _BEGIN and (len(self._posted) > 1 or not statement.lstrip().startswith("SELECT")):
            # Nothing is written before it is sure that it does not commit by itself.
            await self._send([self._posted.pop(0).statement])
        posted, self._posted = self._posted, []
        *answers, answer = await self._send([*(post.statement for post in posted), statement])
        self._check(posted, answers)
        if answer.error is not None:
            error = server_error(answer.error)
            if isinstance(error, RetryScope):
                self._lost = error
            raise error
        return answer

    def begin(self) -> None:
        """For `Database` alone."""
        # Statements are sent behind others whose answers are not there yet. Should one of those end the transaction, as a
        # deadlock does, what follows must be in a new one, which nobody commits: BEGIN would leave it to commit by itself.
        if self._connection.autocommits:
            self._posted.append(_BEGIN)

    async def commit(self) -> None:
        """For `Database` alone, behind `flush`."""
        if not self._posted:  # something was sent
            await self.run("COMMIT", ())

    async def flush(self) -> None:
        """For `Database` alone: send what was posted, if more than the beginning was."""
        if self._posted and self._posted[-1] is not _BEGIN:
            if self._posted[0] is _BEGIN:
                await self._send([self._posted.pop(0).statement])
            posted, self._posted = self._posted, []
            self._check(posted, await self._send([post.statement for post in posted]))

    async def _send(self, statements: Sequence[str]) -> list[Answer]:
        if self._lost is not None:
            raise self._lost
        try:
            return await self._connection.run_all(statements)
        except Exception as error:
            if not self._connection.wire.usable:
                self._lost = error
            raise

    def _check(self, posted: Sequence[Posted], answers: Sequence[Answer]) -> None:
        for post, answer in zip(posted, answers, strict=True):
            error = server_error(answer.error) if answer.error is not None else None
            if isinstance(error, DuplicateKey | MissingParent) or (error is None and post.rows not in (None, answer.count)):
                error = RetryScope("another transaction was before this one")
            if error is not None:
                # What came behind it was run all the same.
                self._lost = error
                raise error


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
            if connection.autocommits:
                return await connection.run(sql, params)
            return await _run_alone(connection, bind(sql, params))
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
            tx.begin()
            result = await work(tx)
            await tx.flush()
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


async def _run_alone(connection: Connection, statement: str) -> Answer:
    """Run a statement that commits by itself on a connection whose statements do not yet."""
    switched, answer = await connection.run_all((_AUTOCOMMIT, statement))
    for each in (switched, answer):
        if each.error is not None:
            raise server_error(each.error)
    return answer


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
