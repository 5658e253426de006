"""Reads of one moment: many statements that all see the database as it was when the first of them read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.db.connection import Connection, open_connection
from core.db.url import Address


class Snapshot:
    """Made by `open_snapshot`. Statements that lock see the present and take no part in the moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch_one(self, sql: str, params: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, params)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
        """All rows."""
        return (await self._connection.run(sql, params)).rows


@asynccontextmanager
async def open_snapshot(address: Address) -> AsyncIterator[Snapshot]:
    """A transaction on a connection of its own, for reading; locks it takes are held until the end. Raises Unavailable."""
    connection = await open_connection(address)
    try:
        await connection.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.run("BEGIN")
        yield Snapshot(connection)
    finally:
        connection.close()
