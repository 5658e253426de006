"""The table of applied migrations. The server's clock decides about leases."""

from __future__ import annotations

from typing import NamedTuple

import pymysql

from core.db.connection import Connection
from core.db.database import Database

_NO_SUCH_TABLE = 1146
_COLUMNS = "version, checksum, state, owner, statements_done"


class MigrationRow(NamedTuple):
    """What is known of a migration that was begun."""

    version: int
    checksum: str
    state: str
    owner: str
    statements_done: int

    @property
    def done(self) -> bool:
        """Whether it is applied as a whole."""
        return self.state == "done"


async def create(connection: Connection) -> None:
    """Create the table if it is missing."""
    await connection.run(
        """
        CREATE TABLE IF NOT EXISTS schema_migrations (
          version INT NOT NULL PRIMARY KEY,
          name VARCHAR(100) NOT NULL,
          checksum CHAR(64) CHARACTER SET ascii NOT NULL,
          state VARCHAR(16) CHARACTER SET ascii NOT NULL,
          owner CHAR(32) CHARACTER SET ascii NOT NULL,
          statements_done INT NOT NULL,
          start_time DATETIME(6) NOT NULL,
          lease_time DATETIME(6) NOT NULL,
          finish_time DATETIME(6) NULL
        ) DEFAULT CHARSET = utf8mb4
        """
    )


async def rows(db: Database) -> list[MigrationRow]:
    """All migrations that were begun."""
    try:
        return [MigrationRow(*row) for row in await db.fetch_all(f"SELECT {_COLUMNS} FROM schema_migrations")]
    except pymysql.MySQLError as error:
        if error.args[0] == _NO_SUCH_TABLE:
            return []
        raise


async def row(connection: Connection, version: int) -> MigrationRow | None:
    """One migration, if it was begun."""
    found = (await connection.run(f"SELECT {_COLUMNS} FROM schema_migrations WHERE version = %s", (version,))).rows
    return MigrationRow(*found[0]) if found else None


async def insert(connection: Connection, version: int, name: str, checksum: str, owner: str) -> None:
    """Claim a migration nobody has begun. Raises DuplicateKey when somebody has."""
    sql = """
        INSERT INTO schema_migrations (version, name, checksum, state, owner, statements_done, start_time, lease_time)
        VALUES (%s, %s, %s, 'running', %s, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))
        """
    await connection.run(sql, (version, name, checksum, owner))


async def take_over(connection: Connection, claimed: MigrationRow, owner: str, lease_seconds: float) -> bool:
    """Claim a migration whose claim has run out; whether that worked."""
    sql = """
        UPDATE schema_migrations SET owner = %s, lease_time = UTC_TIMESTAMP(6)
        WHERE version = %s AND owner = %s AND state = 'running'
          AND lease_time < UTC_TIMESTAMP(6) - INTERVAL %s MICROSECOND
        """
    parameters = (owner, claimed.version, claimed.owner, round(lease_seconds * 1_000_000))
    return (await connection.run(sql, parameters)).count == 1


async def renew(connection: Connection, version: int, owner: str) -> bool:
    """Keep a claim; False when it is no longer the owner's."""
    sql = "UPDATE schema_migrations SET lease_time = UTC_TIMESTAMP(6) WHERE version = %s AND owner = %s"
    return (await connection.run(sql, (version, owner))).count == 1


async def release(connection: Connection, version: int, owner: str) -> None:
    """Let the next process take a failed migration over at once."""
    sql = """
        UPDATE schema_migrations SET lease_time = '2000-01-01', owner = '' WHERE version = %s AND owner = %s AND state = 'running'
        """
    await connection.run(sql, (version, owner))


async def count_statement(connection: Connection, version: int, owner: str, done: int) -> bool:
    """Note how many statements are done; False when the claim is no longer the owner's."""
    sql = "UPDATE schema_migrations SET statements_done = %s WHERE version = %s AND owner = %s"
    return (await connection.run(sql, (done, version, owner))).count == 1


async def finish(connection: Connection, version: int, owner: str) -> None:
    """Note that a migration is applied."""
    sql = """
        UPDATE schema_migrations SET state = 'done', finish_time = UTC_TIMESTAMP(6) WHERE version = %s AND owner = %s
        """
    await connection.run(sql, (version, owner))
