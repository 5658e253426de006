"""Marking lectures, reading progress, and completing courses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from contract.errors import Violation
from core.analytics import rollups
from core.analytics.rules import Tally
from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import CourseCatalog, Outline
from core.db import Batcher, Database, Reader, Transaction
from core.enrollments.access import not_enrolled
from core.errors import InvalidArgument, missing
from core.families.access import is_parent, require_child
from core.ids import to_bytes
from core.isolated import isolated
from core.outbox import Outbox
from core.pages import Page, Pages, time_key
from core.progress import queries, rules
from core.progress.gradebook import Gradebook
from core.progress.marks import BATCH_SECONDS, MarkBatches, note_activity
from core.progress.messages import Sheets, child_course
from core.progress.queries import Pair
from core.progress.rules import Mark, Standing
from skillforge.v1 import courses_pb2, families_pb2, identity_pb2, progress_pb2

# Called once, in the transaction that completes a course: (tx, student_id, course_id, score_percent, complete_time, now, tally).
# Returns the certificate's id.
OnComplete = Callable[[Transaction, bytes, bytes, float, datetime, datetime, Tally], Coroutine[Any, Any, str]]


class Completion(NamedTuple):
    """That and when a student completed a course, and with which score (the final exam's; 100 without one)."""

    score_percent: float
    complete_time: datetime


class ProgressService(Gradebook):
    """Implements skillforge.v1.ProgressService. `on_complete` is set once, before the first call."""

    def __init__(self, db: Database, catalog: CourseCatalog, outbox: Outbox, pages: Pages) -> None:
        self.on_complete: OnComplete | None = None
        self._db = db
        self._catalog = catalog
        self._pages = pages
        self._sheets = Sheets()
        marks = MarkBatches(db, outbox, self._sheets, self._finish)
        self._marks: Batcher[Mark, Standing | None] = Batcher(isolated(marks.run))
        self._reads: Batcher[Pair, Standing | None] = Batcher(self._read, in_flight=2)

    # The RPCs.

    async def mark_lecture(self, call: Call, request: progress_pb2.MarkLectureRequest) -> progress_pb2.MarkLectureResponse:
        """Note position, watched time and completion of a lecture. Raises NotFound, NotAllowed (NOT_ENROLLED)."""
        lecture_id = to_bytes(request.lecture_id)
        course_id = await self._catalog.course_of_lecture(lecture_id)
        outline = await self._catalog.outline(course_id) if course_id else None
        sheet = self._sheets.of(outline) if outline else None
        if sheet is None or lecture_id not in sheet:
            raise missing("lecture")
        standing = await self._marks.submit(_mark(call, request, lecture_id, sheet.outline, sheet.duration(lecture_id)))
        if standing is None:
            raise not_enrolled() if sheet.outline.status == courses_pb2.COURSE_STATUS_PUBLISHED else missing("lecture")
        reply = progress_pb2.MarkLectureResponse()
        sheet.fill(reply.course, standing)
        reply.lecture.CopyFrom(reply.course.lectures[sheet.index(lecture_id)])
        return reply

    async def get_course_progress(
        self, call: Call, request: progress_pb2.GetCourseProgressRequest
    ) -> progress_pb2.CourseProgress:
        """The caller's own progress, now or formerly enrolled; or a child's, or, for the instructor and admins, a student's.

        Raises NotFound, InvalidArgument (no student named).
        """
        course_id = to_bytes(request.course_id)
        outline = await self._catalog.outline(course_id)
        standing = None
        if is_parent(call):
            child_id = require_child(to_bytes(request.student_id) if request.student_id else None)
            standing = await queries.standing_of_child(self._db, call.user.user_id, (child_id, course_id))
        elif outline is not None:
            standing = await self._reads.submit((_whose(call, request, outline), course_id))
        # Alike whatever is not there: nobody learns of a draft, or of a student, by asking.
        if outline is None or standing is None:
            raise missing("progress")
        message = progress_pb2.CourseProgress()
        self._sheets.of(outline).fill(message, standing)
        return message

    # What other features do with progress.

    async def courses_of_child(self, parent_id: bytes, child_id: bytes, page: Page) -> tuple[list[families_pb2.ChildCourse], str]:
        """A page of a child's courses, the latest enrolled first, and the next one's token; nothing unless linked."""
        rows = await queries.courses_of_child(self._db, parent_id, child_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.enroll_time, row.course_id))
        return [child_course(row) for row in kept], token

    async def lectures_complete(self, db: Reader, student_id: bytes, course_id: bytes) -> list[bytes]:
        """The lectures of the course the student has yet to complete; none: all are complete. Raises NotFound."""
        outline, standing = await self._find(db, student_id, course_id)
        return rules.missing_lectures(outline, standing)

    async def missing_for_completion(self, db: Reader, student_id: bytes, course_id: bytes) -> list[Violation]:
        """A violation for everything the student has yet to do. Raises NotFound when there is no enrollment."""
        outline, standing = await self._find(db, student_id, course_id)
        return rules.missing_violations(outline, standing)

    async def completion(self, db: Reader, student_id: bytes, course_id: bytes) -> Completion | None:
        """That the student completed the course, which later lectures don't take back; None: not yet. Raises NotFound."""
        outline, standing = await self._find(db, student_id, course_id)
        time = rules.from_microseconds(standing.complete)
        return Completion(rules.score(outline, standing), time) if time else None

    async def record_quiz_result(
        self,
        tx: Transaction,
        student_id: bytes,
        course_id: bytes,
        quiz_id: bytes,
        percent: float,
        passed: bool,
        now: datetime,
        answers: Iterable[tuple[str, bool]] = (),
    ) -> None:
        """Count a submitted attempt, and complete the course if that was the last thing missing. `answers`: each
        question's id, and whether its answer was right."""
        pair, tally = (student_id, course_id), Tally()
        await queries.touch(tx, [pair], now)
        await queries.put_quiz_result(tx, pair, quiz_id, percent, passed, now)
        tally.answered(course_id, quiz_id, answers)
        await rollups.graded(tx, pair, tally, now)
        if passed:
            await self._complete(tx, pair, tally, now)
        await rollups.write(tx, tally, now)

    async def complete_if_done(self, tx: Transaction, student_id: bytes, course_id: bytes, now: datetime) -> bool:
        """Complete the course if nothing is missing. True: this call did it; it happens once."""
        tally = Tally()
        done = await self._complete(tx, (student_id, course_id), tally, now)
        await rollups.write(tx, tally, now)
        return done

    async def _complete(self, tx: Transaction, pair: Pair, tally: Tally, now: datetime) -> bool:
        # Whoever writes progress of the same student and course waits here, so that one of them sees it all.
        await queries.touch(tx, [pair], now)
        outline, standing = await self._find(tx, *pair)
        if note_activity(tally, [standing], rules.to_microseconds(now)):
            await rollups.lectures_completed(tx, [pair], now)
        return await self._finish(tx, standing, outline, now, tally)

    async def _finish(self, tx: Transaction, standing: Standing, outline: Outline, now: datetime, tally: Tally) -> bool:
        if standing.complete or not rules.is_done(outline, standing):
            return False
        if not await queries.set_complete(tx, standing.pair, now):
            return False
        standing.complete = rules.to_microseconds(now)
        tally.completed(standing.course_id, now)
        if self.on_complete is not None:
            score = rules.score(outline, standing)
            standing.certificate_id = await self.on_complete(tx, *standing.pair, score, now, now, tally)
        return True

    async def _find(self, db: Reader, student_id: bytes, course_id: bytes) -> tuple[Outline, Standing]:
        outline = await self._catalog.outline(course_id, db)
        found = await queries.standings(db, [(student_id, course_id)])
        if outline is None or not found:
            raise missing("progress")
        return outline, found[student_id, course_id]

    async def _read(self, pairs: list[Pair]) -> list[Standing | None]:
        async with asyncio.timeout(BATCH_SECONDS):
            found = await queries.standings(self._db, list(set(pairs)))
        return [found.get(pair) for pair in pairs]


