"""Entering courses, and the entitlements that keep an enrollment alive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from contract.errors import Violation
from core.analytics import rollups
from core.analytics.rules import Tally
from core.audit.record import record
from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import CourseCatalog, Outline, load_outline
from core.db import Database, MissingParent, Transaction
from core.enrollments import messages, queries
from core.enrollments.access import require_open
from core.enrollments.rules import FREE, GRANT, Grant, Pair, Sight, plan_grants
from core.errors import Conflict, FailedPrecondition, InvalidArgument, NotAllowed, missing
from core.ids import to_bytes, to_text
from core.outbox import News, Outbox
from core.pages import Pages, time_key
from skillforge.v1 import enrollments_pb2

UNLOCKED = "enrollment.unlocked"


class EnrollmentsService:
    """Implements skillforge.v1.EnrollmentsService."""

    def __init__(self, db: Database, catalog: CourseCatalog, outbox: Outbox, pages: Pages) -> None:
        self._db = db
        self._catalog = catalog
        self._outbox = outbox
        self._pages = pages
        # Told of the student of every enrollment that ended.
        self.on_ended: Callable[[bytes], Awaitable[None]] | None = None

    # The RPCs.

    async def enroll_in_course(self, call: Call, request: enrollments_pb2.EnrollInCourseRequest) -> enrollments_pb2.Enrollment:
        """Enroll the caller in a free course; for an admin, a student in any published one.

        A repeat answers 200 with the same enrollment. Raises NotFound, FailedPrecondition (COURSE_NOT_FREE,
        COURSE_NOT_PUBLISHED), InvalidArgument, NotAllowed.
        """
        student_id = _student_to_enroll(call, request)
        pair = (student_id, to_bytes(request.course_id))
        outline = await self._catalog.outline(pair[1])

        async def work(tx: Transaction) -> tuple[bool, queries.EnrollmentRow]:
            opened = await self._enroll(tx, call, pair, outline)
            [row] = await queries.enrollments(tx, [pair])
            return opened, row

        opened, row = await self._db.transact(work)
        if not opened:
            call.answer_with(200)
        return messages.enrollment(row)

    async def list_enrollments(
        self, call: Call, request: enrollments_pb2.ListEnrollmentsRequest
    ) -> enrollments_pb2.ListEnrollmentsResponse:
        """The caller's enrollments, ended ones too, newest first."""
        page = self._pages.open(call, request)
        rows = await queries.list_of_student(self._db, call.user.user_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.create_time, row.course_id))
        return enrollments_pb2.ListEnrollmentsResponse(
            enrollments=[messages.enrollment(row) for row in kept], next_page_token=token
        )

    async def list_course_students(
        self, call: Call, request: enrollments_pb2.ListCourseStudentsRequest
    ) -> enrollments_pb2.ListCourseStudentsResponse:
        """The students of the caller's own course (of any, for an admin), newest first. Raises NotFound."""
        course_id = to_bytes(request.course_id)
        outline = await self._catalog.outline(course_id)
        if outline is None or not is_owner(call, outline.instructor_id):
            raise missing("course")
        page = self._pages.open(call, request, scope=(request.course_id.lower(),))
        rows = await queries.list_of_course(self._db, course_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.create_time, row.student_id))
        return enrollments_pb2.ListCourseStudentsResponse(students=[messages.student(row) for row in kept], next_page_token=token)

    # What other features do with enrollments.

    async def hold(self, tx: Transaction, pair: Pair) -> bool:
        """Whether the student has access to the course; that does not change until the transaction's end."""
        return bool((await queries.lock_standing(tx, [pair])).get(pair))

    async def grant(
        self, tx: Transaction, student_id: bytes, course_id: bytes, source_kind: str, source_id: bytes, now: datetime
    ) -> bool:
        """Give a student a reason for access. True: it opened the course, which was closed to the student before."""
        return bool(await self.grant_many(tx, [Grant(student_id, course_id, source_kind, source_id)], now))

    async def grant_many(self, tx: Transaction, grants: Sequence[Grant], now: datetime) -> set[Pair]:
        """`grant` for many at once, in as few statements as one takes. Returns the pairs that were opened."""
        tally, news = Tally(), list[News]()
        opened = await self.grant_all(tx, grants, now, tally, news)
        await self._outbox.add_many(tx, news)
        await rollups.write(tx, tally, now)
        return opened

    async def grant_all(
        self,
        tx: Transaction,
        grants: Sequence[Grant],
        now: datetime,
        tally: Tally,
        news: list[News],
        sights: Mapping[Pair, Sight] | None = None,
    ) -> set[Pair]:
        """`grant_many` for who writes the tally and the news. `sights`: what the transaction has seen already."""
        if not grants:
            return set()
        wanted = list(dict.fromkeys(grants))
        seen = {grant.pair: (sights or {}).get(grant.pair) or await _sight(tx, grant.pair) for grant in wanted}
        # An enrollment there is is locked. Where none was seen, the key says so if there is one all the same.
        there = sorted(pair for pair, sight in seen.items() if sight.active is not None)
        plan = plan_grants(wanted, await queries.lock_standing(tx, there) if there else {})
        queries.insert_active(tx, {pair: seen[pair] for pair in plan.new}, now)
        if plan.ended:
            queries.reopen(tx, plan.ended)
        queries.put_entitlements(tx, wanted, now)
        _tell((queries.new_enrollment(pair, seen[pair], now) for pair in plan.new), news)
        if plan.ended:
            _tell(await queries.enrollments(tx, plan.ended), news)
        await rollups.opened(tx, plan.new, plan.ended, tally, now)
        queries.raise_counts(tx, plan.rises)
        return {*plan.new, *plan.ended}

    async def revoke(
        self, tx: Transaction, student_id: bytes, course_id: bytes, source_kind: str, source_id: bytes, now: datetime
    ) -> bool:
        """End a reason for access. True: it was the last one, so the enrollment ended with it."""
        tally = Tally()
        ended = await self.revoke_one(tx, Grant(student_id, course_id, source_kind, source_id), now, tally)
        await rollups.write(tx, tally, now)
        return ended

    async def revoke_one(self, tx: Transaction, grant: Grant, now: datetime, tally: Tally) -> bool:
        """`revoke` for who writes the tally."""
        # The enrollment is locked first, as by those who grant: what they add meanwhile is seen below.
        await queries.lock_standing(tx, [grant.pair])
        return await queries.end_entitlement(tx, grant, now) and await self._end_unentitled(tx, grant.pair, tally)

    async def close_unentitled(self, tx: Transaction, pair: Pair, tally: Tally) -> bool:
        """End an enrollment that nothing gives a reason for; False: there is a reason, or it is not active."""
        await queries.lock_standing(tx, [pair])
        return await self._end_unentitled(tx, pair, tally)

    async def _end_unentitled(self, tx: Transaction, pair: Pair, tally: Tally) -> bool:
        if await queries.has_entitlement(tx, pair) or not await queries.end_enrollment(tx, pair):
            return False
        queries.raise_counts(tx, {-1: [pair[1]]})
        await rollups.ended(tx, pair, tally)
        if self.on_ended is not None:
            tx.after_commit(partial(self.on_ended, pair[0]))
        return True

    async def _enroll(self, tx: Transaction, call: Call, pair: Pair, outline: Outline | None) -> bool:
        """Whether this call opened the course to the student."""
        admin = call.user.is_admin
        if admin and not await queries.is_student(tx, pair[0]):
            raise missing("student")
        # The enrollment is locked before the course, as everywhere.
        standing = await queries.lock_standing(tx, [pair])
        if not admin and standing.get(pair):
            call.audited = True  # nothing changes, so there is nothing to record
            return False
        _require_enterable(call, outline)
        if not await queries.hold_enterable(tx, pair[1], any_price=admin):
            # It was archived, withdrawn or priced since that copy was made.
            _require_enterable(call, await load_outline(tx, pair[1]))
            raise Conflict("CONFLICT", "The course is being changed. Try again.")
        opened = await self.grant(tx, *pair, GRANT if admin else FREE, pair[1], call.now)
        await record(tx, call, "course", to_text(pair[1]), after={"studentId": to_text(pair[0]), "opened": opened})
        return opened


async def _sight(tx: Transaction, pair: Pair) -> Sight:
    sight = await queries.sight(tx, pair)
    if sight is None:
        raise MissingParent("the student or the course is not there")
    return sight


def _tell(rows: Iterable[queries.EnrollmentRow], news: list[News]) -> None:
    news += ((row.student_id, UNLOCKED, messages.enrollment(row)) for row in rows)


def _require_enterable(call: Call, outline: Outline | None) -> None:
    course = require_open(call, outline)
    if not call.user.is_admin and course.price_minor > 0:
        raise FailedPrecondition("COURSE_NOT_FREE", "The course is not free: POST /payments/create to buy it.")


def _student_to_enroll(call: Call, request: enrollments_pb2.EnrollInCourseRequest) -> bytes:
    named = to_bytes(request.student_id) if request.student_id else None
    if not call.user.is_admin:
        if named not in (None, call.user.user_id):
            raise NotAllowed("NOT_ALLOWED", "Only an administrator may enroll somebody else.")
        return call.user.user_id
    if named is None:
        raise InvalidArgument(
            "INVALID_ARGUMENT",
            "Say which student to enroll.",
            violations=[Violation("studentId", "required", "must name the student to enroll")],
        )
    return named
