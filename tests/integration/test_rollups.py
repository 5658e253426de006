"""What the writes keep equals what a rebuild computes from the truth, whatever happened, in whatever order, at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from core.analytics.rebuild import Correction, Rebuild
from core.analytics.recounts import Recounts
from core.analytics.rules import FIRST_DATED, PLATFORM, Kind, day_item, day_of
from core.call import Caller
from core.db import Transaction
from core.enrollments.rules import FREE
from core.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotAllowed, NotFound
from core.ids import to_bytes, to_text
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import Course
from tests.support.classroom import lecture_ids, questions, right_answers
from tests.support.school import PRICE, School, open_school


@pytest.fixture
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    async with open_school(database_url, redis_url) as opened:
        # Other tests of the database change courses past the feature that counts them.
        await Rebuild(opened.db, lambda: opened.now).platform()
        yield opened


@dataclass
class Life:
    """A few students and courses, and whatever may happen to them. `schools` are as many processes."""

    schools: list[School]
    chance: random.Random
    author: Caller
    students: list[Caller]
    courses: list[Course] = field(default_factory=list)

    @classmethod
    async def begin(cls, schools: list[School], seed: int) -> Life:
        first = schools[0]
        life = cls(schools, random.Random(seed), await first.person("INSTRUCTOR"), [await first.person() for _ in range(5)])
        for price in (None, PRICE):
            course = await first.course(life.author, (2, 2), price=price)
            await first.run(exam_of(course.id), life.author)
            await first.run(quiz_of(lecture_ids(course)[0]), life.author)
            life.courses.append(await first.read(course.id, life.author))
            for student in life.students[:3]:
                await life.enter(first, course, student)
        return life

    async def step(self) -> None:
        """One thing happens; what the rules refuse is refused."""
        school, course = self.chance.choice(self.schools), self.chance.choice(self.courses)
        student = self.chance.choice(self.students)
        deeds: list[Callable[[School, Course, Caller], Awaitable[object]]] = [
            self.enter, self.leave, self.mark, self.mark, self.mark, self.mark_all, self.watch, self.attempt, self.attempt,
            self.pay, self.refund, self.edit, self.wait,
        ]  # fmt: skip
        with suppress(InvalidArgument, NotAllowed, NotFound, FailedPrecondition, AlreadyExists, Conflict):
            await self.chance.choice(deeds)(school, course, student)

    async def enter(self, school: School, course: Course, student: Caller) -> None:
        pair = (student.user_id, to_bytes(course.id))
        await school.db.transact(lambda tx: school.enrollments.grant(tx, *pair, FREE, pair[1], school.now))

    async def leave(self, school: School, course: Course, student: Caller) -> None:
        pair = (student.user_id, to_bytes(course.id))

        async def work(tx: Transaction) -> None:
            await school.enrollments.revoke(tx, *pair, FREE, pair[1], school.now)

        await school.db.transact(work)

    async def mark(self, school: School, course: Course, student: Caller) -> None:
        await school.mark(student, self.chance.choice(lecture_ids(await school.read(course.id, self.author))))

    async def mark_all(self, school: School, course: Course, student: Caller) -> None:
        lectures = lecture_ids(await school.read(course.id, self.author))
        await asyncio.gather(*(school.mark(student, lecture_id) for lecture_id in lectures))

    async def watch(self, school: School, course: Course, student: Caller) -> None:
        lecture_id = self.chance.choice(lecture_ids(await school.read(course.id, self.author)))
        await school.mark(student, lecture_id, position_seconds=self.chance.randrange(60), watched_seconds=20)

    async def attempt(self, school: School, course: Course, student: Caller) -> None:
        sql = "SELECT id FROM quizzes WHERE course_id = %s"
        quiz_ids = [row[0] for row in await school.db.fetch_all(sql, (to_bytes(course.id),))]
        if quiz_ids:
            quiz_id = self.chance.choice(quiz_ids)
            attempt = await school.run(quizzes_pb2.StartAttemptRequest(quiz_id=to_text(quiz_id)), student)
            answers = self.chance.sample(right_answers(), self.chance.randrange(6))
            await school.run(quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=answers), student)

    async def pay(self, school: School, course: Course, student: Caller) -> None:
        payment = await school.open_payment(student, course)
        await school.settle(payment, self.chance.choice(["succeeded", "succeeded", "failed"]))

    async def refund(self, school: School, course: Course, student: Caller) -> None:
        sql = "SELECT id, amount_minor, currency FROM payments WHERE student_id = %s AND course_id = %s ORDER BY id DESC LIMIT 1"
        row = await school.db.fetch_one(sql, (student.user_id, to_bytes(course.id)))
        if row:
            payment = school.payment_of(to_text(row[0]), row[1], row[2])
            await school.settle(payment, "refunded", amountMinor=self.chance.choice([row[1], 100]))

    async def edit(self, school: School, course: Course, student: Caller) -> None:
        now = await school.read(course.id, self.author)
        lectures = lecture_ids(now)
        choice = self.chance.randrange(4)
        if choice == 0:
            await school.lecture(self.author, now.modules[0].id)
        elif choice == 1 and len(lectures) > 2:
            await school.run(courses_pb2.DeleteLectureRequest(lecture_id=self.chance.choice(lectures)), self.author)
        elif choice == 2:
            await school.run(quiz_of(self.chance.choice(lectures)), self.author)
        else:
            await school.run(quizzes_pb2.DeleteExamRequest(course_id=course.id), self.author)
            await school.run(exam_of(course.id), self.author)

    async def wait(self, school: School, course: Course, student: Caller) -> None:
        hours = self.chance.choice([1, 9, 30])
        for one in self.schools:
            one.later(hours=hours)


def exam_of(course_id: str) -> quizzes_pb2.PutExamRequest:
    return quizzes_pb2.PutExamRequest(course_id=course_id, title="Exam", pass_percent=40, questions=questions())


def quiz_of(lecture_id: str) -> quizzes_pb2.PutLectureQuizRequest:
    return quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_id, title="Quiz", pass_percent=40, questions=questions())


async def corrections(school: School, *courses: Course) -> list[Correction]:
    """What a rebuild finds wrong once every recount that was asked for is done."""
    await Recounts(school.db, lambda: school.now).sweep(1000)
    rebuild = Rebuild(school.db, lambda: school.now)
    found = [await rebuild.course(to_bytes(course.id)) for course in courses]
    platform = (await rebuild.platform()).counts
    # The tests' accounts are made past the feature that counts them.
    return [*found, Correction(0, {key: by for key, by in platform.items() if key[0] is not Kind.USERS})]


@pytest.mark.parametrize("seed", range(6))
async def test_after_anything_nothing_is_wrong(school: School, seed: int) -> None:
    life = await Life.begin([school], seed)
    for _ in range(90):
        await life.step()
    assert await corrections(school, *life.courses) == [Correction(0, {})] * 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
async def test_after_anything_at_once_nothing_is_wrong(school: School, database_url: str, redis_url: str, seed: int) -> None:
    async with open_school(database_url, redis_url) as second:
        second.now = school.now
        life = await Life.begin([school, second], seed)
        for _ in range(25):
            await asyncio.gather(*(life.step() for _ in range(6)))
    assert await corrections(school, *life.courses) == [Correction(0, {})] * 3


async def test_a_rebuild_while_everything_goes_on_changes_nothing(school: School) -> None:
    life = await Life.begin([school], 7)
    course_id = to_bytes(life.courses[0].id)
    for _ in range(5):
        life.students = [await school.person() for _ in range(5)]
        for student in life.students:
            await life.enter(school, life.courses[0], student)
        rebuild = Rebuild(school.db, lambda: school.now)
        marking = asyncio.gather(*(life.mark_all(school, *who) for who in whom(life)))
        assert (await rebuild.course(course_id)).counts == {}
        await marking
    assert await corrections(school, life.courses[0]) == [Correction(0, {})] * 2


async def test_merging_past_days_changes_no_number(school: School) -> None:
    """Beside everything that goes on; afterwards a past day of the platform is one row a kind."""
    life = await Life.begin([school], 11)
    for _ in range(60):
        await life.step()
    await corrections(school, *life.courses)
    before = await state(school, PLATFORM)
    recounts = Recounts(school.db, lambda: school.now)
    for days in (0, 5, 30):
        school.later(days=days)
        await asyncio.gather(*(recounts.merge() for _ in range(3)), *(life.step() for _ in range(4)))
    assert await corrections(school, *life.courses) == [Correction(0, {})] * 3
    school.later(days=3)
    await recounts.merge()
    assert await recounts.merge() == 0
    first = day_item(day_of(school.now) - 29)
    sql = "SELECT COUNT(*), COUNT(DISTINCT kind, item) FROM course_counts WHERE course_id = %s AND kind >= %s AND item >= %s"
    rows, items = await school.db.fetch_one(sql, (PLATFORM, FIRST_DATED, first))  # type: ignore[misc]
    assert rows == items > 0
    assert len(await state(school, PLATFORM)) >= len(before) > 0


def whom(life: Life) -> list[tuple[Course, Caller]]:
    return [(life.courses[0], student) for student in life.students]


async def test_a_rebuild_repairs(school: School) -> None:
    life = await Life.begin([school], 8)
    for _ in range(40):
        await life.step()
    course = life.courses[0]
    course_id = to_bytes(course.id)
    await corrections(school, course)
    before = await state(school, course_id)
    await school.db.execute("UPDATE course_counts SET value = value * 3 + 1 WHERE course_id = %s AND kind > 0", (course_id,))
    await school.db.execute("DELETE FROM course_counts WHERE course_id = %s AND kind = %s", (PLATFORM, int(Kind.DAY_ENROLLED)))
    sql = "UPDATE enrollments SET lectures_completed = 77, score = 12.5, activity_day = 3 WHERE course_id = %s"
    await school.db.execute(sql, (course_id,))
    first = await corrections(school, course)
    assert first[0].students > 0
    assert first[0].counts
    assert first[1].counts
    assert await corrections(school, course) == [Correction(0, {})] * 2
    assert await state(school, course_id) == before


async def state(school: School, course_id: bytes) -> list[object]:
    counts = """
        SELECT kind, item, SUM(value) AS total FROM course_counts WHERE course_id = %s
        GROUP BY kind, item HAVING total <> 0 ORDER BY kind, item
    """
    students = (
        "SELECT student_id, lectures_completed, score, activity_day FROM enrollments WHERE course_id = %s ORDER BY student_id"
    )
    return [*await school.db.fetch_all(counts, (course_id,)), *await school.db.fetch_all(students, (course_id,))]


async def test_two_rebuilds_do_not_correct_twice(school: School) -> None:
    life = await Life.begin([school], 9)
    course_id = to_bytes(life.courses[0].id)
    await life.enter(school, life.courses[0], life.students[0])
    await school.db.execute("DELETE FROM course_counts WHERE course_id = %s", (course_id,))
    found = await asyncio.gather(
        *(Rebuild(school.db, lambda: school.now).course(course_id) for _ in range(3)), return_exceptions=True
    )
    assert [item for item in found if isinstance(item, BaseException) and not isinstance(item, Conflict)] == []
    assert await corrections(school, life.courses[0]) == [Correction(0, {})] * 2


async def test_a_recount_goes_on_where_it_stopped_and_begins_anew_when_asked(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analytics.recounts.BATCH", 2)
    life = await Life.begin([school], 10)
    course = life.courses[0]
    lectures = lecture_ids(course)
    for student in life.students:
        await life.enter(school, course, student)
        await school.mark(student, lectures[0])
        await school.mark(student, lectures[1])
    await school.run(courses_pb2.DeleteLectureRequest(lecture_id=lectures[0]), life.author)
    recounts = Recounts(school.db, lambda: school.now)
    assert await recounts.sweep(1) == 1
    counted = "SELECT COUNT(*) FROM enrollments WHERE course_id = %s AND lectures_completed = %s"
    assert await school.value(counted, to_bytes(course.id), 1) == 2
    await school.run(courses_pb2.DeleteLectureRequest(lecture_id=lectures[1]), life.author)
    assert await recounts.sweep(100) == 3
    assert await school.value(counted, to_bytes(course.id), 0) == 5
    assert await recounts.sweep(100) == 0
