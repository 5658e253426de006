"""Statements of a transaction that nobody waits for: sent together, in order, and all or none of them stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.db import Database, DuplicateKey, MissingParent, Transaction
from core.db.connection import Connection
from core.errors import Unavailable

TABLES = """
CREATE TABLE IF NOT EXISTS posts (id INT NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL);
CREATE TABLE IF NOT EXISTS replies (id INT NOT NULL PRIMARY KEY, post INT NOT NULL,
  CONSTRAINT replies_post FOREIGN KEY (post) REFERENCES posts (id))
"""
INSERT = "INSERT INTO posts (id, name) VALUES (%s, %s)"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, 3) as database:
        yield database


@pytest.fixture
async def lone(database_url: str) -> AsyncIterator[Database]:
    """A database with one connection, so that no other one says anything meanwhile."""
    async with opened(database_url, 1) as database:
        yield database


@asynccontextmanager
async def opened(url: str, size: int) -> AsyncIterator[Database]:
    database = Database(url, size=size)
    await database.start()
    for statement in TABLES.split(";"):
        await database.execute(statement)
    for table in ("replies", "posts"):
        await database.execute(f"DELETE FROM {table}")
    yield database
    await database.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The statements that are sent, by what was sent together."""
    found: list[list[str]] = []
    run_all = Connection.run_all

    async def watched(self: Connection, statements: list[str]) -> object:
        found.append([statement[:6] for statement in statements])
        return await run_all(self, statements)

    monkeypatch.setattr(Connection, "run_all", watched)
    return found


async def posts(db: Database) -> dict[int, str]:
    return dict(await db.fetch_all("SELECT id, name FROM posts ORDER BY id"))


async def test_they_go_with_the_next_that_is_waited_for_and_before_the_commit(lone: Database, sent: list[list[str]]) -> None:
    sent.clear()

    async def work(tx: Transaction) -> object:
        assert await tx.fetch_all("SELECT id FROM posts FOR UPDATE") == []
        tx.post(INSERT, (1, "a"), rows=1)
        tx.post_many(INSERT, [(2, "b"), (3, "c")])
        found = await tx.fetch_all("SELECT name FROM posts ORDER BY id")
        tx.post("UPDATE posts SET name = 'x' WHERE id > %s", (1,), rows=2)
        assert sent[-1] == ["INSERT", "INSERT", "SELECT"]
        return found

    assert await lone.transact(work) == [("a",), ("b",), ("c",)]
    assert sent[-2:] == [["UPDATE"], ["COMMIT"]]
    assert await posts(lone) == {1: "a", 2: "x", 3: "x"}


async def test_nothing_is_written_before_the_transaction_has_begun(lone: Database, sent: list[list[str]]) -> None:
    for _ in range(2):
        await lone.fetch_one("SELECT 1")  # on the same connection, whose statements commit by themselves again
        sent.clear()

        async def work(tx: Transaction) -> None:
            tx.post("DELETE FROM posts")
            tx.post(INSERT, (1, "a"))

        await lone.transact(work)
        assert sent == [["SET au"], ["DELETE", "INSERT"], ["COMMIT"]]
    assert await posts(lone) == {1: "a"}


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO posts VALUES (1, 'taken')", None),
        ("INSERT INTO replies VALUES (1, 77)", None),
        ("UPDATE posts SET name = 'y' WHERE id = 1", 2),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
async def test_the_scope_runs_again_where_another_was_before(db: Database, sql: str, rows: int | None, alone: bool) -> None:
    await db.execute(INSERT, (1, "a"))
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        tx.post(INSERT, (10, "before"))
        if tries == 1:
            tx.post(sql, rows=rows)
        tx.post(INSERT, (11, "behind"))
        if not alone:
            await tx.fetch_all("SELECT 1")

    await db.transact(work)
    assert tries == 2
    assert await posts(db) == {1: "a", 10: "before", 11: "behind"}


async def test_what_fails_every_time_leaves_nothing(db: Database) -> None:
    await db.execute(INSERT, (1, "a"))

    async def work(tx: Transaction) -> None:
        tx.post(INSERT, (2, "b"))
        tx.post(INSERT, (1, "taken"))
        tx.post(INSERT, (3, "c"))

    with pytest.raises(Unavailable):
        await db.transact(work)
    assert await posts(db) == {1: "a"}


async def test_what_is_waited_for_fails_by_itself(db: Database) -> None:
    async def work(tx: Transaction) -> None:
        tx.post(INSERT, (1, "a"))
        with pytest.raises(DuplicateKey):
            await tx.execute(INSERT, (1, "b"))
        tx.post(INSERT, (2, "b"))
        with pytest.raises(MissingParent):
            await tx.execute("INSERT INTO replies VALUES (1, 77)")

    await db.transact(work)
    assert await posts(db) == {1: "a", 2: "b"}


async def test_a_deadlock_among_them_commits_nothing_of_what_is_behind(db: Database) -> None:
    """The server ends the transaction then, and still runs the statements that were sent behind."""
    await db.execute("INSERT INTO posts VALUES (1, ''), (2, '')")
    both = asyncio.Barrier(2)
    tries = 0

    async def work(tx: Transaction, own: int, other: int) -> None:
        nonlocal tries
        tries += 1
        mark = str(own)
        await tx.execute("UPDATE posts SET name = CONCAT(name, %s) WHERE id = %s", (mark, own))
        if tries <= 2:
            await both.wait()
        tx.post("UPDATE posts SET name = CONCAT(name, %s) WHERE id = %s", (mark, other), rows=1)
        tx.post(INSERT, (10 * own + tries, mark))
        tx.post(INSERT, (10 * own + tries + 5, mark))

    await asyncio.gather(db.transact(lambda tx: work(tx, 1, 2)), db.transact(lambda tx: work(tx, 2, 1)))
    assert tries == 3
    found = await posts(db)
    assert sorted(found.pop(1)) == sorted(found.pop(2)) == ["1", "2"]
    assert sorted(found.values()) == ["1", "1", "2", "2"]


async def test_a_single_write_behind_a_transaction_commits_by_itself(db: Database, database_url: str) -> None:
    other = Database(database_url, size=1)
    await other.start()
    for number in range(1, 4):
        await db.transact(lambda tx: tx.fetch_all("SELECT 1"))
        await db.execute(INSERT, (number, "b"))
        assert len(await posts(other)) == number
        with pytest.raises(DuplicateKey):
            await db.execute(INSERT, (number, "b"))
    await other.close()
