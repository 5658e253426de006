"""One connection to the server, its session set up the way every statement here relies on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache

import aiomysql
from pymysql.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from pymysql.err import MySQLError, OperationalError, raise_mysql_exception

from core.db.answer import Answer
from core.db.errors import away, translate
from core.db.literals import bind
from core.db.url import Address
from telemetry import tracing

CONNECT_SECONDS = 3.0
# How long the server lets a statement run; the pool's watch gives up a little later.
STATEMENT_SECONDS = 15
LOCK_WAIT_SECONDS = 5
IDLE_SECONDS = 28_800
_READ_BYTES = 1 << 18
_SQL_MODE = (
    "STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
_SESSION = f"""
SET SESSION time_zone = '+00:00', sql_mode = '{_SQL_MODE}', group_concat_max_len = 16777216, wait_timeout = {IDLE_SECONDS},
  innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, """
# The bound of a statement: MariaDB's in seconds, for all; MySQL's in milliseconds, for reads alone.
_MARIADB_BOUND = "max_statement_time = %s"
_MYSQL_BOUND = "max_execution_time = %s"
# The version, and what tells a server process from another that answers at the same address.
_WHO = "SELECT VERSION(), CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)"
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
# What a statement does, and the first table it names.
_SUMMARY = re.compile(r"\s*(\w+)(?:.{0,2000}?\b(?:FROM|INTO|UPDATE)\s+(\w+))?", re.DOTALL | re.IGNORECASE)


class Wire(aiomysql.Connection):  # type: ignore[misc]
    """The driver's connection (handshake, TLS, log-in, sending), with our own reading of answers."""

    def __init__(self, address: Address, database: str | None) -> None:
        super().__init__(
            host=address.host, port=address.port, unix_socket=address.unix_socket, user=address.user, password=address.password,
            db=database, charset="utf8mb4", autocommit=True, ssl=address.ssl_context(), client_flag=CLIENT.FOUND_ROWS,
        )  # fmt: skip
        # An injected second statement must be an error.
        self.client_flag &= ~CLIENT.MULTI_STATEMENTS
        # The flags of the server's last answer.
        self.server_status: int = 0

    @property
    def usable(self) -> bool:
        """Whether a statement can be sent, as far as this side knows."""
        writer = self._writer
        return writer is not None and not self._reader.eof_received and not writer.transport.is_closing()

    async def ask(self, statement: bytes) -> Answer:
        """Send a statement and read its answer. Raises OperationalError when the connection is, or gets, lost."""
        if not self.usable:
            raise OperationalError(CR.CR_SERVER_GONE_ERROR, "the connection is closed")
        await self._execute_command(COMMAND.COM_QUERY, statement)
        reader = self._reader
        answer = Answer()
        while True:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise OperationalError(CR.CR_SERVER_LOST, "the connection was lost during a statement")
            if answer.feed(data):
                break
        self.server_status = answer.status or self.server_status
        return answer


class Connection:
    """An open connection, used by one scope at a time.

    `server` tells the server process; `asked_at` (loop time) is 0 between statements; `interrupted` is set when a
    statement was left, so that the server may be running it still.
    """

    __slots__ = ("_clock", "asked_at", "interrupted", "opened_at", "server", "wire")

    def __init__(self, wire: Wire) -> None:
        self._clock = wire.loop.time
        self.wire = wire
        self.server = ""
        self.opened_at: float = self._clock()
        self.asked_at = 0.0
        self.interrupted = False

    @property
    def usable(self) -> bool:
        """Whether it can serve the next scope: open at both ends as far as this side knows, and in no transaction."""
        return bool(self.wire.usable) and not self.wire.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS

    async def run(self, sql: str, params: Sequence[object] = ()) -> Answer:
        """Run one statement. Raises what `core.db.errors.translate` says.

        A statement that is interrupted, by cancellation or a lost answer, closes the connection.
        """
        statement = bind(sql, params).encode("utf-8", "surrogateescape")
        self.asked_at = self._clock()
        try:
            answer: Answer = await self.wire.ask(statement)
        except (MySQLError, OSError) as error:
            self.wire.close()
            raise translate(error) from error
        except BaseException as error:
            self.wire.close()
            self.interrupted |= isinstance(error, asyncio.CancelledError)
            raise
        finally:
            self.asked_at = 0.0
        if answer.error is not None:
            raise _server_error(answer.error)
        return answer

    @property
    def thread_id(self) -> int:
        """The number the server knows it by."""
        return int(self.wire.thread_id())

    def close(self) -> None:
        """Close at once, without a goodbye; a transaction it is in is rolled back by the server."""
        self.wire.close()


class TracedConnection(Connection):
    """A connection whose statements have spans. They tell what was done to which table, and no more: a statement may
    hold what people wrote."""

    __slots__ = ()

    async def run(self, sql: str, params: Sequence[object] = ()) -> Answer:
        """Run one statement, as `Connection` does."""
        spans = tracing.spans()
        if spans is None:
            return await super().run(sql, params)
        with spans.within(_summary(sql[:4000]), db_system_name="mysql"):
            return await super().run(sql, params)


@lru_cache(256)
def _summary(sql: str) -> str:
    found = _SUMMARY.match(sql)
    return " ".join(filter(None, found.groups())) if found else "statement"


def _server_error(packet: bytes) -> Exception:
    try:
        raise_mysql_exception(packet)
    except MySQLError as error:
        return translate(error)


async def open_connection(address: Address, *, database: bool = True, statement_seconds: int = STATEMENT_SECONDS) -> Connection:
    """Connect, log in and set up the session. Raises Unavailable; its cause says why, a refused log-in for example.

    `database=False` connects to the server alone; `statement_seconds` 0 sets no bound.
    """
    wire = Wire(address, address.name if database else None)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            # The driver's public way to connect an object of our own class.
            await wire.ping(reconnect=True)
            connection = Connection(wire) if tracing.spans() is None else TracedConnection(wire)
            ((version, server),) = (await connection.run(_WHO)).rows
            connection.server = server
            if "mariadb" in version.lower():
                await connection.run(_SESSION + _MARIADB_BOUND, (statement_seconds,))
            else:
                await connection.run(_SESSION + _MYSQL_BOUND, (statement_seconds * 1000,))
            await connection.run(_ISOLATION)
    except (MySQLError, OSError) as error:
        wire.close()
        raise away() from error
    except BaseException:
        wire.close()
        raise
    return connection
