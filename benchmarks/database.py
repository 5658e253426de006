"""`python -m benchmarks.database`: CPU of one select through `core.db` and through the driver's own cursor.

Both on one private MariaDB, one after the other, several times; microseconds of this process's CPU a statement.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable

import aiomysql
import uvloop

from cli.servers import LocalServers
from core.db import Database

TABLE = "CREATE TABLE people (id BINARY(16) PRIMARY KEY, name VARCHAR(200), age INT, at DATETIME(6))"
STATEMENTS = {
    "one row by its key": ("SELECT id, name, age, at FROM people WHERE id = %s", (b"\1" * 16,)),
    "25 rows": ("SELECT id, name, age, at FROM people WHERE age = %s", (36,)),
}
REPEATS = 3
CALLS = 2000


async def main(servers: LocalServers) -> None:
    db = Database(servers.create_database("bench"), size=1)
    await db.start()
    await db.execute(TABLE)
    for number in range(1, 26):
        await db.execute("INSERT INTO people VALUES (%s, 'Ada Lovelace', 36, NOW(6))", (bytes([number]) * 16,))
    pool = await aiomysql.create_pool(
        minsize=1, maxsize=1, unix_socket=str(servers.mariadb_socket), user="root", db="bench", autocommit=True
    )
    for name, (sql, params) in STATEMENTS.items():

        async def ours(sql: str = sql, params: tuple[object, ...] = params) -> None:
            await db.fetch_all(sql, params)

        async def driver(sql: str = sql, params: tuple[object, ...] = params) -> None:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(sql, params)
                await cursor.fetchall()

        figures = [(await microseconds(ours), await microseconds(driver)) for _ in range(REPEATS)]
        mine, theirs = (min(column) for column in zip(*figures, strict=True))
        print(f"{name}: core.db {mine:.0f} µs, aiomysql's pool and cursor {theirs:.0f} µs, {theirs / mine:.1f} x")
    pool.close()
    await pool.wait_closed()
    await db.close()


async def microseconds(call: Callable[[], Awaitable[None]]) -> float:
    """CPU of one call, the mean of many."""
    await call()
    started = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - started) / CALLS * 1e6


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, LocalServers(folder) as running:
        uvloop.run(main(running))
