"""All SQL of generated data. People and what they did are written by the server from numbers alone, set by set.

Everything follows from a row's number and `CRC32` of it, so a statement that runs again writes the same rows, and the
rows that are there already stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from core.db import Database, Reader, Transaction
from core.generate.plan import EXAM_QUESTIONS, LECTURES_A_MODULE, Plan
from core.payments.rules import NO_REFUND, EntryKind, EventType, Outcome
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, quizzes_pb2

PROVIDER = "generated"
EXAM_PASS_PERCENT = 60
_DAY = 86_400
# Accounts are two years to one year old, enrollments younger.
_OLDEST_USER_DAYS, _YOUNGEST_USER_DAYS = 730, 366
_ENROLLMENT_SECONDS = 364 * _DAY

_PERCENT = f"e.correct * 100 / {EXAM_QUESTIONS}"
_DIGITS = f"({' UNION ALL '.join(f'SELECT {digit} AS d' for digit in range(10))})"
# A derived table with a limit is made once; one without may be folded into each place that uses it.
_ONCE = "LIMIT 18446744073709551615"
_FIRST_NAMES = (
    "Ada", "Amina", "Aiko", "Carlos", "Chen", "Diego", "Elif", "Fatima", "Grace", "Hanna", "Igor", "Ines", "Jamal", "Júlia",
    "Kofi", "Lars", "Leïla", "Maria", "Nadia", "Noah", "Ольга", "Omar", "Priya", "Иван", "Rosa", "Samuel", "Søren", "Tomás",
    "Wei", "Yuki", "Zoë", "लीला",
)  # fmt: skip
_LAST_NAMES = (
    "Abebe", "Andersen", "Bauer", "Castro", "Diallo", "Eriksson", "Fischer", "García", "Haddad", "Ivanova", "Jensen", "Kim",
    "Kowalska", "Li", "Moreau", "Müller", "Nakamura", "Nguyen", "Okafor", "Öztürk", "Patel", "Quispe", "Rossi", "Sato",
    "Silva", "Singh", "Tanaka", "Torres", "Wang", "Yilmaz", "Żukowski",
)  # fmt: skip


class Span(NamedTuple):
    """Numbers of students, from `first` to before `end`."""

    first: int
    end: int


class CourseRow(NamedTuple):
    """A course to be written."""

    course_id: bytes
    instructor_id: bytes
    title: str
    description: str
    price_minor: int
    currency: str
    level: int
    created: datetime


class LectureRow(NamedTuple):
    """A lecture to be written."""

    lecture_id: bytes
    course_id: bytes
    module_id: bytes
    title: str
    position: int
    video_url: str
    duration_seconds: int
    notes: str
    preview: bool
    created: datetime


class Graduate(NamedTuple):
    """Somebody who completed a course and has no certificate yet."""

    student_id: bytes
    course_id: bytes
    instructor_id: bytes
    student_name: str
    course_title: str
    instructor_name: str
    score_percent: float
    complete_time: datetime


def _numbers(span: Span, name: str) -> str:
    """A table of the numbers of a span as a column `name`."""
    count = span.end - span.first
    places = range(len(str(max(1, count - 1))))
    value = " + ".join(f"d{place}.d * {10**place}" for place in places)
    tables = " CROSS JOIN ".join(f"{_DIGITS} d{place}" for place in places)
    return f"(SELECT {span.first} + {value} AS {name} FROM {tables} WHERE {value} < {count} {_ONCE}) {name}_numbers"


def _crc(plan: Plan, purpose: str, number: str) -> str:
    """A number below 2^32 that looks drawn by chance."""
    return f"CRC32(CONCAT('{plan.tag}{purpose}', {number}))"


def _enrollments(plan: Plan, span: Span) -> str:
    """The enrollments of the students: ids of student and course, numbers of the enrollment (x) and the course (c); seconds
    since it began (age) and from then to the last activity (active); lectures done; right answers in the exam."""
    number = f"n * {plan.enrollments} + k"
    # The cube makes a few courses popular: the first of a thousand has a tenth of all students.
    popular = f"FLOOR({plan.courses} * POW({_crc(plan, 'course', 'n')} / 4294967296e0, 3))"
    inner = f"""
        SELECT n, {number} AS x, CAST(MOD({popular} + k * {plan.stride}, {plan.courses}) AS SIGNED) AS c,
          CAST({_DAY} + MOD({_crc(plan, "age", number)}, {_ENROLLMENT_SECONDS}) AS SIGNED) AS age,
          CAST(MOD({_crc(plan, "active", number)}, 1001) AS SIGNED) AS share,
          {plan.fewest} + MOD(n + n DIV {plan.spread} + 7 * k, {plan.spread}) AS done,
          1 + MOD({_crc(plan, "exam", number)}, {EXAM_QUESTIONS}) AS correct
        FROM {_numbers(span, "n")} CROSS JOIN {_numbers(Span(0, plan.enrollments), "k")} {_ONCE}
    """
    ids = f"{plan.id_sql('student', 'n')} AS student_id, {plan.id_sql('course', 'c')} AS course_id"
    return f"(SELECT {ids}, x, c, age, age * share DIV 1000 AS active, done, correct FROM ({inner}) drawn {_ONCE}) e"


def _passed(plan: Plan) -> str:
    """Whether an enrollment of `_enrollments` has its exam behind it with success."""
    return f"(e.done = {plan.lectures} AND e.correct * 100 >= {EXAM_PASS_PERCENT * EXAM_QUESTIONS})"


# People


async def insert_people(db: Database, plan: Plan, kind: str, span: Span) -> None:
    """Students or instructors. Their Clerk ids are those that the fake of Clerk gives their addresses."""
    role = identity_pb2.ROLE_STUDENT if kind == "student" else identity_pb2.ROLE_INSTRUCTOR
    total = plan.students if kind == "student" else plan.instructors
    days = _OLDEST_USER_DAYS - _YOUNGEST_USER_DAYS
    first, last = (", ".join(["%s"] * len(names)) for names in (_FIRST_NAMES, _LAST_NAMES))
    sql = f"""
        INSERT INTO users (id, clerk_id, email, display_name, image_url, role, status, profile_version, create_time, update_time)
        SELECT {plan.id_sql(kind, "n")}, CONCAT('user_', SUBSTR(SHA2(email, 256), 1, 27)), email,
          CONCAT(ELT(1 + MOD(drawn, {len(_FIRST_NAMES)}), {first}), ' ',
                 ELT(1 + MOD(drawn DIV 1000, {len(_LAST_NAMES)}), {last})),
          '', %s, %s, 0, created, created
        FROM (
          SELECT n, CONCAT('{kind}', n + 1, '@{plan.domain}') AS email, {_crc(plan, kind, "n")} AS drawn,
            CAST(%s AS DATETIME(6)) - INTERVAL ({_OLDEST_USER_DAYS * _DAY} - n * {days * _DAY} DIV {total}) SECOND AS created
          FROM {_numbers(span, "n")} {_ONCE}
        ) people
        ON DUPLICATE KEY UPDATE id = users.id
    """
    active = int(identity_pb2.USER_STATUS_ACTIVE)
    await db.execute(sql, (*_FIRST_NAMES, *_LAST_NAMES, int(role), active, plan.until))


# Courses


def course_time(plan: Plan, number: int) -> datetime:
    """When a course was made and published: after the last account and before the first enrollment, one each second."""
    return plan.until - timedelta(days=_YOUNGEST_USER_DAYS) + timedelta(seconds=number % _DAY)


async def insert_courses(tx: Transaction, rows: Sequence[CourseRow], lecture_count: int) -> None:
    """Published courses."""
    sql = """
        INSERT INTO courses (id, instructor_id, title, description, price_minor, currency, level, create_time,
          update_time, publish_time, language, status, version, lecture_count, enrollment_count)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'en', %s, 1, %s, 0) ON DUPLICATE KEY UPDATE id = id
    """
    published = int(courses_pb2.COURSE_STATUS_PUBLISHED)
    await tx.insert_many(sql, [(*row, row.created, row.created, published, lecture_count) for row in rows])


async def insert_tags(tx: Transaction, rows: Sequence[tuple[bytes, int, str]]) -> None:
    """Tags: course, position, tag."""
    sql = "INSERT INTO course_tags (course_id, position, tag) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE tag = tag"
    await tx.insert_many(sql, rows)


async def insert_modules(tx: Transaction, rows: Sequence[tuple[bytes, bytes, str, int, datetime]]) -> None:
    """Modules: id, course, title, position, time."""
    sql = """
        INSERT INTO modules (id, course_id, title, position, create_time) VALUES (%s, %s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE id = id
    """
    await tx.insert_many(sql, rows)


async def insert_lectures(tx: Transaction, rows: Sequence[LectureRow]) -> None:
    """Lectures with a video and notes."""
    sql = """
        INSERT INTO lectures (id, course_id, module_id, title, position, video_url, duration_seconds, notes, preview,
          create_time, update_time, has_notes, version)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, TRUE, 1) ON DUPLICATE KEY UPDATE id = id
    """
    await tx.insert_many(sql, [(*row, row.created) for row in rows])


async def insert_exams(tx: Transaction, rows: Sequence[tuple[bytes, bytes, datetime]], questions: bytes) -> None:
    """Final exams (id, course, time), all with the same serialized questions."""
    sql = """
        INSERT INTO quizzes (id, course_id, lecture_id, exam_slot, title, pass_percent, time_limit_seconds, max_attempts, shuffle,
          version, question_count, create_time, update_time)
        VALUES (%s, %s, NULL, 1, 'Final exam', %s, 0, 0, FALSE, 1, %s, %s, %s) ON DUPLICATE KEY UPDATE id = id
    """
    await tx.insert_many(sql, [(quiz, course, EXAM_PASS_PERCENT, EXAM_QUESTIONS, made, made) for quiz, course, made in rows])
    sql = """
        INSERT INTO quiz_versions (quiz_id, version, pass_percent, questions) VALUES (%s, 1, %s, %s)
        ON DUPLICATE KEY UPDATE version = version
    """
    await tx.insert_many(sql, [(quiz, EXAM_PASS_PERCENT, questions) for quiz, _, _ in rows])


# What students did


async def insert_enrollments(db: Database, plan: Plan, span: Span) -> None:
    """Active enrollments with their numbers; complete where every lecture is and the exam is passed."""
    active = "CAST(%s AS DATETIME(6)) - INTERVAL (e.age - e.active) SECOND"
    percent = f"IF(e.done = {plan.lectures}, {_PERCENT}, {{}})"
    sql = f"""
        INSERT INTO enrollments (student_id, course_id, status, create_time, last_activity_time, complete_time, student_name,
          lectures_completed, exam_percent, exam_passed, score, activity_day)
        SELECT u.id, e.course_id, %s, CAST(%s AS DATETIME(6)) - INTERVAL e.age SECOND,
          IF(e.done > 0, {active}, '1970-01-01'), IF({_passed(plan)}, {active}, NULL), u.display_name,
          e.done, {percent.format("NULL")}, {_passed(plan)}, {percent.format("-1")},
          IF(e.done > 0, DATEDIFF({active}, '1970-01-01'), 0)
        FROM {_enrollments(plan, span)} JOIN users u ON u.id = e.student_id
        ON DUPLICATE KEY UPDATE status = enrollments.status
    """
    await db.execute(sql, (int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE), *[plan.until] * 4))


async def insert_entitlements(db: Database, plan: Plan, span: Span) -> None:
    """Why each may learn: a payment where the course has a price."""
    sql = f"""
        INSERT INTO entitlements (student_id, course_id, source_kind, source_id, grant_time)
        SELECT e.student_id, c.id, IF(c.price_minor > 0, 'payment', 'free'),
          IF(c.price_minor > 0, {plan.id_sql("payment", "e.x")}, c.id), CAST(%s AS DATETIME(6)) - INTERVAL e.age SECOND
        FROM {_enrollments(plan, span)} JOIN courses c ON c.id = e.course_id
        ON DUPLICATE KEY UPDATE source_kind = entitlements.source_kind
    """
    await db.execute(sql, (plan.until,))


async def insert_payments(db: Database, plan: Plan, span: Span) -> None:
    """A payment that succeeded, the event that said so and the ledger's entry, for each enrollment in a course with a price."""
    source = f"{_enrollments(plan, span)} JOIN courses c ON c.id = e.course_id WHERE c.price_minor > 0"
    paid = "CAST(%s AS DATETIME(6)) - INTERVAL e.age SECOND"
    sql = f"""
        INSERT INTO payments (id, student_id, course_id, amount_minor, currency, refunded_minor, status, open_slot, provider,
          provider_reference, checkout_url, create_time, update_time, expire_time, list_price_minor, pay_time)
        SELECT {plan.id_sql("payment", "e.x")}, e.student_id, c.id, c.price_minor, c.currency, 0, %s, NULL, %s,
          '', '', {paid} - INTERVAL 1 MINUTE, {paid}, {paid} + INTERVAL 29 MINUTE, c.price_minor, {paid}
        FROM {source}
        ON DUPLICATE KEY UPDATE status = payments.status
    """
    await db.execute(sql, (int(payments_pb2.PAYMENT_STATUS_SUCCEEDED), PROVIDER, *[plan.until] * 4))
    sql = f"""
        INSERT INTO payment_events
          (provider, event_id, payment_id, type, amount_minor, currency, event_time, receive_time, outcome)
        SELECT %s, CONCAT('evt_{plan.tag}_', e.x), {plan.id_sql("payment", "e.x")}, %s, c.price_minor, c.currency,
          {paid}, {paid}, %s
        FROM {source}
        ON DUPLICATE KEY UPDATE outcome = payment_events.outcome
    """
    await db.execute(sql, (PROVIDER, EventType.SUCCEEDED.value, plan.until, plan.until, Outcome.APPLIED.value))
    sql = f"""
        INSERT INTO payment_ledger (payment_id, refund_id, kind, course_id, amount_minor, currency, entry_time)
        SELECT {plan.id_sql("payment", "e.x")}, %s, %s, c.id, c.price_minor, c.currency, {paid} FROM {source}
        ON DUPLICATE KEY UPDATE currency = payment_ledger.currency
    """
    await db.execute(sql, (NO_REFUND, int(EntryKind.CHARGE), plan.until))


