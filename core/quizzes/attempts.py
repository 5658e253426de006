"""What students do with quizzes: starting, saving, submitting; and grading."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from contract.errors import Violation
from core.call import Call
from core.courses import access
from core.courses.catalog import CourseCatalog
from core.db import Database, DuplicateKey, Transaction
from core.errors import Conflict, FailedPrecondition, InvalidArgument, NotAllowed, Unavailable, missing
from core.families.access import is_parent, parent_id, require_child
from core.ids import new_id, to_bytes, to_text
from core.pages import Page, Pages, time_key
from core.progress.service import ProgressService
from core.quizzes import messages, queries, rules
from core.quizzes.authoring import viewing
from core.quizzes.rows import AttemptFilter, AttemptHead, AttemptRow, NewAttempt, QuizRow
from core.times import Clock
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, Attempt

log = logging.getLogger("skillforge.quizzes")

# How long after the deadline answers are still taken: they were sent in time and travelled.
GRACE = timedelta(seconds=2)
# Simultaneous starts collide on the unique keys; whoever collides finds the other's attempt on the next try.
START_TRIES = 5


class QuizAttempts:
    """Attempts at quizzes. The server's clock decides."""

    _db: Database
    _catalog: CourseCatalog
    _progress: ProgressService
    _pages: Pages
    _clock: Clock

    async def start_attempt(self, call: Call, request: quizzes_pb2.StartAttemptRequest) -> Attempt:
        """Start an attempt, or return the open one (200). An overdue one is graded first.

        Raises NotAllowed (NOT_ENROLLED); FailedPrecondition: EXAM_LOCKED with the lectures still to complete,
        ATTEMPTS_EXHAUSTED, QUIZ_INVALID (no questions).
        """
        quiz_id, student_id = to_bytes(request.quiz_id), call.user.user_id
        found = await queries.open_attempt(self._db, student_id, quiz_id)
        if found and _is_overdue(found.head, call.now):
            await self._finish_overdue([found.head.attempt_id], call.now)

        async def work(tx: Transaction) -> tuple[AttemptRow | None, bool]:
            return await self._open(tx, call, quiz_id)

        for _ in range(START_TRIES):
            try:
                row, created = await self._db.transact(work)
            except DuplicateKey:
                continue
            if not created:
                call.answer_with(200)
            return _message(row)
        raise Conflict("CONFLICT", "The quiz is being started elsewhere. Try again.")

    async def save_answers(self, call: Call, request: quizzes_pb2.SaveAnswersRequest) -> Attempt:
        """Replace the saved answers. Raises FailedPrecondition: ATTEMPT_CLOSED, ATTEMPT_OVERDUE."""
        attempt_id, student_id = to_bytes(request.attempt_id), call.user.user_id
        row = await queries.own_attempt(self._db, attempt_id, student_id)
        if row is None:
            raise missing("attempt")
        if row.head.is_open and _is_overdue(row.head, call.now):
            raise FailedPrecondition(
                "ATTEMPT_OVERDUE", "The time is up. What was saved before counts; submit, or read the result."
            )
        packed = _packed(row, request.answers) if row.head.is_open else b""
        if not row.head.is_open or not await queries.save_answers(self._db, attempt_id, student_id, packed):
            raise FailedPrecondition("ATTEMPT_CLOSED", "The attempt is submitted; its answers cannot change any more.")
        return messages.attempt(row._replace(answers=packed))

    async def submit_attempt(self, call: Call, request: quizzes_pb2.SubmitAttemptRequest) -> Attempt:
        """Submit and grade: the answers given, or without any (or after the deadline) those saved. A repeat returns
        the graded attempt."""
        attempt_id, student_id = to_bytes(request.attempt_id), call.user.user_id

        async def work(tx: Transaction) -> AttemptRow | None:
            row = await queries.own_attempt(tx, attempt_id, student_id)
            if row is None or not row.head.is_open:
                return row
            late = _is_overdue(row.head, call.now)
            await self._finish(tx, row.head, call.now, None if late or not request.answers else request.answers)
            return await queries.attempt(tx, attempt_id)

        return _message(await self._db.transact(work))

    async def get_attempt(self, call: Call, request: quizzes_pb2.GetAttemptRequest) -> Attempt:
        """One attempt, for its student, a linked parent, the course's instructor and admins; an overdue one is graded first."""
        attempt_id = to_bytes(request.attempt_id)
        row = await self._visible(call, attempt_id)
        if row and _is_overdue(row.head, call.now):
            await self._finish_overdue([attempt_id], call.now)
            row = await self._visible(call, attempt_id)
        # Parents see how it went; what is right is for the student who answered, and for the author.
        return _message(row, with_keys=not is_parent(call))

    async def list_attempts(self, call: Call, request: quizzes_pb2.ListAttemptsRequest) -> quizzes_pb2.ListAttemptsResponse:
        """The caller's own attempts, a child's for its parent, or all for the course's instructor and admins, newest first.

        Raises NotFound, InvalidArgument (a parent names no child), NotAllowed.
        """
        wanted = await self._wanted(call, request)
        page = self._pages.open(call, request, scope=("attempts", wanted.quiz_id, wanted.student_id))
        attempts, token = await self._page(wanted, page, call.now)
        return quizzes_pb2.ListAttemptsResponse(attempts=attempts, next_page_token=token)

    async def attempts_of_child(self, parent_id: bytes, child_id: bytes, page: Page, now: datetime) -> tuple[list[Attempt], str]:
        """A page of a child's attempts at everything, newest first, and the next one's token; nothing unless linked."""
        return await self._page(AttemptFilter(quiz_id=None, student_id=child_id, parent_id=parent_id), page, now)

    async def grade_overdue(self, limit: int = 50) -> int:
        """Grade up to `limit` attempts whose time ran out while nobody looked; returns how many there were.

        Any number of processes may do it at once. One attempt that cannot be graded keeps no other from it.
        """
        now = self._clock()
        overdue = await queries.overdue_attempts(self._db, now - GRACE, limit)
        for attempt_id in overdue:
            try:
                await self._finish_overdue([attempt_id], now)
            except Unavailable:
                raise
            except Exception:
                log.exception("the overdue attempt %s cannot be graded", to_text(attempt_id))
        return len(overdue)

    async def _visible(self, call: Call, attempt_id: bytes) -> AttemptRow | None:
        user = call.user
        return await queries.visible_attempt(
            self._db, attempt_id, user.user_id, is_admin=user.is_admin, parent_id=parent_id(call)
        )

    async def _wanted(self, call: Call, request: quizzes_pb2.ListAttemptsRequest) -> AttemptFilter:
        quiz_id = to_bytes(request.quiz_id)
        student_id = to_bytes(request.student_id) if request.student_id else None
        if is_parent(call):
            child_id = require_child(student_id)
            wanted = AttemptFilter(quiz_id, child_id, call.user.user_id)
            if not await queries.is_quiz_of_child(self._db, quiz_id, call.user.user_id, child_id) and not (
                await queries.deleted_quiz(self._db, quiz_id, child_id) and await queries.list_attempts(self._db, wanted, None, 1)
            ):
                raise missing("quiz")
            return wanted
        quiz = await queries.quiz(self._db, quiz_id, call.user.user_id)
        if quiz is None:
            return await self._wanted_of_deleted(call, quiz_id, student_id)
        return AttemptFilter(quiz_id, _whose(call, quiz, student_id))

    async def _wanted_of_deleted(self, call: Call, quiz_id: bytes, student_id: bytes | None) -> AttemptFilter:
        """Of a deleted quiz the attempts are left: to those who made them, and to the instructor and admins."""
        found = await queries.deleted_quiz(self._db, quiz_id, call.user.user_id)
        if found is None:
            raise missing("quiz")
        instructor_id, attempted = found
        if access.is_owner(call, instructor_id):
            return AttemptFilter(quiz_id, student_id)
        if not attempted or student_id not in (None, call.user.user_id):
            raise missing("quiz")
        return AttemptFilter(quiz_id, call.user.user_id)

    async def _page(self, wanted: AttemptFilter, page: Page, now: datetime) -> tuple[list[Attempt], str]:
        rows = await queries.list_attempts(self._db, wanted, page.after_time, page.size + 1)
        overdue = [row.attempt_id for row in rows if _is_overdue(row, now)]
        if overdue:
            await self._finish_overdue(overdue, now)
            rows = await queries.list_attempts(self._db, wanted, page.after_time, page.size + 1)
        kept, token = page.close(rows, key=_key)
        return [messages.attempt_head(row) for row in kept], token

    async def _open(self, tx: Transaction, call: Call, quiz_id: bytes) -> tuple[AttemptRow | None, bool]:
        """The student's open attempt, and whether it was started just now."""
        student_id = call.user.user_id
        found = await queries.quiz(tx, quiz_id, student_id)
        if found is None:
            # Its author deleted it: who is at it already may go on, on another device too.
            present = await queries.open_attempt(tx, student_id, quiz_id)
            if present is not None:
                return present, False
        quiz = _startable(call, found)
        # Counted before looking for an open one: a start that commits in between is then found open, not taken for used up.
        number = await queries.last_number(tx, student_id, quiz_id) + 1
        present = await queries.open_attempt(tx, student_id, quiz_id)
        if present is not None:
            return present, False
        if quiz.lecture_id is None:
            await self._check_unlocked(tx, student_id, quiz.course_id)
        if quiz.max_attempts and number > quiz.max_attempts:
            raise FailedPrecondition("ATTEMPTS_EXHAUSTED", f"All {quiz.max_attempts} attempts at this quiz are used.")
        attempt = NewAttempt(
            attempt_id=new_id(),
            quiz_id=quiz_id,
            quiz_version=quiz.version,
            course_id=quiz.course_id,
            student_id=student_id,
            number=number,
            shuffle_seed=secrets.randbits(62) + 1 if quiz.shuffle else 0,
            start_time=call.now,
            deadline=call.now + timedelta(seconds=quiz.time_limit_seconds) if quiz.time_limit_seconds else None,
        )
        await queries.insert_attempt(tx, attempt)
        return await queries.attempt(tx, attempt.attempt_id), True

    async def _check_unlocked(self, tx: Transaction, student_id: bytes, course_id: bytes) -> None:
        missing_ids = await self._progress.lectures_complete(tx, student_id, course_id)
        if not missing_ids:
            return
        outline = await self._catalog.outline(course_id, tx)
        lectures = [lecture for module in outline.modules for lecture in module.lectures] if outline else []
        titles = {lecture.lecture_id: lecture.title for lecture in lectures}
        violations = [
            Violation("lectures", "incomplete", f"Complete the lecture “{titles.get(item, '')}” ({to_text(item)}) first.")
            for item in missing_ids
        ]
        raise FailedPrecondition("EXAM_LOCKED", "The final exam opens when all lectures are complete.", violations=violations)

    async def _finish_overdue(self, attempt_ids: Sequence[bytes], now: datetime) -> None:
        for attempt_id in attempt_ids:

            async def work(tx: Transaction, attempt_id: bytes = attempt_id) -> None:
                row = await queries.attempt(tx, attempt_id)
                if row is not None:
                    await self._finish(tx, row.head, now, None)

            await self._db.transact(work)

    async def _finish(self, tx: Transaction, head: AttemptHead, now: datetime, answers: Sequence[Answer] | None) -> None:
        """Close the attempt and grade it: these answers, or those saved. Nothing when somebody else closed it before."""
        submit_time = min(now, head.deadline) if head.deadline else now
        if not await queries.close_attempt(tx, head.attempt_id, submit_time):
            return
        # Read behind the closing: a save that was taken until then counts.
        row = await queries.attempt(tx, head.attempt_id)
        if row is None:
            raise missing("attempt")
        packed = row.answers if answers is None else _packed(row, answers)
        questions = rules.shuffled(messages.unpack_questions(row.questions), row.shuffle_seed)
        grade = rules.grade(questions, messages.unpack_answers(packed), row.pass_percent)
        await queries.write_grade(tx, head.attempt_id, packed, messages.pack_results(grade.results), grade)
        outcome = [(result.question_id, result.correct) for result in grade.results]
        await self._progress.record_quiz_result(
            tx, head.student_id, head.course_id, head.quiz_id, grade.percent, grade.passed, now, outcome
        )


