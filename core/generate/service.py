"""Generating a population: step by step, each step in chunks of its own transactions, so that it can go on where it stopped."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import NamedTuple

from core.analytics.recounts import KEPT_DAYS
from core.audit.record import Change, record_change
from core.certificates.rules import PREFIX, RANDOM_CHARACTERS, check_character
from core.courses import indexing
from core.crockford import ALPHABET
from core.db import Database, Transaction
from core.generate import content, queries
from core.generate.counting import service as counting
from core.generate.plan import EXAM_QUESTIONS, LECTURES_A_MODULE, Plan
from core.generate.queries import CourseRow, Graduate, LectureRow, Span
from core.quizzes import messages
from core.times import utc_now

# Rows a statement writes, about: well below a second, however slow the disk.
CHUNK_ROWS = 20_000
CHUNK_COURSES = 100
# Counting a course reads all its students.
CHUNK_COUNTED = 5


class Step(NamedTuple):
    """A part of the work: its name, how many rows it writes, about, and the work, which gives the rows of each chunk."""

    name: str
    rows: int
    chunks: Callable[[], AsyncIterator[int]]


class Generator:
    """Writes what a plan says. A repeat with the same plan writes what is missing and changes nothing else."""

    def __init__(self, db: Database, plan: Plan) -> None:
        self._db = db
        self._plan = plan
        self._questions = messages.pack_questions(content.exam_questions())
        sheets = [content.exam_answers(right) for right in range(1, EXAM_QUESTIONS + 1)]
        self._answers = [messages.pack_answers(answers) for answers, _ in sheets]
        self._results = [messages.pack_results(results) for _, results in sheets]

    def steps(self) -> list[Step]:
        """The steps in their order."""
        plan = self._plan
        enrolled = plan.students * plan.enrollments
        people = [
            Step("instructors", plan.instructors, lambda: self._people("instructor", plan.instructors)),
            Step("courses", plan.courses, self._courses),
            Step("search", plan.courses, self._search),
            Step("students", plan.students, lambda: self._people("student", plan.students)),
        ]
        if not enrolled:
            return people
        return [
            *people,
            Step("enrollments", enrolled, lambda: self._by_student(plan.enrollments, self._enroll)),
            Step("progress", plan.expected_marks, self._progress),
            Step("exams", enrolled, lambda: self._by_student(plan.enrollments, self._attempt)),
            Step("certificates", enrolled, lambda: self._by_student(plan.enrollments, self._certify)),
            Step("counts", plan.courses, self._counts),
        ]

    async def finish(self) -> None:
        """Once every step is done."""
        plan = self._plan
        await counting.count_platform(self._db, utc_now())
        await queries.refresh_statistics(self._db)
        after = {**asdict(plan), "domain": plan.domain}
        change = Change("data.generate", "database", plan.tag, {}, after)
        await self._db.transact(lambda tx: record_change(tx, change, None, f"generate-{plan.tag}", plan.until))

    async def _people(self, kind: str, count: int) -> AsyncIterator[int]:
        for span in _spans(count, CHUNK_ROWS // 2):
            await queries.insert_people(self._db, self._plan, kind, span)
            yield span.end - span.first

    async def _courses(self) -> AsyncIterator[int]:
        for span in _spans(self._plan.courses, CHUNK_COURSES):
            await self._db.transact(lambda tx, span=span: self._write_courses(tx, span))  # type: ignore[misc]
            yield span.end - span.first

    async def _search(self) -> AsyncIterator[int]:
        yield await indexing.fill(self._db)

    async def _write_courses(self, tx: Transaction, span: Span) -> None:
        plan, modules = self._plan, queries.modules_of(self._plan)
        texts = {number: content.course(plan.seed, number) for number in range(*span)}
        ids = {number: plan.id_of("course", number) for number in texts}
        made = {number: queries.course_time(plan, number) for number in texts}
        rows = [
            CourseRow(
                ids[number], plan.id_of("instructor", number % plan.instructors), text.title, text.description,
                text.price_minor, text.currency, text.level, made[number],
            )
            for number, text in texts.items()
        ]  # fmt: skip
        await queries.insert_courses(tx, rows, plan.lectures)
        tags = [(ids[number], place, tag) for number, text in texts.items() for place, tag in enumerate(text.tags, 1)]
        await queries.insert_tags(tx, tags)
        parts = [
            (plan.id_of("module", number * modules + part), ids[number], f"Part {part + 1}", part + 1, made[number])
            for number in texts
            for part in range(modules)
        ]
        await queries.insert_modules(tx, parts)
        lectures = [self._lecture(number, place, texts[number].tags[0]) for number in texts for place in range(plan.lectures)]
        await queries.insert_lectures(tx, lectures)
        exams = [(plan.id_of("exam", number), ids[number], made[number]) for number in texts]
        await queries.insert_exams(tx, exams, self._questions)

    def _lecture(self, course: int, place: int, topic: str) -> LectureRow:
        plan = self._plan
        title, notes = content.lecture(topic, place)
        part, position = divmod(place, LECTURES_A_MODULE)
        return LectureRow(
            lecture_id=plan.id_of("lecture", course * plan.lectures + place),
            course_id=plan.id_of("course", course),
            module_id=plan.id_of("module", course * queries.modules_of(plan) + part),
            title=title,
            position=position + 1,
            video_url=f"https://videos.example.com/{plan.tag}/{course + 1}-{place + 1}.mp4",
            duration_seconds=queries.duration(place),
            notes=notes,
            preview=place == 0,
            created=queries.course_time(plan, course),
        )

    async def _enroll(self, span: Span) -> None:
        for write in (queries.insert_enrollments, queries.insert_payments, queries.insert_entitlements):
            await write(self._db, self._plan, span)

    async def _attempt(self, span: Span) -> None:
        await queries.insert_attempts(self._db, self._plan, span, self._answers, self._results)

    async def _certify(self, span: Span) -> None:
        rows = await queries.graduates(self._db, self._plan, span)
        issued = [(_certificate_id(self._plan, row), row) for row in rows]
        if issued:
            await self._db.transact(lambda tx: queries.insert_certificates(tx, issued))

    async def _by_student(self, rows_each: int, write: Callable[[Span], Awaitable[None]]) -> AsyncIterator[int]:
        for span in _spans(self._plan.students, max(1, CHUNK_ROWS // 2 // rows_each)):
            await write(span)
            yield (span.end - span.first) * rows_each

    async def _progress(self) -> AsyncIterator[int]:
        plan, since = self._plan, utc_now() - timedelta(days=KEPT_DAYS)
        for span in _spans(plan.students, max(1, CHUNK_ROWS // max(1, plan.enrollments * plan.progress))):
            await queries.insert_progress(self._db, plan, span)
            await queries.insert_active_days(self._db, plan, span, since)
            yield plan.marks(*span)

    async def _counts(self) -> AsyncIterator[int]:
        now, known = utc_now(), await counting.counted_spans(self._db, self._plan)
        for span in _spans(self._plan.courses, CHUNK_COUNTED):
            await counting.count_courses(self._db, self._plan, span, now)
            yield span.end - span.first
        for span in known:
            await counting.recount_courses(self._db, self._plan, span, now)
            yield 0


def _spans(count: int, size: int) -> Iterator[Span]:
    return (Span(first, min(first + size, count)) for first in range(0, count, size))


def _certificate_id(plan: Plan, row: Graduate) -> str:
    """The number of a certificate that the same plan gives again. Whoever knows the plan can guess it."""
    chosen = random.Random(plan.tag.encode() + row.student_id + row.course_id)
    body = "".join(chosen.choices(ALPHABET, k=RANDOM_CHARACTERS))
    return f"{PREFIX}-{body}{check_character(body)}"