def _completed_lectures(plan: Plan, span: Span) -> str:
    """The lectures each has completed: the first ones (j from 0), ages `ago` in seconds spread over the time the student
    was active; who completed all keeps the last tenth of it for the exam."""
    share = f"e.active * (j + 1) * IF(e.done = {plan.lectures}, 9, 10) DIV (10 * e.done)"
    lectures = _numbers(Span(0, plan.lectures), "j")
    columns = f"student_id, course_id, c, j, e.age - {share} AS ago"
    inner = f"SELECT {columns} FROM {_enrollments(plan, span)} JOIN {lectures} ON j < e.done"
    return f"({inner} {_ONCE}) l"


async def insert_progress(db: Database, plan: Plan, span: Span) -> None:
    """Completed lectures, each watched from its beginning to its end."""
    lecture, seconds = f"l.c * {plan.lectures} + l.j", "(300 + 60 * MOD(l.j, 10))"
    done = "CAST(%s AS DATETIME(6)) - INTERVAL l.ago SECOND"
    sql = f"""
        INSERT INTO lecture_progress
          (student_id, course_id, lecture_id, complete_time, position_seconds, watched_seconds, update_time, watched)
        SELECT l.student_id, l.course_id, {plan.id_sql("lecture", lecture)}, {done},
          {seconds}, {seconds}, {done}, UNHEX(LPAD(HEX({seconds}), 16, '0'))
        FROM {_completed_lectures(plan, span)}
        ON DUPLICATE KEY UPDATE complete_time = lecture_progress.complete_time
    """
    await db.execute(sql, (plan.until, plan.until))


