"""Watched seconds against somebody who claims as many as can be: on many devices, through many processes, again and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from core.call import Caller
from core.ids import to_bytes
from core.progress.rules import FIRST_REPORT_SECONDS, WATCH_SLACK
from skillforge.v1.courses_pb2 import Course, Video
from tests.support.classroom import lecture_ids
from tests.support.school import School, open_school

HOUR = 3600


@pytest.fixture
async def schools(database_url: str, redis_url: str) -> AsyncIterator[list[School]]:
    """Three processes."""
    async with (
        open_school(database_url, redis_url) as one,
        open_school(database_url, redis_url) as two,
        open_school(database_url, redis_url) as three,
    ):
        two.now = three.now = one.now
        yield [one, two, three]


async def film(school: School) -> tuple[Course, Caller]:
    """A course of one lecture that takes an hour, and a student of it."""
    author, student = await school.person("INSTRUCTOR"), await school.person()
    course = await school.course(author, (0,), publish=False)
    video = Video(url="https://videos.example.com/film.mp4", duration_seconds=HOUR)
    await school.lecture(author, course.modules[0].id, video=video)
    course = await school.read(course.id, author)
    await school.enroll(student, course.id)
    return course, student


async def watched(school: School, course: Course) -> int:
    sql = "SELECT COALESCE(SUM(watched_seconds), 0) FROM lecture_progress WHERE course_id = %s"
    return int(await school.value(sql, to_bytes(course.id)))


async def test_devices_together_watch_no_faster_than_the_clock(schools: list[School]) -> None:
    course, student = await film(schools[0])
    [lecture_id] = lecture_ids(course)
    chance = random.Random(5)
    passed = 0
    for _ in range(12):
        # Everywhere in the lecture, all that can be said, twenty times at the same moment.
        said = [{"watched_seconds": HOUR, "position_seconds": chance.randrange(HOUR)} for _ in range(20)]
        replies = await asyncio.gather(*(chance.choice(schools).mark(student, lecture_id, **item) for item in said))
        assert await watched(schools[0], course) <= FIRST_REPORT_SECONDS + WATCH_SLACK * passed
        assert not any(reply.lecture.HasField("complete_time") for reply in replies)
        for school in schools:
            school.later(seconds=10)
        passed += 10


async def test_an_honest_viewer_completes_it(schools: list[School]) -> None:
    """Who watches 90 percent of it, on one device after the other, is through; not a minute before."""
    course, student = await film(schools[0])
    [lecture_id] = lecture_ids(course)
    for minute in range(1, 55):
        for school in schools:
            school.later(seconds=60)
        school = schools[minute % 3]
        reply = await school.mark(student, lecture_id, watched_seconds=60, position_seconds=60 * minute)
        assert reply.lecture.HasField("complete_time") == (60 * minute >= 0.9 * HOUR), minute
    assert await watched(schools[0], course) == 54 * 60
