"""Migrations on a real server: once, whoever comes, and on after a death."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pymysql
import pytest

from cli.servers import LocalServers
from core.db import Database, MigrationError, Migrator
from core.db.migrate import load


@pytest.fixture
async def db(servers: LocalServers, worker_number: int) -> AsyncIterator[Database]:
    """A database that does not exist yet."""
    name = f"migrate_{worker_number}"
    with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root") as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
    database = Database(servers.database_url(name), size=2)
    yield database
    await database.close()


async def until_runs(servers: LocalServers, text: str) -> None:
    """Return when the server runs a statement that begins so."""
    watch = Database(servers.database_url("mysql"), size=1)
    async with asyncio.timeout(20):
        sql = "SELECT 1 FROM information_schema.processlist WHERE info LIKE %s"
        while not await watch.fetch_one(sql, (text + "%",)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await watch.close()


def write(folder: Path, *texts: str) -> Path:
    for number, text in enumerate(texts, 1):
        (folder / f"{number:04}_step.sql").write_text(text)
    return folder


async def tables(db: Database) -> set[str]:
    rows = await db.fetch_all("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (db.address.name,))
    return {row[0] for row in rows}


async def test_our_schema_on_a_missing_database(db: Database) -> None:
    migrator = Migrator(db)
    applied = await migrator.apply()
    assert applied[0] == "0001_learning"
    assert await migrator.pending() == []
    assert await migrator.apply() == []
    assert {"users", "courses", "outbox", "schema_migrations"} <= await tables(db)


async def test_many_tasks_at_once(db: Database) -> None:
    applied = await asyncio.gather(*(Migrator(db).apply() for _ in range(8)))
    names = [name for some in applied for name in some]
    assert len(set(names)) == len(names) > 0
    assert await Migrator(db).pending() == []


@pytest.mark.slow
async def test_many_processes_at_once(db: Database) -> None:
    code = textwrap.dedent(
        """
        import asyncio, sys
        from core.db import Database, Migrator
        print(len(asyncio.run(Migrator(Database(sys.argv[1])).apply())))
        """
    )
    url = f"mysql://root@localhost/{db.address.name}?unix_socket={db.address.unix_socket}"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, url, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": ".:generated"}
        )
        for _ in range(8)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 8
    counts = sorted(int(out) for out, _ in outputs)
    assert sum(counts) == len(load())
    assert await Migrator(db).pending() == []


async def test_a_changed_file_is_an_error(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "CREATE TABLE a (id INT)")
    await Migrator(db, tmp_path).apply()
    write(tmp_path, "CREATE TABLE a (id BIGINT)")
    for call in (Migrator(db, tmp_path).apply, Migrator(db, tmp_path).pending):
        with pytest.raises(MigrationError, match=r"0001_step\.sql was changed after it was applied"):
            await call()


async def test_a_file_in_other_words_names_what_it_was(db: Database, tmp_path: Path) -> None:
    write(tmp_path, before := "CREATE TABLE a (id INT)")
    await Migrator(db, tmp_path).apply()
    write(tmp_path, f"-- formerly {hashlib.sha256(before.encode()).hexdigest()}: no width.\nCREATE TABLE a (id INTEGER)")
    assert await Migrator(db, tmp_path).pending() == []
    assert await Migrator(db, tmp_path).apply() == []


async def test_a_failed_statement_is_named_and_repaired_by_a_retry(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "CREATE TABLE a (id INT);\nINSERT INTO a VALUES (1);\nINSERT INTO missing VALUES (1)")
    with pytest.raises(MigrationError, match=r"0001_step, statement 3: .*missing"):
        await Migrator(db, tmp_path).apply()
    assert await Migrator(db, tmp_path).pending() == ["0001_step"]
    await db.execute("CREATE TABLE missing (id INT)")
    assert await Migrator(db, tmp_path).apply() == ["0001_step"]
    assert await db.fetch_all("SELECT * FROM a") == [(1,)]


@pytest.mark.slow
async def test_a_dead_process_s_migration_is_taken_over(servers: LocalServers, db: Database, tmp_path: Path) -> None:
    """The first dies in the middle of a statement; the next waits out its lease and goes on where it stopped."""
    write(
        tmp_path,
        "CREATE TABLE a (id INT);\nINSERT INTO a VALUES (1);\nCREATE TABLE c AS SELECT SLEEP(3) AS x;\nCREATE TABLE b (id INT)",
    )
    code = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from core.db import Database, Migrator
        asyncio.run(Migrator(Database(sys.argv[1]), Path(sys.argv[2])).apply())
        """
    )
    url = f"mysql://root@localhost/{db.address.name}?unix_socket={db.address.unix_socket}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, str(tmp_path), env={**os.environ, "PYTHONPATH": ".:generated"}
    )
    await until_runs(servers, "CREATE TABLE c ")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await Migrator(db, tmp_path, lease_seconds=0.5).apply() == ["0001_step"]
    assert await db.fetch_all("SELECT * FROM a") == [(1,)]
    assert {"a", "b", "c"} <= await tables(db)


async def test_a_live_process_s_migration_is_waited_for(db: Database, tmp_path: Path) -> None:
    """Its statements take longer than the lease, which it renews."""
    write(tmp_path, "CREATE TABLE a AS SELECT SLEEP(1) AS x")
    first = asyncio.create_task(Migrator(db, tmp_path, lease_seconds=0.4).apply())
    await asyncio.sleep(0.3)
    assert await Migrator(db, tmp_path, lease_seconds=0.4).apply() == []
    assert await first == ["0001_step"]


async def test_a_finished_statement_that_was_not_counted(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "CREATE TABLE a (id INT);\nCREATE TABLE b (id INT)")
    await Migrator(db, tmp_path).apply()
    await db.execute("UPDATE schema_migrations SET state = 'running', statements_done = 1, lease_time = '2000-01-01'")
    assert await Migrator(db, tmp_path).apply() == ["0001_step"]


async def test_misnamed_files_are_refused(db: Database, tmp_path: Path) -> None:
    (tmp_path / "first.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="named like"):
        await Migrator(db, tmp_path).apply()


async def test_a_refused_login_says_so_at_once(servers: LocalServers) -> None:
    database = Database(f"mysql://nobody:wrong@localhost/x?unix_socket={servers.mariadb_socket}")
    with pytest.raises(MigrationError, match="Access denied"):
        await Migrator(database).apply()