async def insert_active_days(db: Database, plan: Plan, span: Span, since: datetime) -> None:
    """Who was active on which day since a time: completed a lecture, or sat the exam."""
    day = "DATEDIFF(CAST(%s AS DATETIME(6)) - INTERVAL {} SECOND, '1970-01-01')"
    recent = int((plan.until - since).total_seconds())
    sql = f"""
        INSERT INTO activity_days (day, course_id, student_id)
        SELECT DISTINCT {day.format("l.ago")}, course_id, student_id FROM {_completed_lectures(plan, span)} WHERE l.ago <= %s
        UNION
        SELECT {day.format("(e.age - e.active)")}, course_id, student_id FROM {_enrollments(plan, span)}
        WHERE e.done = {plan.lectures} AND e.age - e.active <= %s
        ON DUPLICATE KEY UPDATE day = VALUES(day)
    """
    await db.execute(sql, (plan.until, recent, plan.until, recent))


def duration(number: int) -> int:
    """Seconds of the lecture with a number, from 0, in its course."""
    return 300 + 60 * (number % 10)


async def insert_attempts(db: Database, plan: Plan, span: Span, answers: Sequence[bytes], results: Sequence[bytes]) -> None:
    """One submitted exam for each who completed all lectures, and the result. `answers` and `results`: serialized, by how
    many are right, from 1."""
    marks = ", ".join(["%s"] * EXAM_QUESTIONS)
    ended = "CAST(%s AS DATETIME(6)) - INTERVAL (e.age - e.active) SECOND"
    ids = f"e.student_id, e.course_id, {plan.id_sql('exam', 'e.c')}"
    source = f"{_enrollments(plan, span)} WHERE e.done = {plan.lectures}"
    sql = f"""
        INSERT INTO attempts (id, student_id, course_id, quiz_id, quiz_version, number, status, open_slot, shuffle_seed, answers,
          results, points_earned, points_possible, percent, passed, start_time, deadline, submit_time)
        SELECT {plan.id_sql("attempt", "e.x")}, {ids}, 1, 1, %s, NULL, 0, ELT(e.correct, {marks}), ELT(e.correct, {marks}),
          e.correct, {EXAM_QUESTIONS}, {_PERCENT}, {_passed(plan)},
          CAST(%s AS DATETIME(6)) - INTERVAL (e.age - e.active * 19 DIV 20) SECOND, NULL, {ended}
        FROM {source}
        ON DUPLICATE KEY UPDATE status = attempts.status
    """
    await db.execute(sql, (int(quizzes_pb2.ATTEMPT_STATUS_SUBMITTED), *answers, *results, plan.until, plan.until))
    sql = f"""
        INSERT INTO quiz_results (student_id, course_id, quiz_id, best_percent, passed, attempts, update_time)
        SELECT {ids}, {_PERCENT}, {_passed(plan)}, 1, {ended} FROM {source}
        ON DUPLICATE KEY UPDATE attempts = quiz_results.attempts
    """
    await db.execute(sql, (plan.until,))