def _mark(
    call: Call, request: progress_pb2.MarkLectureRequest, lecture_id: bytes, outline: Outline, duration_seconds: int
) -> Mark:
    return Mark(
        student_id=call.user.user_id,
        lecture_id=lecture_id,
        outline=outline,
        duration_seconds=duration_seconds,
        completed=request.completed if request.HasField("completed") else None,
        position_seconds=request.position_seconds if request.HasField("position_seconds") else None,
        watched_seconds=request.watched_seconds if request.HasField("watched_seconds") else None,
        now=rules.to_microseconds(call.now),
    )


def _whose(call: Call, request: progress_pb2.GetCourseProgressRequest, outline: Outline) -> bytes:
    """Whose progress the caller may read here. Raises NotFound for anybody else's."""
    caller = call.user
    named = to_bytes(request.student_id) if request.student_id else None
    if caller.role == identity_pb2.ROLE_STUDENT and named in (None, caller.user_id):
        return caller.user_id
    if caller.role not in (identity_pb2.ROLE_INSTRUCTOR, identity_pb2.ROLE_ADMIN) or not is_owner(call, outline.instructor_id):
        raise missing("progress")
    if named is None:
        raise InvalidArgument(
            "INVALID_ARGUMENT",
            "Say whose progress to read.",
            violations=[Violation("studentId", "required", "must name one of the course's students")],
        )
    return named
