"""Reads, writes and transactions on a real server, and what happens when it, or the caller, goes away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from cli.servers import LocalServers
from core.db import Database, DuplicateKey, MissingParent, Transaction
from core.db import pool as pools
from core.errors import DeadlineExceeded, Unavailable
from tests.support.polling import eventually

TABLES = """
CREATE TABLE IF NOT EXISTS parents (id INT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL, UNIQUE KEY parents_name (name));
CREATE TABLE IF NOT EXISTS children (id INT NOT NULL PRIMARY KEY, parent INT NOT NULL,
  CONSTRAINT children_parent FOREIGN KEY (parent) REFERENCES parents (id));
CREATE TABLE IF NOT EXISTS kinds (
  a BIGINT, b VARCHAR(99), c BINARY(16), d DATETIME(6), e DECIMAL(9,2), f DOUBLE, g LONGBLOB, h TEXT)
"""


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, size=4)
    await database.start()
    for statement in TABLES.split(";"):
        await database.execute(statement)
    for table in ("children", "parents", "kinds"):
        await database.execute(f"DELETE FROM {table}")
    yield database
    await database.close()


async def running(db: Database, text: str) -> int:
    """How many statements like this the server runs."""
    sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s AND info NOT LIKE '%%processlist%%'"
    row = await db.fetch_one(sql, (f"%{text}%",))
    assert row is not None
    return int(row[0])


async def test_values_come_back_as_they_went(db: Database) -> None:
    row = (2**62, "añ'\\\n☃😀", os.urandom(16), datetime(2026, 1, 2, 3, 4, 5, 6), Decimal("12.50"), 0.1, os.urandom(100_000), "")
    await db.execute("INSERT INTO kinds VALUES %s", (row,))
    await db.execute("INSERT INTO kinds VALUES %s", ((None,) * 8,))
    assert await db.fetch_all("SELECT * FROM kinds ORDER BY a DESC") == [row, (None,) * 8]
    assert await db.fetch_one("SELECT 1 FROM kinds WHERE c = %s AND d = %s", (row[2], row[3])) == (1,)
    assert await db.fetch_one("SELECT 1 FROM kinds WHERE a IN %s", ((5, 2**62),)) == (1,)
    assert await db.fetch_one("SELECT 1 FROM kinds WHERE a IN %s", ((),)) is None


async def test_the_session_is_set_up(db: Database) -> None:
    row = await db.fetch_one(
        "SELECT @@time_zone, @@tx_isolation, @@character_set_client, @@group_concat_max_len, @@max_statement_time, @@autocommit"
    )
    assert row == ("+00:00", "READ-COMMITTED", "utf8mb4", 16777216, 15.0, 1)
    with pytest.raises(pymysql.MySQLError, match="too long"):
        await db.execute("INSERT INTO parents VALUES (1, %s)", ("x" * 51,))


async def test_matched_rows_are_counted(db: Database) -> None:
    await db.execute("INSERT INTO parents VALUES (1, 'a')")
    assert await db.execute("UPDATE parents SET name = 'a' WHERE id = 1") == 1
    assert await db.execute("UPDATE parents SET name = 'a' WHERE id = 2") == 0


async def test_keys_that_do_not_hold(db: Database) -> None:
    await db.execute("INSERT INTO parents VALUES (1, 'a')")
    with pytest.raises(DuplicateKey) as caught:
        await db.execute("INSERT INTO parents VALUES (2, 'a')")
    assert caught.value.key == "parents_name"
    with pytest.raises(DuplicateKey) as caught:
        await db.execute("INSERT INTO parents VALUES (1, 'b')")
    assert caught.value.key == "PRIMARY"
    with pytest.raises(MissingParent):
        await db.execute("INSERT INTO children VALUES (1, 7)")


async def test_a_second_statement_is_refused(db: Database) -> None:
    with pytest.raises(pymysql.MySQLError, match="syntax"):
        await db.execute("SELECT 1; SELECT 2")


async def test_a_transaction_commits_and_hooks_run_after(db: Database) -> None:
    seen: list[object] = []

    async def hook() -> None:
        seen.append(await db.fetch_one("SELECT name FROM parents WHERE id = 1"))

    async def broken() -> None:
        raise RuntimeError("a hook of the test")

    async def work(tx: Transaction) -> str:
        tx.after_commit(broken)
        tx.after_commit(hook)
        await tx.execute("INSERT INTO parents VALUES (1, 'a')")
        try:
            await tx.execute("INSERT INTO parents VALUES (1, 'b')")
        except DuplicateKey:
            seen.append("duplicate")
        assert await db.fetch_one("SELECT name FROM parents WHERE id = 1") is None
        return "done"

    assert await db.transact(work) == "done"
    assert seen == ["duplicate", ("a",)]


async def test_an_error_rolls_back_and_runs_no_hook(db: Database) -> None:
    async def hook() -> None:
        raise AssertionError("must not run")

    async def work(tx: Transaction) -> None:
        tx.after_commit(hook)
        await tx.execute("INSERT INTO parents VALUES (1, 'a')")
        raise LookupError

    with pytest.raises(LookupError):
        await db.transact(work)
    assert await db.fetch_one("SELECT COUNT(*) FROM parents") == (0,)


async def test_many_rows(db: Database) -> None:
    async def work(tx: Transaction) -> int:
        return await tx.insert_many("INSERT INTO parents (id, name) VALUES (%s, %s)", [(n, f"{n}" * 5) for n in range(1000)])

    assert await db.transact(work) == 1000
    assert await db.fetch_one("SELECT COUNT(*) FROM parents") == (1000,)


async def test_a_deadlock_repeats_the_whole_scope(db: Database) -> None:
    await db.execute("INSERT INTO parents VALUES (1, 'a'), (2, 'b')")
    tries = 0
    both = asyncio.Barrier(2)

    def crossing(first: int, second: int) -> Callable[[Transaction], Any]:
        async def work(tx: Transaction) -> None:
            nonlocal tries
            tries += 1
            await tx.execute("UPDATE parents SET name = CONCAT(name, %s) WHERE id = %s", (str(first), first))
            if tries <= 2:
                await both.wait()
            await tx.execute("UPDATE parents SET name = CONCAT(name, %s) WHERE id = %s", (str(first), second))

        return work

    await asyncio.gather(db.transact(crossing(1, 2)), db.transact(crossing(2, 1)))
    assert tries == 3
    rows: dict[int, str] = dict(await db.fetch_all("SELECT id, name FROM parents"))
    assert sorted(rows[1]) == sorted("a12")
    assert sorted(rows[2]) == sorted("b12")


async def test_a_swallowed_deadlock_does_not_commit_half(db: Database) -> None:
    await db.execute("INSERT INTO parents VALUES (1, 'a'), (2, 'b')")
    tries = 0
    both = asyncio.Barrier(2)

    async def work(tx: Transaction, first: int, second: int) -> None:
        nonlocal tries
        tries += 1
        await tx.execute("UPDATE parents SET name = CONCAT(name, 'x') WHERE id = %s", (first,))
        if tries <= 2:
            await both.wait()
        try:
            await tx.execute("UPDATE parents SET name = CONCAT(name, 'x') WHERE id = %s", (second,))
        except Exception:
            return

    await asyncio.gather(db.transact(lambda tx: work(tx, 1, 2)), db.transact(lambda tx: work(tx, 2, 1)))
    assert dict(await db.fetch_all("SELECT id, name FROM parents")) == {1: "axx", 2: "bxx"}


async def test_cancelling_ends_the_statement_at_the_server(db: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await db.fetch_one("SELECT SLEEP(9.25)")
    async with asyncio.timeout(3):
        while await running(db, "SLEEP(9.25)"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_cancelled_transaction_frees_its_locks(db: Database) -> None:
    await db.execute("INSERT INTO parents VALUES (1, 'a')")

    async def work(tx: Transaction) -> None:
        await tx.execute("UPDATE parents SET name = 'b' WHERE id = 1")
        await tx.fetch_one("SELECT SLEEP(9.75)")

    async def idle(tx: Transaction) -> None:
        await tx.execute("UPDATE parents SET name = 'b' WHERE id = 1")
        await asyncio.sleep(9)

    for cancelled in (work, idle):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await db.transact(cancelled)
        async with asyncio.timeout(3):
            assert await db.execute("UPDATE parents SET name = 'a' WHERE id = 1") == 1
    assert await db.fetch_one("SELECT name FROM parents WHERE id = 1") == ("a",)


async def test_a_cancelled_commit_still_runs_its_hooks(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = asyncio.Event()
    committing = asyncio.Event()
    commit = Transaction.commit

    async def slow_commit(tx: Transaction) -> None:
        committing.set()
        await asyncio.sleep(0.1)
        await commit(tx)

    async def hook() -> None:
        ran.set()

    async def work(tx: Transaction) -> None:
        tx.after_commit(hook)
        await tx.execute("INSERT INTO parents VALUES (1, 'a')")

    monkeypatch.setattr(Transaction, "commit", slow_commit)
    task = asyncio.create_task(db.transact(work))
    await committing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(3):
        await ran.wait()
    assert await db.fetch_one("SELECT COUNT(*) FROM parents") == (1,)


async def test_a_long_statement_is_ended_by_the_server(db: Database) -> None:
    with pytest.raises(DeadlineExceeded):
        await db.fetch_one("SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(5)")


async def test_waiting_for_a_connection_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_SECONDS", 0.1)
    hold = asyncio.Event()

    async def work(tx: Transaction) -> None:
        await hold.wait()

    holders = [asyncio.create_task(db.transact(work)) for _ in range(4)]
    await asyncio.sleep(0.1)
    with pytest.raises(Unavailable) as caught:
        await db.fetch_one("SELECT 1")
    assert caught.value.reason == "OVERLOADED"
    hold.set()
    await asyncio.gather(*holders)
    assert await db.fetch_one("SELECT 1") == (1,)


async def test_waiters_that_give_up_lose_no_connection(db: Database) -> None:
    async def read() -> None:
        await db.fetch_one("SELECT SLEEP(0.001)")

    async def impatient(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await read()
        except TimeoutError:
            pass

    async def connected() -> int:
        sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        ((count,),) = await db.fetch_all(sql)
        return int(count)

    before = await connected()  # other tests' pools among them
    await asyncio.gather(*(impatient(number % 7 * 0.001) for number in range(300)))
    await asyncio.gather(*(read() for _ in range(20)))
    # The server takes its time to notice those that were closed.
    await eventually(connected, lambda count: count <= before + 4)


async def test_the_pool_recovers_from_a_restart_by_itself(own_servers: LocalServers) -> None:
    database = Database(own_servers.create_database("restart"), size=4)
    await database.start()
    try:
        assert await database.fetch_one("SELECT 1") == (1,)
        asleep = [asyncio.create_task(database.fetch_one("SELECT SLEEP(30)")) for _ in range(3)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(own_servers.stop_mariadb, kill=True)
        results = await asyncio.gather(*asleep, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results), results
        begun = time.monotonic()
        for _ in range(20):
            with pytest.raises(Unavailable) as caught:
                await database.fetch_one("SELECT 1")
            assert caught.value.reason == "UNAVAILABLE"
        assert time.monotonic() - begun < 1
        await asyncio.to_thread(own_servers.start_mariadb)
        begun = time.monotonic()
        while True:
            try:
                assert await database.fetch_one("SELECT 1") == (1,)
                break
            except Unavailable:
                await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 2
        rows = await asyncio.gather(*(database.fetch_one("SELECT 1") for _ in range(50)))
        assert rows == [(1,)] * 50
    finally:
        await database.close()


async def test_a_commit_that_was_lost_is_never_repeated(db: Database) -> None:
    """The connection breaks as COMMIT is sent: nobody knows, so the caller is told, and hooks run to be safe."""
    tries = 0
    ran: list[str] = []

    async def hook() -> None:
        ran.append("hook")

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        tx.after_commit(hook)
        await tx.execute("INSERT INTO parents VALUES (1, 'a')")
        row = await tx.fetch_one("SELECT CONNECTION_ID()")
        assert row is not None
        await db.execute("KILL %s", row)

    with pytest.raises(Unavailable):
        await db.transact(work)
    assert tries == 1
    assert ran == ["hook"]
    assert await db.fetch_one("SELECT COUNT(*) FROM parents") == (0,)


async def test_a_server_that_is_not_there_yet(tmp_path: Any) -> None:
    database = Database(f"mysql://root@localhost/x?unix_socket={tmp_path}/none.sock")
    await database.start()
    with pytest.raises(Unavailable):
        await database.fetch_one("SELECT 1")
    await database.close()
    with pytest.raises(Unavailable):
        await database.fetch_one("SELECT 1")