# Certificates


async def graduates(db: Reader, plan: Plan, span: Span) -> list[Graduate]:
    """Those of the students who completed a course and have no certificate for it."""
    sql = """
        SELECT e.student_id, e.course_id, c.instructor_id, s.display_name, c.title, i.display_name,
          COALESCE(r.best_percent, 100), e.complete_time
        FROM enrollments e
        JOIN users s ON s.id = e.student_id
        JOIN courses c ON c.id = e.course_id
        JOIN users i ON i.id = c.instructor_id
        LEFT JOIN quizzes x ON x.course_id = e.course_id AND x.exam_slot = 1
        LEFT JOIN quiz_results r ON r.student_id = e.student_id AND r.course_id = e.course_id AND r.quiz_id = x.id
        LEFT JOIN certificates t ON t.student_id = e.student_id AND t.course_id = e.course_id
        WHERE e.student_id BETWEEN %s AND %s AND e.complete_time IS NOT NULL AND t.id IS NULL
    """
    ends = plan.id_of("student", span.first), plan.id_of("student", span.end - 1)
    return [Graduate(*row) for row in await db.fetch_all(sql, ends)]


async def insert_certificates(tx: Transaction, rows: Sequence[tuple[str, Graduate]]) -> None:
    """Certificates by their ids; who got one meanwhile keeps it."""
    sql = """
        INSERT INTO certificates (id, student_id, course_id, instructor_id, student_name, course_title, instructor_name,
          score_percent, complete_time, status, issue_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE status = status
    """
    valid = int(certificates_pb2.CERTIFICATE_STATUS_VALID)
    await tx.insert_many(sql, [(number, *row, valid, row.complete_time) for number, row in rows])


# What the server knows of its tables


async def refresh_statistics(db: Database) -> None:
    """Let the server look at its tables anew, so that it plans for their new sizes."""
    await db.fetch_all(
        "ANALYZE TABLE users, courses, course_tags, modules, lectures, quizzes, enrollments, entitlements, lecture_progress,"
        " quiz_results, attempts, payments, payment_events, certificates, course_counts, activity_days, payment_ledger"
    )


def modules_of(plan: Plan) -> int:
    """How many modules a course has."""
    return -(-plan.lectures // LECTURES_A_MODULE)
