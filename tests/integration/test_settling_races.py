"""What a settlement looks at without a lock may change before it writes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.call import Caller
from core.db import Transaction
from core.errors import Unavailable
from core.ids import to_bytes
from core.payments import queries
from skillforge.v1 import enrollments_pb2
from skillforge.v1.courses_pb2 import Course
from tests.support.school import School


@pytest.fixture
async def course(school: School) -> Course:
    return await school.paid_course()


@pytest.mark.parametrize("table", ["users", "courses", "enrollments"])
async def test_looking_locks_nothing_but_the_payment(school: School, student: Caller, course: Course, table: str) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment)

    async def work(tx: Transaction) -> None:
        locked = await queries.lock_payments(tx, [to_bytes(payment.id)])
        [sight] = locked.sights.values()
        assert (sight.active, sight.student_name, sight.course_title) == (True, student.display_name, course.title)
        # It answers at once, or with an error.
        await school.db.fetch_all(f"SELECT 1 FROM {table} FOR UPDATE NOWAIT")
        with pytest.raises(Unavailable):
            await school.db.fetch_all("SELECT 1 FROM payments FOR UPDATE NOWAIT")

    await school.db.transact(work)


async def test_a_student_renamed_meanwhile_is_enrolled_under_the_new_name(
    school: School, student: Caller, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await school.open_payment(student, course)
    look, looks = queries.lock_payments, 0

    async def look_and_rename(tx: Transaction, payment_ids: Sequence[bytes]) -> queries.Locked:
        nonlocal looks
        looks += 1
        locked = await look(tx, payment_ids)
        await school.db.execute("UPDATE users SET display_name = 'Renamed' WHERE id = %s", (student.user_id,))
        return locked

    monkeypatch.setattr(queries, "lock_payments", look_and_rename)
    await school.settle(payment)
    assert looks == 2
    assert await school.value("SELECT student_name FROM enrollments WHERE student_id = %s", student.user_id) == "Renamed"


async def test_an_enrollment_that_came_or_ended_meanwhile_is_seen(
    school: School, student: Caller, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await school.open_payment(student, course)
    pair = (student.user_id, to_bytes(course.id))
    look, meanwhile = queries.lock_payments, ["grant", "revoke"]

    async def look_and_change(tx: Transaction, payment_ids: Sequence[bytes]) -> queries.Locked:
        locked = await look(tx, payment_ids)
        if meanwhile:
            change = getattr(school.enrollments, meanwhile.pop(0))
            await school.db.transact(lambda other: change(other, *pair, "grant", pair[1], school.now))
        return locked

    monkeypatch.setattr(queries, "lock_payments", look_and_change)
    await school.settle(payment)
    assert not meanwhile
    active = "SELECT COUNT(*) FROM enrollments WHERE student_id = %s AND course_id = %s AND status = %s"
    assert await school.value(active, *pair, enrollments_pb2.ENROLLMENT_STATUS_ACTIVE) == 1
    assert await school.value("SELECT enrollment_count FROM courses WHERE id = %s", pair[1]) == 1
