"""Backup and restore as docs/operations.md tells it: `mariadb-dump`, an empty Redis, and all is there again."""

from __future__ import annotations

import asyncio
import io
import subprocess
from pathlib import Path

import pymysql
import pytest
from redis.asyncio import Redis
from rich.console import Console

from cli.servers import LocalServers, find_program
from cli.tour import run_tour
from tests.conftest import fresh_database
from tests.support.world import running_world

pytestmark = pytest.mark.slow


def checksums(servers: LocalServers, database: str) -> dict[str, int]:
    """What every table holds."""
    with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=database) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW TABLES")
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(f"CHECKSUM TABLE {', '.join(tables)}")
        return {name.rpartition(".")[2]: value for name, value in cursor.fetchall()}


def dump_and_restore(servers: LocalServers, source: str, target: str, file: Path) -> None:
    socket = f"--socket={servers.mariadb_socket}"
    with file.open("wb") as output:
        dump = [find_program("mariadb-dump"), "--no-defaults", socket, "--user=root"]
        options = ["--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", source]
        subprocess.run([*dump, *options], stdout=output, check=True, timeout=60)
    with file.open("rb") as content:
        restore = [find_program("mariadb"), "--no-defaults", socket, "--user=root", target]
        subprocess.run(restore, stdin=content, check=True, timeout=60)


async def test_a_dump_brings_everything_back(servers: LocalServers, worker_number: int, tmp_path: Path) -> None:
    source, target = (f"{name}_{worker_number}" for name in ("dumped", "restored"))
    redis_url = servers.redis_url(40 + worker_number)
    async with running_world(await asyncio.to_thread(fresh_database, servers, source), redis_url) as world:
        await run_tour(world.url, tmp_path / "certificate.pdf", Console(file=io.StringIO()))
    restored = await asyncio.to_thread(fresh_database, servers, target)
    await asyncio.to_thread(dump_and_restore, servers, source, target, tmp_path / "dump.sql")
    before, after = (checksums(servers, name) for name in (source, target))
    assert before == after
    assert len(before) > 30
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    async with running_world(restored, redis_url) as world:
        assert (await world.request("GET", "/readyz"))[0] == 200
        assert (await world.request("GET", "/courses?query=debugging"))[2]["courses"]
        pdf = await asyncio.to_thread((tmp_path / "certificate.pdf").read_bytes)
        headers = {"Content-Type": "application/pdf"}
        status, _, checked = await world.request("POST", "/certificates/verify", data=pdf, headers=headers)
        assert status == 200
        assert checked["result"] == "FILE_RESULT_UNCHANGED"
