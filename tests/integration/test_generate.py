"""`skillforge generate`: what it writes is what the services themselves would have written."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.generate import owns_database
from cli.main import main
from cli.servers import LocalServers
from cli.up import write_settings
from core.analytics.rebuild import Rebuild
from core.certificates.rules import read_certificate_id
from core.db import Database, Migrator
from core.generate import service
from core.generate.plan import Plan, PlanError
from core.generate.service import Generator
from core.progress.rules import percent
from core.progress.stretches import unpack
from core.quizzes import messages, rules
from core.settings import read_settings
from core.times import utc_now
from fakes.users import user_id_of
from skillforge.v1 import courses_pb2, identity_pb2, progress_pb2
from tests.conftest import fresh_database
from tests.support.signing import signing_pem
from tests.support.world import Person, running_world

TODAY = datetime.combine(utc_now(), time())
KEYS = {"CLERK_SECRET_KEY": "sk", "CERTIFICATE_SIGNING_KEY": signing_pem()}
PLAN = Plan(students=150, courses=9, lectures=6, enrollments=3, progress=3, seed=7, until=TODAY)
TABLES = (
    "users", "courses", "course_tags", "course_search", "modules", "lectures", "quizzes", "quiz_versions", "enrollments",
    "entitlements", "payments", "payment_events", "payment_ledger", "lecture_progress", "attempts", "quiz_results",
    "certificates", "activity_days",
)  # fmt: skip
COUNTS = "SELECT course_id, kind, item, SUM(value) FROM course_counts GROUP BY 1, 2, 3 HAVING SUM(value) <> 0 ORDER BY 1, 2, 3"
_names = itertools.count(1)
NewDatabase = Callable[[], Database]


@pytest.fixture
async def new_database(servers: LocalServers, worker_number: int) -> AsyncIterator[Callable[[], Database]]:
    """Makes empty databases."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(fresh_database(servers, f"generate_{worker_number}_{next(_names)}"), size=2))
        return made[-1]

    yield make
    for db in made:
        await db.close()


async def generate(db: Database, plan: Plan) -> None:
    await Migrator(db).apply()
    await db.start()
    generator = Generator(db, plan)
    for step in generator.steps():
        async for _ in step.chunks():
            pass
    await generator.finish()


async def content(db: Database) -> dict[str, str]:
    """A digest of every table's rows, and of the counts."""
    digests = {}
    for table in TABLES:
        rows = await db.fetch_all(f"SELECT * FROM {table}")
        digests[table] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
    return digests | {"course_counts": repr(await db.fetch_all(COUNTS))}


async def count(db: Database, what: str) -> int:
    row = await db.fetch_one(f"SELECT COUNT(*) FROM {what}")
    assert row is not None
    return int(row[0])


async def test_sizes_and_numbers_are_right(new_database: NewDatabase) -> None:
    db = new_database()
    await generate(db, PLAN)
    assert await count(db, "users") == 150 + PLAN.instructors
    assert await count(db, "courses WHERE status = 2") == 9
    assert await count(db, "lectures") == 54
    assert await count(db, "enrollments") == await count(db, "entitlements") == 450
    assert await count(db, "lecture_progress") == PLAN.marks(0, 150)
    assert abs(PLAN.marks(0, 150) - PLAN.expected_marks) < 20
    assert await count(db, "payments") == await count(db, "payment_events") == await count(db, "payment_ledger") > 0
    assert 0 < await count(db, "certificates") == await count(db, "enrollments WHERE complete_time IS NOT NULL")
    assert await count(db, "courses c WHERE enrollment_count <> (SELECT COUNT(*) FROM enrollments WHERE course_id = c.id)") == 0
    # Whatever the analytics keep is what they compute from the truth.
    rebuild = Rebuild(db, utc_now)
    for number in range(PLAN.courses):
        assert await rebuild.course(PLAN.id_of("course", number)) == (0, {})
    assert await rebuild.platform() == (0, {})


