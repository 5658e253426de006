"""Coupons: made and ended by instructors for their own courses, and by admins for any."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from core.audit.record import record
from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import CourseCatalog
from core.db import Database, DuplicateKey, Transaction
from core.errors import AlreadyExists, InvalidArgument, missing
from core.ids import new_id, to_bytes, to_text
from core.pages import Pages
from core.payments.coupons import messages, queries
from core.payments.coupons.rules import CouponRow, Terms, terms_violations
from core.times import Clock, from_unix, to_timestamp
from skillforge.v1 import identity_pb2, payments_pb2

_AUTHORS = (int(identity_pb2.ROLE_INSTRUCTOR), int(identity_pb2.ROLE_ADMIN))


class CouponsService:
    """Implements skillforge.v1.CouponsService."""

    def __init__(self, db: Database, catalog: CourseCatalog, pages: Pages, clock: Clock) -> None:
        self._db = db
        self._catalog = catalog
        self._pages = pages
        self._clock = clock

    async def create_coupon(self, call: Call, request: payments_pb2.CreateCouponRequest) -> payments_pb2.Coupon:
        """Make a coupon for a course, for all courses of an instructor, or (admins) for all there are.

        Raises NotFound (course, instructor), InvalidArgument, AlreadyExists (COUPON_CODE_TAKEN).
        """
        terms = await self._terms(call, request)
        row = CouponRow(
            new_id(), request.code, terms, request.max_uses, request.max_uses_per_student, uses=0, create_time=call.now
        )

        async def work(tx: Transaction) -> None:
            try:
                await queries.insert(tx, row)
            except DuplicateKey as error:
                raise AlreadyExists("COUPON_CODE_TAKEN", "There is or was a coupon with this code. Take another.") from error
            await record(tx, call, "coupon", to_text(row.coupon_id), after=_audited(row))

        await self._db.transact(work)
        return messages.coupon(row)

    async def get_coupon(self, call: Call, request: payments_pb2.GetCouponRequest) -> payments_pb2.Coupon:
        """One coupon: the caller's own; any, for an admin. Raises NotFound."""
        row = await queries.coupon(self._db, to_bytes(request.coupon_id), _owner(call))
        if row is None:
            raise missing("coupon")
        return messages.coupon(row)

    async def list_coupons(self, call: Call, request: payments_pb2.ListCouponsRequest) -> payments_pb2.ListCouponsResponse:
        """Coupons, newest first: the caller's own; everybody's, for an admin."""
        course_id = to_bytes(request.course_id) if request.course_id else None
        page = self._pages.open(call, request, scope=(course_id, request.include_deleted))
        before = bytes.fromhex(str(page.after[0])) if page.after else None
        rows = await queries.list_coupons(self._db, _owner(call), course_id, request.include_deleted, before, page.size + 1)
        kept, token = page.close(rows, lambda row: (row.coupon_id.hex(),))
        return payments_pb2.ListCouponsResponse(coupons=[messages.coupon(row) for row in kept], next_page_token=token)

    async def delete_coupon(self, call: Call, request: payments_pb2.DeleteCouponRequest) -> Empty:
        """End a coupon: the caller's own; any, for an admin. A repeat changes nothing. Raises NotFound."""
        coupon_id, owner = to_bytes(request.coupon_id), _owner(call)

        async def work(tx: Transaction) -> None:
            if await queries.disable(tx, coupon_id, owner, call.now):
                await record(tx, call, "coupon", to_text(coupon_id), before={"disabled": False}, after={"disabled": True})
                return
            if await queries.coupon(tx, coupon_id, owner) is None:
                raise missing("coupon")
            call.audited = True  # it had ended: nothing changes, so there is nothing to record

        await self._db.transact(work)
        return Empty()

    async def leave(self, tx: Transaction, author_id: bytes) -> dict[str, object]:
        """End all coupons of an author whose account is closed; returns how many that were, for the audit log."""
        ended = await queries.disable_all_of(tx, author_id, self._clock())
        return {"endedCoupons": ended} if ended else {}

    async def _terms(self, call: Call, request: payments_pb2.CreateCouponRequest) -> Terms:
        course_id, instructor_id, currency = None, _owner(call), None
        if request.course_id:
            outline = await self._catalog.outline(to_bytes(request.course_id))
            if outline is None or not is_owner(call, outline.instructor_id):
                raise missing("course")
            course_id, instructor_id = outline.course_id, outline.instructor_id
            currency = outline.currency if outline.price_minor else None
        if request.instructor_id:
            named = to_bytes(request.instructor_id)
            if instructor_id not in (None, named) or not await queries.is_author(self._db, named, _AUTHORS):
                raise missing("instructor")
            instructor_id = named
        terms = Terms(
            course_id, instructor_id, request.percent, request.amount_off.amount_minor, request.amount_off.currency,
            _moment(request.start_time) if request.HasField("start_time") else None,
            _moment(request.expire_time) if request.HasField("expire_time") else None, None,
        )  # fmt: skip
        violations = terms_violations(terms, currency, call.now)
        if violations:
            fields = ", ".join(item.field for item in violations)
            raise InvalidArgument("INVALID_ARGUMENT", f"The coupon is not valid: {fields}.", violations=violations)
        return terms


def _owner(call: Call) -> bytes | None:
    """Whose coupons the caller may see and change; None: everybody's."""
    return None if call.user.is_admin else call.user.user_id


def _moment(time: Timestamp) -> datetime:
    return from_unix(time.seconds).replace(microsecond=time.nanos // 1000)


def _audited(row: CouponRow) -> dict[str, object]:
    terms = row.terms
    times = {"startTime": terms.start_time, "expireTime": terms.expire_time}
    return {
        "code": row.code,
        "courseId": to_text(terms.course_id),
        "instructorId": to_text(terms.instructor_id),
        "percent": terms.percent,
        "amountOffMinor": terms.amount_off_minor,
        "currency": terms.currency,
        "maxUses": row.max_uses,
        "maxUsesPerStudent": row.max_uses_per_student,
        **{name: to_timestamp(time).ToJsonString() for name, time in times.items() if time is not None},  # type: ignore[union-attr]
    }
