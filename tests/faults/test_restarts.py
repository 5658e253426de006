"""MariaDB and Redis killed, frozen and restarted under load: refusals say when to come back, nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest

from cli.servers import LocalServers
from skillforge.v1 import courses_pb2
from tests.support.busy_school import School, open_busy_school
from tests.support.flaky_wire import FlakyWire
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.processes import freeze
from tests.support.world import Person, World, running_world

pytestmark = pytest.mark.slow

# A gateway whose database is away says so; one whose call ran into its deadline, too. Never a 500, never a 4xx.
AWAY = frozenset({503, 504})
NONE: frozenset[int] = frozenset()
# "Within a second", and what a busy machine adds.
SOON_SECONDS = 2.0


@pytest.fixture(scope="module")
def own_servers() -> Iterator[LocalServers]:
    """MariaDB and Redis of these tests alone; each test leaves them running."""
    servers = LocalServers(tempfile.mkdtemp(prefix="sf-test-"), fast=True)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop(kill=True)
        shutil.rmtree(servers.data_dir, ignore_errors=True)


@pytest.fixture(scope="module")
async def world(own_servers: LocalServers) -> AsyncIterator[World]:
    async with running_world(own_servers.create_database("restarts"), own_servers.redis_url()) as running:
        yield running


@pytest.fixture
async def school(world: World) -> School:
    return await open_busy_school(world)


async def blocking(work: Any, **options: Any) -> None:
    """Servers are started and stopped beside the event loop, which has to go on."""
    await asyncio.to_thread(work, **options)


async def readiness(world: World) -> tuple[int, dict[str, str]]:
    status, _, answer = await world.request("GET", "/readyz")
    return status, answer["parts"]


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "shut down"])
async def test_mariadb_restarts_under_load(world: World, school: School, own_servers: LocalServers, kill: bool) -> None:
    async with Load(world, school.clients(), AWAY) as load:
        await load.everybody_succeeds()
        for _ in range(2):
            await blocking(own_servers.stop_mariadb, kill=kill)
            await load.refusals(30)
            status, parts = await readiness(world)
            assert (status, parts["redis"]) == (503, "ok")
            assert "ok" not in (parts["mysql"], parts["migrations"])
            await blocking(own_servers.start_mariadb)
            await load.everybody_succeeds(seconds=5)
        assert await readiness(world) == (200, {"mysql": "ok", "migrations": "ok", "redis": "ok"})
    assert set(load.statuses) <= {200, 201} | AWAY
    await school.audit(load)


async def test_connections_are_cut_under_load(world: World, school: School, own_servers: LocalServers) -> None:
    def cut() -> None:
        with pymysql.connect(unix_socket=str(own_servers.mariadb_socket), user="root") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = 'restarts'")
            for (number,) in cursor.fetchall():
                with suppress(pymysql.MySQLError):  # gone by itself
                    cursor.execute(f"KILL {number}")

    async with Load(world, school.clients(), AWAY) as load:
        for _ in range(10):
            await load.everybody_succeeds(1)
            await blocking(cut)
        await load.everybody_succeeds(seconds=5)
    await school.audit(load)


async def test_acknowledgements_of_the_database_are_lost(own_servers: LocalServers, world: World, tmp_path: Path) -> None:
    """Nobody knows whether the work was committed, so the client repeats it; it is there once."""
    wire = FlakyWire(tmp_path / "db", own_servers.mariadb_socket)
    await wire.start()
    url = f"mysql://root@localhost/restarts?unix_socket={quote(str(wire.path))}"
    try:
        async with running_world(url, own_servers.redis_url()) as shaken:
            school = await open_busy_school(shaken)
            async with Load(shaken, school.clients(), AWAY) as load:
                wire.breaking = True
                await load.everybody_succeeds(5, seconds=20)
                wire.breaking = False
                await load.everybody_succeeds(seconds=5)
            assert wire.cuts > 10
            await school.audit(load)
    finally:
        await wire.close()


async def test_redis_restarts_under_load(world: World, school: School, own_servers: LocalServers) -> None:
    """Nothing needs it so much that a call would fail."""
    async with Load(world, school.clients(), NONE) as load:
        await load.everybody_succeeds()
        for kill in (True, False):
            await blocking(own_servers.stop_redis, kill=kill)
            await load.everybody_succeeds(6)
            status, parts = await readiness(world)
            assert (status, parts["mysql"], parts["migrations"]) == (503, "ok", "ok")
            assert parts["redis"] != "ok"
            await blocking(own_servers.start_redis)
            await load.everybody_succeeds(6)
        await eventually(lambda: readiness(world), lambda ready: ready[0] == 200, 5)
    await school.audit(load)


async def test_redis_is_flushed_under_load(world: World, school: School) -> None:
    async with Load(world, school.clients(), NONE) as load:
        for _ in range(5):
            await load.everybody_succeeds()
            await world.core.resources.redis.run("FLUSHALL")
        await load.everybody_succeeds()
    await school.audit(load)


async def test_both_are_killed_at_once(world: World, school: School, own_servers: LocalServers) -> None:
    async with Load(world, school.clients(), AWAY) as load:
        await load.everybody_succeeds()
        await asyncio.gather(blocking(own_servers.stop_mariadb, kill=True), blocking(own_servers.stop_redis, kill=True))
        await load.refusals(50)
        status, parts = await readiness(world)
        assert status == 503
        assert "ok" not in parts.values()
        assert (await world.request("GET", "/healthz"))[0] == 200
        await blocking(own_servers.start_redis)
        await blocking(own_servers.start_mariadb)
        await load.everybody_succeeds(seconds=5)
        await eventually(lambda: readiness(world), lambda ready: ready[0] == 200, 5)
    await school.audit(load)


async def test_frozen_servers_hold_nobody_longer_than_he_waits(world: World, school: School, own_servers: LocalServers) -> None:
    """A server that neither answers nor hangs up: the call's own deadline ends it, and Redis is done without."""
    pupil, path = school.pupils[0], f"/progress/course/{school.free.id}"

    async def read(seconds: float) -> tuple[int, float]:
        started = time.monotonic()
        status, _, _ = await world.request("GET", path, person=pupil, headers={"X-Request-Timeout": str(seconds)})
        return status, time.monotonic() - started

    assert (await read(5))[0] == 200
    mariadb, redis = (int(server.pid_file.read_text()) for server in (own_servers.mariadb, own_servers.redis))
    freeze(redis)
    try:
        answers = await asyncio.gather(*(read(5) for _ in range(10)))
        assert {status for status, _ in answers} == {200}
        assert max(seconds for _, seconds in answers) < 4
    finally:
        os.kill(redis, signal.SIGCONT)
    freeze(mariadb)
    try:
        answers = await asyncio.gather(*(read(0.5) for _ in range(20)))
        assert {status for status, _ in answers} <= AWAY
        assert max(seconds for _, seconds in answers) < 2
    finally:
        os.kill(mariadb, signal.SIGCONT)
    await eventually(lambda: read(5), lambda answer: answer[0] == 200, 5)