async def test_what_happened_could_have_happened(new_database: NewDatabase) -> None:
    """Times are in their order, grades are what grading gives, certificates can be read, watching covers the lecture."""
    db = new_database()
    await generate(db, PLAN)
    wrong = """
        enrollments e JOIN users u ON u.id = e.student_id JOIN courses c ON c.id = e.course_id
        LEFT JOIN lecture_progress p ON p.student_id = e.student_id AND p.course_id = e.course_id
        WHERE u.create_time > e.create_time OR c.publish_time > e.create_time OR p.complete_time < e.create_time
          OR p.complete_time > e.last_activity_time OR e.last_activity_time > %s OR e.complete_time > e.last_activity_time
    """
    row = await db.fetch_one(f"SELECT COUNT(*) FROM {wrong}", (TODAY,))
    assert row == (0,)
    attempts = await db.fetch_all("""
        SELECT v.questions, a.answers, a.results, a.points_earned, a.points_possible, a.percent, a.passed
        FROM attempts a JOIN quiz_versions v ON v.quiz_id = a.quiz_id AND v.version = a.quiz_version
    """)
    assert attempts
    for questions, answers, results, earned, possible, share, passed in attempts:
        grade = rules.grade(messages.unpack_questions(questions), messages.unpack_answers(answers), 60)
        assert (grade.points_earned, grade.points_possible, grade.percent, grade.passed) == (earned, possible, share, passed)
        assert messages.pack_results(grade.results) == results
    for (number,) in await db.fetch_all("SELECT id FROM certificates"):
        assert read_certificate_id(number) == number
    sql = "SELECT p.watched, l.duration_seconds FROM lecture_progress p JOIN lectures l ON l.id = p.lecture_id LIMIT 50"
    for watched, seconds in await db.fetch_all(sql):
        assert unpack(watched) == ((0, seconds),)
    for clerk_id, email in await db.fetch_all("SELECT clerk_id, email FROM users LIMIT 20"):
        assert clerk_id == user_id_of(email)


async def test_the_same_seed_gives_the_same_data_again_and_elsewhere(new_database: NewDatabase) -> None:
    first, second = new_database(), new_database()
    await generate(first, PLAN)
    before = await content(first)
    await generate(first, PLAN)
    assert await content(first) == before
    await generate(second, PLAN)
    assert await content(second) == before


