"""`/readyz` says what is missing and what to do, and none of what the settings hold."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.servers import LocalServers
from core.db import Database
from core.readiness import readiness
from core.redis import Redis

PASSWORD = "pass-of-the-tests"


async def parts(database_url: str, redis_url: str) -> dict[str, str]:
    db, redis = Database(database_url, size=1), Redis(redis_url)
    try:
        await db.start()
        found = dict(await readiness(db, redis))
    finally:
        await db.close()
        await redis.close()
    for private in (PASSWORD, "stranger", "/nonexistent", "127.0.0.1"):
        assert private not in repr(found)
    return found


async def test_all_is_there(world: object, database_url: str, redis_url: str) -> None:
    assert await parts(database_url, redis_url) == {"mysql": "ok", "migrations": "ok", "redis": "ok"}


async def test_an_empty_database(servers: LocalServers, worker_number: int, redis_url: str) -> None:
    found = await parts(servers.create_database(f"empty_{worker_number}"), redis_url)
    assert found["mysql"] == "ok"
    assert "0001_learning" in found["migrations"]
    assert "skillforge migrate" in found["migrations"]


async def test_nobody_answers() -> None:
    found = await parts(f"mysql://stranger:{PASSWORD}@127.0.0.1:9/x", f"redis://:{PASSWORD}@127.0.0.1:9/0")
    assert "DATABASE_URL" in found["mysql"]
    assert found["mysql"].startswith("does not answer")
    assert found["migrations"] != "ok"
    assert found["redis"].startswith("does not answer")
    assert "REDIS_URL" in found["redis"]


@pytest.mark.parametrize(
    ("user", "name", "advice"), [("stranger", "x", "refuses the log-in"), ("root", "no_such_database", "knows no such database")]
)
async def test_what_the_database_refuses(servers: LocalServers, redis_url: str, user: str, name: str, advice: str) -> None:
    url = servers.database_url(name).replace("root@", f"{user}:{PASSWORD}@" if user != "root" else "root@")
    found = await parts(url, redis_url)
    assert found["mysql"].startswith(advice)
    assert "DATABASE_URL" in found["mysql"]


@pytest.mark.parametrize(
    "answer",
    [
        b"-NOAUTH HELLO must be called with the client already authenticated\r\n",
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    ],
)
async def test_redis_wants_another_password(database_url: str, tmp_path: Path, answer: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(answer)

    async with await asyncio.start_unix_server(refuse, tmp_path / "redis.sock"):
        found = await parts(database_url, f"unix://:{PASSWORD}@{tmp_path}/redis.sock")
    assert found["redis"].startswith("refuses the log-in")
    assert "REDIS_URL" in found["redis"]
