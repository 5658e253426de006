"""Migrations: numbered SQL files, each applied once, however many processes start at the same time.

A process claims a migration by inserting its row: the primary key decides. The servers commit DDL by itself, so the
row counts the finished statements, and whoever takes over from a dead process goes on after them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pymysql

from core.db import migrations_table as table
from core.db.connection import Connection, open_connection
from core.db.database import Database
from core.db.errors import DuplicateKey, RetryScope
from core.db.sql_text import split_statements
from core.db.url import Address
from core.errors import Unavailable

log = logging.getLogger("skillforge.db")

FOLDER = Path(__file__).parent / "migrations"
# A claim whose process has not renewed it for so long is taken over.
LEASE_SECONDS = 10.0
# How long a start waits for the server, and for migrations that another process applies.
CONNECT_WAIT_SECONDS = 30.0
APPLY_WAIT_SECONDS = 600.0
_POLL_SECONDS = 0.05
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_UNKNOWN_DATABASE = 1049
# In a file that was changed without changing what it does: its checksum before.
_FORMER = re.compile(r"^-- formerly ([0-9a-f]{64}):", re.MULTILINE)
# Errors that say "this DDL is done already": table, column or key exists, or what is to be dropped does not.
_DONE_ALREADY = frozenset({1050, 1060, 1061, 1091, 1051, 1826})


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file. `former`: checksums of the same migration in other words."""

    version: int
    name: str
    checksum: str
    former: frozenset[str]
    statements: tuple[str, ...]


def load(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of a folder in order. Raises MigrationError on a file that is misnamed or a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        name = _FILE.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name}: a migration is named like 0001_learning.sql")
        text = path.read_text(encoding="utf-8")
        version = int(name[1])
        if version in found:
            raise MigrationError(f"{path.name}: the number {version} is taken by {found[version].name}")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        former = frozenset(_FORMER.findall(text))
        found[version] = Migration(version, path.stem, checksum, former, tuple(split_statements(text)))
    return list(found.values())


