"""A database that was filled before analytics were counted: a start counts what is there, by itself and exactly."""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cli.servers import LocalServers
from core.analytics import queries
from core.analytics.rebuild import Correction, Rebuild, rebuild_due
from core.analytics.rules import PLATFORM, Kind
from core.db import Database, Migrator
from core.db.migrate import FOLDER
from core.ids import new_id, to_text
from core.times import utc_now
from skillforge.v1 import analytics_pb2, courses_pb2, enrollments_pb2, identity_pb2
from tests.conftest import fresh_database
from tests.support.polling import eventually
from tests.support.school import open_school
from tests.support.world import running_world

TODAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)


async def fill(db: Database) -> list[bytes]:
    """Two courses of two lectures, with three and five students who have completed one each, as the first versions wrote them."""
    teacher_id = await _user(db, 2)
    course_ids = []
    for students in (3, 5):
        course_ids.append(course_id := new_id())
        module_id, lecture_ids = new_id(), [new_id(), new_id()]
        row = "%s, %s, 'Old', 'Old', 0, 'USD', 0, '', 2, 1, 2, %s, NOW(6), NOW(6), NOW(6)"
        await db.execute(f"INSERT INTO courses VALUES ({row})", (course_id, teacher_id, students))
        await db.execute("INSERT INTO modules VALUES (%s, %s, 'One', 1, NOW(6))", (module_id, course_id))
        for position, lecture_id in enumerate(lecture_ids, 1):
            row = "%s, %s, %s, 'L', %s, '', 0, 'N', TRUE, FALSE, 1, NOW(6), NOW(6)"
            await db.execute(f"INSERT INTO lectures VALUES ({row})", (lecture_id, course_id, module_id, position))
        for number in range(students):
            await _student(db, course_id, lecture_ids[0], TODAY - timedelta(days=number))
    return course_ids


async def _user(db: Database, role: int) -> bytes:
    user_id = new_id()
    row = "%s, %s, 'a@example.com', 'Old One', '', %s, 1, 1, NOW(6), NOW(6)"
    await db.execute(f"INSERT INTO users VALUES ({row})", (user_id, f"user_{user_id.hex()}", role))
    return user_id


async def _student(db: Database, course_id: bytes, lecture_id: bytes, time: datetime) -> None:
    pair = (await _user(db, 3), course_id)
    await db.execute("INSERT INTO enrollments VALUES (%s, %s, 1, %s, %s, NULL)", (*pair, time, time))
    await db.execute("INSERT INTO lecture_progress VALUES (%s, %s, %s, %s, 0, 0, %s)", (*pair, lecture_id, time, time))


@pytest.fixture
async def old(servers: LocalServers, worker_number: int, tmp_path: Path) -> tuple[str, list[bytes]]:
    """Such a database, without the migrations since, and its courses."""
    url = fresh_database(servers, f"old_{worker_number}")
    for name in ("0001_learning.sql", "0002_families.sql"):
        shutil.copy(FOLDER / name, tmp_path)
    db = Database(url, size=2)
    await db.start()
    await Migrator(db, tmp_path).apply()
    course_ids = await fill(db)
    await db.close()
    return url, course_ids


async def test_what_is_older_than_its_counts_is_counted(old: tuple[str, list[bytes]], redis_url: str) -> None:
    url, course_ids = old
    async with open_school(url, redis_url) as school:
        assert await queries.rebuilds_due(school.db, 10) == [*sorted(course_ids, reverse=True), PLATFORM]
        admin = await school.person("ADMIN")
        overview = await school.run(analytics_pb2.GetOverviewRequest(), admin)
        assert (overview.enrollments, sum(item.courses for item in overview.courses)) == (0, 0)
        # Several processes start at once, and somebody enters meanwhile.
        newcomer, later = await school.person(), await school.course(await school.person("INSTRUCTOR"))

        def clock() -> datetime:
            return school.now

        entering = school.run(enrollments_pb2.EnrollInCourseRequest(course_id=later.id), newcomer)
        done = await asyncio.gather(*(rebuild_due(school.db, clock) for _ in range(3)), entering)
        while await queries.rebuilds_due(school.db, 10):
            await rebuild_due(school.db, clock)
        assert any(done[:3])
        rebuild = Rebuild(school.db, clock)
        assert [await rebuild.course(item) for item in course_ids] == [Correction(0, {})] * 2
        assert {key: by for key, by in (await rebuild.platform()).counts.items() if key[0] is not Kind.USERS} == {}
        overview = await school.run(analytics_pb2.GetOverviewRequest(), admin)
        assert (overview.enrollments, overview.days[-1].lecture_completions) == (8 + 1, 2)
        published = courses_pb2.COURSE_STATUS_PUBLISHED
        assert [(item.status, item.courses) for item in overview.courses] == [(published, 3)]
        for course_id, students in zip(course_ids, (3, 5), strict=True):
            wanted = analytics_pb2.GetCourseAnalyticsRequest(course_id=to_text(course_id))
            found = await school.run(wanted, admin)
            assert (found.enrolled, found.lectures[0].completed, found.lectures[1].completed) == (students, students, 0)
        assert await rebuild_due(school.db, clock) == 0


async def test_a_start_does_it(old: tuple[str, list[bytes]], servers: LocalServers, worker_number: int) -> None:
    url, _ = old
    async with running_world(url, servers.redis_url(56 + worker_number)) as world:
        admin = await world.person("ADMIN")

        async def enrolled() -> int:
            overview = await world.call("GetOverview", analytics_pb2.GetOverviewRequest(), admin)
            return int(overview.enrollments)

        assert await eventually(enrolled, lambda count: count == 8)
        assert (await world.call("GetMe", identity_pb2.GetMeRequest(), admin)).role == identity_pb2.ROLE_ADMIN


async def test_a_new_database_waits_for_nothing(servers: LocalServers, worker_number: int) -> None:
    db = Database(fresh_database(servers, f"new_{worker_number}"), size=1)
    await db.start()
    await Migrator(db).apply()
    assert await queries.rebuilds_due(db, 10) == []
    await db.close()
