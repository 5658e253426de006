"""All SQL of analytics: the numbers in enrollments, the counts, and the truth they are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.analytics.rules import FIRST_DATED, PLATFORM, Kind, Member, Pair, day_item
from core.analytics.truth import EXAM_PASSED, EXAM_PERCENT, LECTURES_COMPLETED, QUIZ_PERCENT, SCORE
from core.db import Database, Reader, Transaction
from core.payments.rules import EntryKind
from skillforge.v1 import certificates_pb2, enrollments_pb2, quizzes_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_ENDED = int(enrollments_pb2.ENROLLMENT_STATUS_ENDED)
_SUBMITTED = int(quizzes_pb2.ATTEMPT_STATUS_SUBMITTED)
_VALID = int(certificates_pb2.CERTIFICATE_STATUS_VALID)
# Money that came in and went back, as the ledger of payments names it.
_MONEY = (int(EntryKind.CHARGE), int(EntryKind.REFUNDED))
_DAY = "DATEDIFF({}, '1970-01-01')"
# The dated kinds by name: of each the server then reads the days asked for alone.
_DATED = [int(kind) for kind in Kind if kind >= FIRST_DATED]

_GRADES = f"quiz_percent = {QUIZ_PERCENT}, exam_percent = {EXAM_PERCENT}, exam_passed = {EXAM_PASSED}, score = {SCORE}"


# Counts


def add_counts(tx: Transaction, rows: Sequence[tuple[bytes, int, bytes, int]], slot: int) -> None:
    """Change counts (course, kind, item, by how much) in one of their slots."""
    sql = """
        INSERT INTO course_counts (course_id, kind, item, slot, value) VALUES (%s, %s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE value = value + VALUES(value)
    """
    tx.post_many(sql, [(course_id, kind, item, slot, by) for course_id, kind, item, by in rows])


async def counts(db: Reader, course_id: bytes, since_day: int = 0) -> dict[int, dict[bytes, int]]:
    """All counts of a course, by kind and item; dated ones since a day."""
    sql = """
        SELECT kind, item, CAST(SUM(value) AS SIGNED) FROM course_counts
        WHERE course_id = %s AND (kind < %s OR (kind IN %s AND item >= %s)) GROUP BY kind, item
    """
    found: dict[int, dict[bytes, int]] = {}
    for kind, item, value in await db.fetch_all(sql, (course_id, FIRST_DATED, _DATED, day_item(since_day))):
        found.setdefault(kind, {})[item] = int(value)
    return found


async def lock_spread(tx: Transaction, course_id: bytes, days: range, limit: int) -> list[tuple[int, bytes, int, int]]:
    """Dated counts of these days that stand outside of the first slot (kind, item, slot, value), locked until the end."""
    sql = """
        SELECT kind, item, slot, value FROM course_counts
        WHERE course_id = %s AND kind IN %s AND item >= %s AND item < %s AND slot > 0 LIMIT %s FOR UPDATE
    """
    rows = await tx.fetch_all(sql, (course_id, _DATED, day_item(days.start), day_item(days.stop), limit))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def drop_counts(tx: Transaction, course_id: bytes, keys: Sequence[tuple[int, bytes, int]]) -> None:
    """Drop counts (kind, item, slot) of a course."""
    sql = "DELETE FROM course_counts WHERE course_id = %s AND (kind, item, slot) IN %s"
    await tx.execute(sql, (course_id, list(keys)))


async def course_totals(db: Reader, kinds: Sequence[int]) -> dict[tuple[int, bytes], int]:
    """The sums of these kinds of counts over all courses."""
    sql = """
        SELECT kind, item, CAST(SUM(value) AS SIGNED) FROM course_counts
        WHERE course_id <> %s AND kind IN %s GROUP BY kind, item
    """
    return {(row[0], row[1]): int(row[2]) for row in await db.fetch_all(sql, (PLATFORM, list(kinds)))}


async def put_active_days(tx: Transaction, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
    """Keep who (day, course, student) was active."""
    sql = """
        INSERT INTO activity_days (day, course_id, student_id) VALUES (%s, %s, %s)
        ON DUPLICATE KEY UPDATE day = VALUES(day)
    """
    await tx.insert_many(sql, sorted(rows))


async def drop_active_days(db: Database, before_day: int, limit: int) -> int:
    """Drop up to so many rows of days before one; how many there were."""
    return await db.execute("DELETE FROM activity_days WHERE day < %s ORDER BY day LIMIT %s", (before_day, limit))


# Enrollments. Where pairs are looked for, the optimizer is told the index: weighing every one for each pair takes it far
# longer than the work itself.


async def lock_members(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, Member]:
    """What counts of these enrollments; none of them changes until the end."""
    sql = """
        SELECT student_id, course_id, status, complete_time IS NOT NULL, score, activity_day
        FROM enrollments FORCE INDEX (PRIMARY)
        WHERE (student_id, course_id) IN %s ORDER BY student_id, course_id FOR UPDATE
    """
    rows = await tx.fetch_all(sql, (list(pairs),))
    return {(row[0], row[1]): Member(row[2] == _ACTIVE, bool(row[3]), row[4], row[5]) for row in rows}


async def count_lectures(tx: Transaction, pairs: Sequence[Pair], day: int) -> None:
    """Count the complete lectures of locked enrollments anew, and note a day of activity."""
    sql = f"""
        UPDATE enrollments e FORCE INDEX (PRIMARY)
        SET lectures_completed = {LECTURES_COMPLETED}, activity_day = GREATEST(activity_day, %s)
        WHERE (e.student_id, e.course_id) IN %s
    """
    await tx.execute(sql, (day, list(pairs)))


async def grade(tx: Transaction, pair: Pair, day: int) -> None:
    """Compute a locked enrollment's results anew, and note a day of activity while it is active."""
    sql = f"""
        UPDATE enrollments e SET {_GRADES}, activity_day = IF(status = %s, GREATEST(activity_day, %s), activity_day)
        WHERE e.student_id = %s AND e.course_id = %s
    """
    await tx.execute(sql, (_ACTIVE, day, *pair))


async def recount(tx: Transaction, pairs: Sequence[Pair]) -> None:
    """Compute all numbers of locked enrollments anew."""
    sql = f"""
        UPDATE enrollments e FORCE INDEX (PRIMARY) SET lectures_completed = {LECTURES_COMPLETED}, {_GRADES},
          activity_day = {_DAY.format("last_activity_time")},
          student_name = (SELECT u.display_name FROM users u WHERE u.id = e.student_id)
        WHERE (e.student_id, e.course_id) IN %s
    """
    await tx.execute(sql, (list(pairs),))


class Numbers(NamedTuple):
    """What a recount may change of an enrollment."""

    student_name: str | None
    lectures_completed: int
    quiz_percent: float | None
    exam_percent: float | None
    exam_passed: int
    score: float
    activity_day: int


async def numbers(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, Numbers]:
    """The numbers of enrollments as they stand."""
    sql = f"""
        SELECT student_id, course_id, {", ".join(Numbers._fields)} FROM enrollments FORCE INDEX (PRIMARY)
        WHERE (student_id, course_id) IN %s
    """
    return {(row[0], row[1]): Numbers(*row[2:]) for row in await tx.fetch_all(sql, (list(pairs),))}


# The students of a course in the order of their entry: time, id.
Place = tuple[datetime, bytes]
FIRST_PLACE: Place = (datetime(1970, 1, 1), bytes(16))


async def students_after(db: Reader, course_id: bytes, after: Place, limit: int) -> list[Place]:
    """The next enrollments of a course, ended ones too."""
    part = """
        SELECT create_time, student_id FROM enrollments FORCE INDEX (enrollments_by_entry)
        WHERE course_id = %s AND status = %s AND create_time >= %s AND (create_time > %s OR student_id > %s)
        ORDER BY create_time, student_id LIMIT %s
    """
    sql = f"({part}) UNION ALL ({part}) ORDER BY create_time, student_id LIMIT %s"
    # The index has the enrollments by status.
    parts = [value for status in (_ACTIVE, _ENDED) for value in (course_id, status, after[0], *after, limit)]
    return [(row[0], row[1]) for row in await db.fetch_all(sql, (*parts, limit))]


# Recounts


async def request_recount(tx: Transaction, course_id: bytes) -> None:
    """Ask for all students of a course to be recounted, from the first on."""
    sql = """
        INSERT INTO course_recounts (course_id, done_time, done_student_id) VALUES (%s, %s, %s)
        ON DUPLICATE KEY UPDATE done_time = VALUES(done_time), done_student_id = VALUES(done_student_id)
    """
    await tx.execute(sql, (course_id, *FIRST_PLACE))


async def lock_recount(tx: Transaction) -> tuple[bytes, Place] | None:
    """A course that waits for a recount and nobody works on, and up to where it is done."""
    sql = "SELECT course_id, done_time, done_student_id FROM course_recounts LIMIT 1 FOR UPDATE SKIP LOCKED"
    row = await tx.fetch_one(sql)
    return (row[0], (row[1], row[2])) if row else None


async def move_recount(tx: Transaction, course_id: bytes, done: Place) -> None:
    """Note up to where a recount is done."""
    await tx.execute("UPDATE course_recounts SET done_time = %s, done_student_id = %s WHERE course_id = %s", (*done, course_id))


async def end_recount(tx: Transaction, course_id: bytes) -> None:
    await tx.execute("DELETE FROM course_recounts WHERE course_id = %s", (course_id,))


async def recount_waits(db: Reader, course_id: bytes) -> bool:
    """Whether the numbers of a course's students may be of before a deletion."""
    return await db.fetch_one("SELECT 1 FROM course_recounts WHERE course_id = %s", (course_id,)) is not None


# Rebuilds that a migration asked for


async def rebuilds_due(db: Reader, limit: int) -> list[bytes]:
    """Courses that wait for a rebuild; the platform, whose numbers are made of theirs, comes last."""
    rows = await db.fetch_all("SELECT course_id FROM course_rebuilds ORDER BY course_id DESC LIMIT %s", (limit,))
    return [row[0] for row in rows]


async def end_rebuild(db: Database, course_id: bytes) -> None:
    """Note that a rebuild is done."""
    await db.execute("DELETE FROM course_rebuilds WHERE course_id = %s", (course_id,))


# The truth, for rebuilding. All of these are read in one snapshot.


async def course_ids(db: Reader, after: bytes, limit: int) -> list[bytes]:
    """The next courses in the order of their ids."""
    rows = await db.fetch_all("SELECT id FROM courses WHERE id > %s ORDER BY id LIMIT %s", (after, limit))
    return [row[0] for row in rows]


async def course_exists(db: Reader, course_id: bytes) -> bool:
    """Whether there is such a course."""
    return await db.fetch_one("SELECT 1 FROM courses WHERE id = %s", (course_id,)) is not None


async def students_total(db: Reader, course_id: bytes | None) -> int:
    """How many enrollments, ended ones too, a course has; or all courses together."""
    sql = "SELECT COUNT(*) FROM enrollments" + (" WHERE course_id = %s" if course_id else "")
    row = await db.fetch_one(sql, (course_id,) if course_id else ())
    return int(row[0]) if row else 0


async def lock_counts(db: Reader, course_id: bytes) -> None:
    """Let others who rebuild the counts of a course wait for the end of this transaction."""
    sql = "SELECT value FROM course_counts WHERE course_id = %s AND kind = %s AND item = '' AND slot = 0 FOR UPDATE"
    await db.fetch_one(sql, (course_id, int(Kind.LOCK)))


async def make_lock(db: Database, course_id: bytes) -> None:
    """See to it that there is a row for `lock_counts`."""
    sql = """
        INSERT INTO course_counts (course_id, kind, item, slot, value) VALUES (%s, %s, '', 0, 0)
        ON DUPLICATE KEY UPDATE value = value
    """
    await db.execute(sql, (course_id, int(Kind.LOCK)))


class EnrollmentFacts(NamedTuple):
    """What an enrollment counts for."""

    member: Member
    enroll_day: int
    complete_day: int | None


async def enrollment_facts(db: Reader, pairs: Sequence[Pair]) -> list[EnrollmentFacts]:
    """What these enrollments count for."""
    sql = f"""
        SELECT status, complete_time IS NOT NULL, score, activity_day, {_DAY.format("create_time")},
          {_DAY.format("complete_time")}
        FROM enrollments FORCE INDEX (PRIMARY) WHERE (student_id, course_id) IN %s
    """
    rows = await db.fetch_all(sql, (list(pairs),))
    return [EnrollmentFacts(Member(row[0] == _ACTIVE, bool(row[1]), row[2], row[3]), row[4], row[5]) for row in rows]


async def lecture_facts(db: Reader, pairs: Sequence[Pair]) -> Sequence[tuple[bytes, int, int]]:
    """The completions of these students: lecture, day, how many."""
    sql = f"""
        SELECT lecture_id, {_DAY.format("complete_time")} AS day, COUNT(*) FROM lecture_progress
        WHERE (student_id, course_id) IN %s AND complete_time IS NOT NULL GROUP BY lecture_id, day
    """
    return [(row[0], row[1], row[2]) for row in await db.fetch_all(sql, (list(pairs),))]


async def certificate_facts(db: Reader, pairs: Sequence[Pair]) -> int:
    """How many certificates in force these students have."""
    sql = "SELECT COUNT(*) FROM certificates WHERE (student_id, course_id) IN %s AND status = %s"
    row = await db.fetch_one(sql, (list(pairs), _VALID))
    return int(row[0]) if row else 0


async def active_facts(db: Reader, course_id: bytes, days: Iterable[int]) -> Sequence[tuple[int, int]]:
    """How many students were active on each of these days."""
    sql = "SELECT day, COUNT(*) FROM activity_days WHERE day IN %s AND course_id = %s GROUP BY day"
    return [(row[0], row[1]) for row in await db.fetch_all(sql, (list(days), course_id))]


async def result_facts(db: Reader, course_id: bytes, after: bytes, limit: int) -> Sequence[tuple[bytes, bytes, bytes]]:
    """The next attempts at a course's quizzes: id, quiz, results (empty: not submitted)."""
    sql = """
        SELECT id, quiz_id, IF(status = %s, results, '') FROM attempts
        WHERE course_id = %s AND id > %s ORDER BY id LIMIT %s
    """
    return [(row[0], row[1], row[2]) for row in await db.fetch_all(sql, (_SUBMITTED, course_id, after, limit))]


async def ledger_facts(db: Reader, course_id: bytes) -> Sequence[tuple[str, int, int, int]]:
    """A course's money by currency and day: paid, refunded."""
    sql = f"""
        SELECT currency, {_DAY.format("entry_time")} AS day,
          CAST(SUM(IF(kind = %s, amount_minor, 0)) AS SIGNED), CAST(SUM(IF(kind = %s, amount_minor, 0)) AS SIGNED)
        FROM payment_ledger WHERE course_id = %s AND kind IN %s GROUP BY currency, day
    """
    rows = await db.fetch_all(sql, (*_MONEY, course_id, _MONEY))
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in rows]


async def user_facts(db: Reader) -> dict[tuple[int, int], int]:
    """How many accounts there are of each role in each status."""
    rows = await db.fetch_all("SELECT role, status, COUNT(*) FROM users GROUP BY role, status")
    return {(row[0], row[1]): int(row[2]) for row in rows}


async def course_facts(db: Reader) -> Sequence[tuple[int, int]]:
    """How many courses there are in each status."""
    return [(row[0], row[1]) for row in await db.fetch_all("SELECT status, COUNT(*) FROM courses GROUP BY status")]


# Reports


async def questions(db: Reader, quiz_ids: Sequence[bytes]) -> dict[bytes, bytes]:
    """The present questions of quizzes, serialized."""
    sql = """
        SELECT q.id, v.questions FROM quizzes q JOIN quiz_versions v ON v.quiz_id = q.id AND v.version = q.version
        WHERE q.id IN %s
    """
    return {row[0]: row[1] for row in await db.fetch_all(sql, (list(quiz_ids),))}