async def test_one_that_was_stopped_goes_on(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, stopped = new_database(), new_database()
    await generate(whole, PLAN)
    monkeypatch.setattr(service, "CHUNK_ROWS", 100)
    monkeypatch.setattr(service, "CHUNK_COUNTED", 2)
    await Migrator(stopped).apply()
    await stopped.start()
    for step in Generator(stopped, PLAN).steps():
        chunks = step.chunks()
        await anext(chunks)
        if step.name in ("students", "courses", "search"):
            async for _ in chunks:
                pass
    await generate(stopped, PLAN)
    assert await content(stopped) == await content(whole)


async def test_another_seed_adds_others(new_database: NewDatabase) -> None:
    db = new_database()
    await generate(db, PLAN)
    other = Plan(students=40, courses=3, lectures=6, enrollments=2, progress=6, seed=8, until=TODAY)
    await generate(db, other)
    assert await count(db, "users") == 190 + PLAN.instructors + other.instructors
    assert await count(db, "enrollments") == 450 + 80
    assert await Rebuild(db, utc_now).platform() == (0, {})


@pytest.mark.slow
async def test_generated_people_sign_in_and_go_on(servers: LocalServers, worker_number: int, new_database: NewDatabase) -> None:
    """Through the API: a student's progress, a new mark, and the instructor's gradebook and analytics."""
    db = new_database()
    await generate(db, PLAN)
    url = servers.database_url(db.address.name)
    async with running_world(url, servers.redis_url(32 + worker_number)) as world:

        async def person(name: str) -> Person:
            _, token = await world.fakes.clerk.sign_in(f"{name}@{PLAN.domain}", name)
            outcome = await world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), token)
            assert outcome.ok
            return Person(token, outcome.message)

        student = await person("student1")
        assert student.user.role == identity_pb2.ROLE_STUDENT
        pages = await world.request("GET", "/enrollments", person=student)
        enrollment = next(item for item in pages[2]["enrollments"] if item["lecturesCompleted"] < 6)
        course = await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=enrollment["courseId"]))
        asked = progress_pb2.GetCourseProgressRequest(course_id=course.id)
        before = await world.call("GetCourseProgress", asked, student)
        assert before.percent == percent(enrollment["lecturesCompleted"], 6)
        following = next(item.lecture_id for item in before.lectures if not item.HasField("complete_time"))
        marked = await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=following), student)
        assert marked.course.lectures_completed == before.lectures_completed + 1
        teacher = await person("instructor1")
        for path in (f"/progress/course/{course.id}/students", f"/analytics/courses/{course.id}"):
            status, _, answer = await world.request("GET", path, person=teacher)
            assert (status, bool(answer)) == (200, True)
        found = await world.call("ListCourses", courses_pb2.ListCoursesRequest(query=course.title))
        assert course.id in [item.id for item in found.courses]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"students": 0}, "students must be from 1"),
        ({"courses": 2}, "enrollments must be from 0 to 2"),
        ({"progress": 7}, "progress must be from 0 to 6"),
        ({"lectures": 501}, "lectures must be from 1 to 500"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_sizes_that_do_not_go_together(changed: dict[str, int], message: str) -> None:
    sizes = {"students": 150, "courses": 9, "lectures": 6, "enrollments": 3, "progress": 3, "seed": 7}
    with pytest.raises(PlanError, match=message):
        Plan(**{**sizes, **changed}, until=TODAY)


@pytest.mark.parametrize("progress", range(7))
def test_the_average_is_what_was_asked_for(progress: int) -> None:
    plan = Plan(students=3 * 13 * 11, courses=5, lectures=6, enrollments=2, progress=progress, seed=1, until=TODAY)
    done = [plan.completed(student, item) for student in range(plan.students) for item in range(2)]
    assert min(done) >= 0
    assert max(done) <= 6
    assert abs(sum(done) - plan.expected_marks) <= 2 * plan.spread


def test_ids_are_ordered_uuids_of_version_7() -> None:
    ids = [PLAN.id_of("student", number) for number in (0, 1, 255, 256, 10_000_000)]
    assert ids == sorted(ids)
    assert all(item[6] >> 4 == 7 and item[8] >> 6 == 2 for item in ids)


def test_a_foreign_database_needs_yes(tmp_path: Path) -> None:
    values = {"DATABASE_URL": "mysql://u:p@127.0.0.1:1/own", "REDIS_URL": "redis://127.0.0.1:1", **KEYS}
    write_settings(tmp_path, values)
    assert owns_database(read_settings(values), tmp_path)
    other = {**values, "DATABASE_URL": "mysql://u:p@127.0.0.1:1/production"}
    outcome = CliRunner().invoke(main, ["generate", "--data-dir", str(tmp_path)], env=other)
    assert outcome.exit_code == 1
    assert "say --yes" in outcome.output
    outcome = CliRunner().invoke(main, ["generate", "--data-dir", str(tmp_path), "--students", "0"], env=values)
    assert "students must be from 1" in outcome.output


def test_the_command(servers: LocalServers, worker_number: int, tmp_path: Path) -> None:
    url = fresh_database(servers, f"generate_command_{worker_number}")
    write_settings(tmp_path, {"DATABASE_URL": url, "REDIS_URL": servers.redis_url(), **KEYS})
    sizes = ["--students", "20", "--courses", "2", "--lectures", "2", "--enrollments", "1", "--progress", "1"]
    outcome = CliRunner().invoke(main, ["generate", *sizes, "--data-dir", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert "students" in outcome.output
    assert "rows/s" in outcome.output
    assert "Sign in as any of them: student1@" in outcome.output


def test_times_count_back_from_the_day_it_runs() -> None:
    later = Plan(150, 9, 6, 3, 3, 7, until=TODAY + timedelta(days=400))
    assert later.tag == PLAN.tag
    assert later.id_of("student", 3) == PLAN.id_of("student", 3)