class Migrator:
    """Brings a database up to the migrations of a folder."""

    def __init__(self, db: Database, folder: Path = FOLDER, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._db = db
        self._folder = folder
        self._lease = lease_seconds
        self._owner = secrets.token_hex(16)
        self._migrations: list[Migration] | None = None

    async def pending(self) -> list[str]:
        """The names of migrations not applied yet. Raises MigrationError when an applied file was changed since."""
        applied = {row.version: row for row in await table.rows(self._db)}
        missing = []
        for migration in self._load():
            row = applied.get(migration.version)
            if row is not None:
                _check_unchanged(migration, row)
            if row is None or not row.done:
                missing.append(migration.name)
        return missing

    async def apply(self) -> list[str]:
        """Apply what is pending, or wait until another process has; the names of those applied here.

        Creates the database if it is missing and the account may. Raises MigrationError, or Unavailable when the
        connection breaks (a repeat goes on where it stopped).
        """
        migrations = self._load()
        applied = []
        async with _connected(self._db.address) as connection, _connected(self._db.address) as watch:
            await table.create(connection)
            for migration in migrations:
                if await self._ensure(connection, watch, migration):
                    applied.append(migration.name)
        return applied

    def _load(self) -> list[Migration]:
        if self._migrations is None:
            self._migrations = load(self._folder)
        return self._migrations

    async def _ensure(self, connection: Connection, watch: Connection, migration: Migration) -> bool:
        """See to it that a migration is applied; whether it was done here."""
        try:
            async with asyncio.timeout(APPLY_WAIT_SECONDS):
                while True:
                    row = await table.row(connection, migration.version)
                    if row is not None:
                        _check_unchanged(migration, row)
                        if row.done:
                            return False
                    if await self._claim(connection, migration, row):
                        break
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise MigrationError(f"{migration.name} is being applied by another process, and is not done yet") from error
        await self._apply_claimed(connection, watch, migration)
        return True

    async def _claim(self, connection: Connection, migration: Migration, row: table.MigrationRow | None) -> bool:
        try:
            if row is None:
                await table.insert(connection, migration.version, migration.name, migration.checksum, self._owner)
                return True
            return await table.take_over(connection, row, self._owner, self._lease)
        except (DuplicateKey, RetryScope):
            return False

    async def _apply_claimed(self, connection: Connection, watch: Connection, migration: Migration) -> None:
        """Run the statements that are left, keeping the claim meanwhile."""
        row = await table.row(connection, migration.version)
        assert row is not None
        log.info("applying migration %s", migration.name)
        ended = asyncio.Event()
        keeping = asyncio.create_task(self._keep_claim(watch, migration, ended))
        running = asyncio.create_task(self._run_statements(connection, migration, row.statements_done))
        try:
            await asyncio.wait((keeping, running), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise MigrationError(f"{migration.name}: the claim was lost to another process; start again")
            await running
        except BaseException:
            await _cancel(running)
            await _finish(keeping, ended)
            # Whoever comes next need not wait for the lease.
            await table.release(watch, migration.version, self._owner)
            raise
        finally:
            await _finish(keeping, ended)

    async def _keep_claim(self, watch: Connection, migration: Migration, ended: asyncio.Event) -> None:
        """Renew the claim until it is lost, or the migration has ended."""
        while await table.renew(watch, migration.version, self._owner):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 4):
                    await ended.wait()
                    return

    async def _run_statements(self, connection: Connection, migration: Migration, done: int) -> None:
        for number, statement in enumerate(migration.statements[done:], done + 1):
            try:
                # Data changes and the count are one transaction; DDL commits before the count.
                await connection.run("BEGIN")
                await _run_one(connection, statement, resumed=number == done + 1)
                if not await table.count_statement(connection, migration.version, self._owner, number):
                    raise MigrationError(f"{migration.name}: the claim was lost to another process; start again")
                await connection.run("COMMIT")
            except pymysql.MySQLError as error:
                await connection.run("ROLLBACK")
                raise MigrationError(f"{migration.name}, statement {number}: {error.args[-1]}") from error
        await table.finish(connection, migration.version, self._owner)


async def _finish(keeping: asyncio.Task[None], ended: asyncio.Event) -> None:
    """Let a renewal that is under way come to its end: cancelled, it would take its connection with it."""
    ended.set()
    await asyncio.gather(keeping, return_exceptions=True)


async def _run_one(connection: Connection, statement: str, *, resumed: bool) -> None:
    try:
        await connection.run(statement)
    except pymysql.MySQLError as error:
        # The process before may have died between a DDL statement and its count.
        if not (resumed and error.args[0] in _DONE_ALREADY):
            raise


def _check_unchanged(migration: Migration, row: table.MigrationRow) -> None:
    if row.checksum != migration.checksum and row.checksum not in migration.former:
        raise MigrationError(
            f"{migration.name}.sql was changed after it was applied. Put it back as it was, and write the change as a new file."
        )


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Connection]:
    """A connection without a bound for statements; waits for the server a while, makes the database if it is missing."""
    connection = await _connect(address)
    try:
        yield connection
    finally:
        connection.close()


async def _connect(address: Address) -> Connection:
    deadline = asyncio.get_running_loop().time() + CONNECT_WAIT_SECONDS
    while True:
        try:
            return await open_connection(address, statement_seconds=0)
        except Unavailable as error:
            number, why = _cause(error)
            if number == _UNKNOWN_DATABASE:
                await _create_database(address)
            elif number in range(1044, 1046) or asyncio.get_running_loop().time() > deadline:
                raise MigrationError(f"cannot connect to the database: {why}") from error
            else:
                await asyncio.sleep(_POLL_SECONDS)


async def _create_database(address: Address) -> None:
    connection = await open_connection(address, database=False)
    try:
        # The name's characters were checked when the address was read.
        await connection.run(f"CREATE DATABASE IF NOT EXISTS `{address.name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    except pymysql.MySQLError as error:
        raise MigrationError(f"the database {address.name} does not exist and cannot be created: {error.args[-1]}") from error
    finally:
        connection.close()


def _cause(error: Unavailable) -> tuple[int, str]:
    cause = error.__cause__
    arguments: Sequence[object] = cause.args if cause is not None else ()
    number = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    return number, str(arguments[-1]) if arguments else str(error)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