async def test_it_starts_while_both_are_away(own_servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> None:
    url, redis_url = own_servers.create_database("restarts"), own_servers.redis_url()
    async with running_world(url, redis_url) as before:
        course = await before.course(await before.person("INSTRUCTOR"))
    await asyncio.gather(blocking(own_servers.stop_mariadb), blocking(own_servers.stop_redis))

    async def migrated_before(settings: object) -> list[str]:
        return []

    monkeypatch.setattr("tests.support.world.migrate", migrated_before)
    async with running_world(url, redis_url) as world:
        status, headers, problem = await world.request("GET", f"/courses/{course.id}")
        assert (status, problem["code"], headers["retry-after"]) == (503, "UNAVAILABLE", "1")
        assert "ok" not in (await readiness(world))[1].values()
        await blocking(own_servers.start_mariadb)

        async def read() -> int:
            return (await world.request("GET", f"/courses/{course.id}"))[0]

        await eventually(read, lambda status: status == 200, 5)
        assert (await readiness(world))[1]["redis"] != "ok"
        await blocking(own_servers.start_redis)
        await eventually(lambda: readiness(world), lambda ready: ready[0] == 200, 5)


# What is taken from somebody is taken everywhere within a second, with Redis or without. Two processes: two worlds.


@pytest.fixture(scope="module")
async def sibling(world: World, own_servers: LocalServers) -> AsyncIterator[World]:
    """Another process of the same installation."""
    same_clerk = {"CLERK_API_URL": world.fakes.url, "CLERK_ISSUER": world.fakes.url}
    async with running_world(own_servers.database_url("restarts"), own_servers.redis_url(), **same_clerk) as other:
        yield other


async def me(world: World, person: Person) -> str:
    """ "" or the reason why the person is refused."""
    _, _, answer = await world.request("GET", "/auth/me", person=person)
    return str(answer.get("reason", ""))


async def check_gone(worlds: list[World], person: Person, reason: str) -> None:
    """Refused here at once, elsewhere within a second (and what a busy machine adds)."""
    started = time.monotonic()
    assert await me(worlds[0], person) == reason
    await eventually(lambda: me(worlds[1], person), lambda said: said == reason)
    assert time.monotonic() - started < SOON_SECONDS


@pytest.mark.parametrize("fault", ["none", "killed", "flushed", "restarted"])
async def test_a_sign_out_holds_whatever_redis_does(world: World, sibling: World, own_servers: LocalServers, fault: str) -> None:
    people = [await world.person() for _ in range(3)]
    worlds = [world, sibling]
    assert {await me(item, person) for item in worlds for person in people} == {""}
    if fault in ("killed", "restarted"):
        await blocking(own_servers.stop_redis, kill=True)
    if fault == "restarted":
        await blocking(own_servers.start_redis)
    for person in people[:2]:
        assert (await world.request("POST", "/auth/sign-out", person=person, json={}))[0] == 204
        await check_gone(worlds, person, "SESSION_REVOKED")
    if fault == "flushed":
        await world.core.resources.redis.run("FLUSHALL")
    if fault == "killed":
        await blocking(own_servers.start_redis)
    await eventually(lambda: readiness(sibling), lambda ready: ready[0] == 200, 5)
    for item in worlds:
        assert {await me(item, person) for person in people[:2]} == {"SESSION_REVOKED"}
        assert await me(item, people[2]) == ""


async def test_a_suspension_holds_while_redis_is_away(world: World, sibling: World, own_servers: LocalServers) -> None:
    admin, person = await world.person("ADMIN"), await world.person()
    worlds = [world, sibling]
    assert {await me(item, person) for item in worlds} == {""}
    await blocking(own_servers.stop_redis, kill=True)
    body = {"status": "USER_STATUS_SUSPENDED"}
    assert (await world.request("PATCH", f"/users/{person.id}", person=admin, json=body))[0] == 200
    await check_gone(worlds, person, "ACCOUNT_SUSPENDED")
    await blocking(own_servers.start_redis)
    await eventually(lambda: readiness(sibling), lambda ready: ready[0] == 200, 5)
    assert {await me(item, person) for item in worlds} == {"ACCOUNT_SUSPENDED"}


async def test_a_changed_course_is_seen_everywhere_while_redis_is_away(
    world: World, sibling: World, own_servers: LocalServers
) -> None:
    teacher = await world.person("INSTRUCTOR")
    course = await world.course(teacher)

    async def title(item: World) -> str:
        return str((await item.request("GET", f"/courses/{course.id}"))[2]["title"])

    assert await title(sibling) == course.title
    await blocking(own_servers.stop_redis, kill=True)
    change = courses_pb2.UpdateCourseRequest(course_id=course.id, title="Changed", description="D")
    await world.call("UpdateCourse", change, teacher)
    started = time.monotonic()
    assert await title(world) == "Changed"
    await eventually(lambda: title(sibling), lambda shown: shown == "Changed")
    assert time.monotonic() - started < SOON_SECONDS
    await blocking(own_servers.start_redis)
