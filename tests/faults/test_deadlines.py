"""A call that ran out of time, or whose client has gone, ends everywhere: its statement too, and nothing of it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import grpc
import pymysql
import pytest

from cli.servers import LocalServers
from core.db.url import parse_url
from skillforge.v1 import courses_pb2, courses_pb2_grpc
from tests.support.polling import eventually
from tests.support.world import Person, World

WAITING = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s AND db = DATABASE()"


@dataclass
class Locked:
    """A course whose row somebody holds, so that a change of it waits."""

    world: World
    teacher: Person
    course: courses_pb2.Course

    @property
    def path(self) -> str:
        return f"/courses/{self.course.id}"

    async def waiting(self) -> int:
        """How many changes wait at the database."""
        row = await self.world.core.resources.db.fetch_one(WAITING, ("%UPDATE courses%",))
        assert row is not None
        return int(row[0]) - 1  # the question itself holds the words, too

    async def title(self) -> str:
        return str((await self.world.request("GET", self.path, person=self.teacher))[2]["title"])


@pytest.fixture
async def locked(world: World, servers: LocalServers) -> AsyncIterator[Locked]:
    teacher = await world.person("INSTRUCTOR")
    course = await world.course(teacher)
    name = parse_url(world.settings.database_url).name
    with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=name) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM courses WHERE id = UNHEX(%s) FOR UPDATE", (course.id.replace("-", ""),))
        found = Locked(world, teacher, course)
        yield found
    assert await found.title() == course.title, "what was given up did not happen after all"


@pytest.mark.parametrize("header", [{"X-Request-Timeout": "0.3"}, {"grpc-timeout": "300m"}])
@pytest.mark.parametrize("gateway", ["in process", "remote"])
async def test_the_caller_s_deadline_reaches_the_statement(locked: Locked, gateway: str, header: dict[str, str]) -> None:
    world = locked.world
    url = world.url if gateway == "in process" else world.remote_url
    started = time.monotonic()
    change = {"title": "Changed", "description": "D"}
    status, _, problem = await world.request("PUT", locked.path, url=url, person=locked.teacher, json=change, headers=header)
    assert (status, problem["code"], problem["reason"]) == (504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert 0.25 < time.monotonic() - started < 2.5
    await eventually(locked.waiting, lambda count: count == 0, 4)


async def test_a_grpc_deadline_does(locked: Locked) -> None:
    stub = courses_pb2_grpc.CoursesServiceStub(locked.world.channel)
    change = courses_pb2.UpdateCourseRequest(course_id=locked.course.id, title="Changed", description="D")
    authorization = [("authorization", f"Bearer {locked.teacher.token}")]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.UpdateCourse(change, metadata=authorization, timeout=0.3)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(locked.waiting, lambda count: count == 0, 4)


@pytest.mark.parametrize("gateway", ["in process", "remote"])
async def test_a_client_that_hangs_up_does(locked: Locked, gateway: str) -> None:
    url = locked.world.url if gateway == "in process" else locked.world.remote_url
    change = {"title": "Changed", "description": "D"}
    async with aiohttp.ClientSession(headers=locked.teacher.headers) as session:
        call = asyncio.create_task(session.put(url + locked.path, json=change).__aenter__())
        await eventually(locked.waiting, lambda count: count == 1, 4)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await eventually(locked.waiting, lambda count: count == 0, 4)
