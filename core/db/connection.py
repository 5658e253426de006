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
# A statement of one packet; what is longer is cut, by the driver.
_MAX_PACKET_BYTES = (1 << 24) - 2
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
# The longest name of a span of statements that are sent together.
_MAX_SUMMARY = 200
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
        # The flags of the server's last answer that had any.
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
        self._note(answer)
        return answer

    async def ask_all(self, statements: Sequence[bytes]) -> list[Answer]:
        """Send statements together and read their answers, in order: one wait instead of many. Each is run, whatever became of
        those before it. Raises OperationalError as `ask` does."""
        if len(statements) == 1 or max(map(len, statements)) > _MAX_PACKET_BYTES:
            return [await self.ask(statement) for statement in statements]
        if not self.usable:
            raise OperationalError(CR.CR_SERVER_GONE_ERROR, "the connection is closed")
        self._write_bytes(b"".join([_packet(statement) for statement in statements]))
        reader, rest, answers = self._reader, b"", list[Answer]()
        for number in range(len(statements), 0, -1):
            answer = Answer(last=number == 1)
            while not rest or not answer.feed(rest):
                rest = await reader.read(_READ_BYTES)
                if not rest:
                    raise OperationalError(CR.CR_SERVER_LOST, "the connection was lost during a statement")
            rest = answer.rest
            self._note(answer)
            answers.append(answer)
        return answers

    def _note(self, answer: Answer) -> None:
        if answer.error is None:  # errors carry no flags
            self.server_status = answer.status


def _packet(statement: bytes) -> bytes:
    """A statement as the server takes it (COM_QUERY)."""
    return (len(statement) + 1).to_bytes(3, "little") + bytes((0, COMMAND.COM_QUERY)) + statement


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

    @property
    def autocommits(self) -> bool:
        """Whether a statement commits by itself, or begins a transaction, as the server said last."""
        return bool(self.wire.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    async def run(self, sql: str, params: Sequence[object] = ()) -> Answer:
        """Run one statement. Raises what `core.db.errors.translate` says.

        A statement that is interrupted, by cancellation or a lost answer, closes the connection.
        """
        [answer] = await self.run_all((bind(sql, params),))
        if answer.error is not None:
            raise server_error(answer.error)
        return answer

    async def run_all(self, statements: Sequence[str]) -> list[Answer]:
        """Run statements that are bound already, sent together. Each is run, and its answer may be an error; raises, as `run`,
        what is no answer."""
        encoded = [statement.encode("utf-8", "surrogateescape") for statement in statements]
        self.asked_at = self._clock()
        try:
            return await self.wire.ask_all(encoded)
        except (MySQLError, OSError) as error:
            self.wire.close()
            raise translate(error) from error
        except BaseException as error:
            self.wire.close()
            self.interrupted |= isinstance(error, asyncio.CancelledError)
            raise
        finally:
            self.asked_at = 0.0

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

    async def run_all(self, statements: Sequence[str]) -> list[Answer]:
        """Run statements, as `Connection` does; those that are sent together have one span."""
        spans = tracing.spans()
        if spans is None:
            return await super().run_all(statements)
        names = dict.fromkeys(_summary(statement[:4000]) for statement in statements)
        if len(names) > 1:  # how a transaction begins tells nothing beside what it does
            names.pop("SET", None)
        with spans.within(", ".join(names)[:_MAX_SUMMARY], db_system_name="mysql"):
            return await super().run_all(statements)


@lru_cache(256)
def _summary(sql: str) -> str:
    found = _SUMMARY.match(sql)
    return " ".join(filter(None, found.groups())) if found else "statement"


def server_error(packet: bytes) -> Exception:
    """The error to raise for the server's error packet."""
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