def _is_overdue(head: AttemptHead, now: datetime) -> bool:
    """Whether an open attempt's time is up, with what its answers may have travelled."""
    return head.is_open and head.deadline is not None and now > head.deadline + GRACE


def _startable(call: Call, quiz: QuizRow | None) -> QuizRow:
    if quiz is None:
        raise missing("quiz")
    access.require_reader(call, "quiz", viewing(quiz)._replace(preview=False))
    if not quiz.enrolled:
        access.raise_not_enrolled(call)
    if not quiz.question_count:
        raise FailedPrecondition("QUIZ_INVALID", "The quiz has no questions yet.")
    return quiz


def _whose(call: Call, quiz: QuizRow, student_id: bytes | None) -> bytes | None:
    """Whose attempts the caller may list: None for everybody's."""
    if access.require_reader(call, "quiz", viewing(quiz)):
        return student_id
    if student_id not in (None, call.user.user_id):
        raise NotAllowed("NOT_ALLOWED", "Only your own attempts are listed for you.")
    return call.user.user_id


def _packed(row: AttemptRow, answers: Sequence[Answer]) -> bytes:
    violations = rules.check_answers(messages.unpack_questions(row.questions), answers)
    if violations:
        raise InvalidArgument(
            "INVALID_ARGUMENT", "The answers do not fit the questions: see what is wrong.", violations=violations
        )
    return messages.pack_answers(answers)


def _message(row: AttemptRow | None, *, with_keys: bool = True) -> Attempt:
    if row is None:
        raise missing("attempt")
    return messages.attempt(row, with_keys=with_keys)


def _key(row: AttemptHead) -> tuple[str, ...]:
    return time_key(row.start_time, row.attempt_id)
