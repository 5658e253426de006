"""All SQL of personal data. It spans the features' tables on purpose: what is known of a person stands in one list.

tests/integration/test_personal_data.py compares it with the schema: a new column that names a person must be added
here, or be excused there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from core.db import Database, Reader, Transaction
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, quizzes_pb2


class Kind(Enum):
    """How a column's value is written; enums of the contract are given themselves."""

    ID = auto()
    PLAIN = auto()
    FLAG = auto()
    TIME = auto()
    JSON = auto()
    ANSWERS = auto()
    QUESTIONS = auto()
    STRETCHES = auto()


class Column(NamedTuple):
    """A field of an exported row: its name, where its value comes from and what kind that is (an enum: its type)."""

    name: str
    source: str
    kind: Any = Kind.PLAIN


class Section(NamedTuple):
    """A list of the export: `source` finds the person's rows by one parameter, `keys` tell them apart in an order an
    index has, `batch` are read at once."""

    name: str
    source: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    batch: int = 200


_COURSE_ID: Final = Column("courseId", "t.course_id", Kind.ID)
_ID: Final = Column("id", "t.id", Kind.ID)


def _times(*names: str) -> tuple[Column, ...]:
    """Columns such as `create_time` as `createTime`."""
    return tuple(Column(f"{name}Time", f"t.{name}_time", Kind.TIME) for name in names)


def _plain(**sources: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"t.{source}") for name, source in sources.items())


ACCOUNT: Final = Section(
    "account",
    "users t WHERE t.id = %s",
    (
        _ID,
        *_plain(clerkId="clerk_id", email="email", displayName="display_name", imageUrl="image_url"),
        Column("role", "t.role", identity_pb2.Role),
        Column("status", "t.status", identity_pb2.UserStatus),
        *_times("create", "update"),
    ),
    ("t.id",),
)

_LEARNING: Final = (
    Section(
        "enrollments",
        "enrollments t JOIN courses c ON c.id = t.course_id WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("courseTitle", "c.title"),
            Column("status", "t.status", enrollments_pb2.EnrollmentStatus),
            *_times("create"),
            # 1970 stands for none.
            Column("lastActivityTime", "IF(t.last_activity_time > '1970-01-02', t.last_activity_time, NULL)", Kind.TIME),
            *_times("complete"),
        ),
        ("t.course_id",),
    ),
    Section(
        "entitlements",
        "entitlements t WHERE t.student_id = %s",
        (_COURSE_ID, Column("sourceKind", "t.source_kind"), Column("sourceId", "t.source_id", Kind.ID), *_times("grant", "end")),
        ("t.course_id", "t.source_kind", "t.source_id"),
    ),
    Section(
        "lectureProgress",
        "lecture_progress t WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("lectureId", "t.lecture_id", Kind.ID),
            *_times("complete"),
            *_plain(positionSeconds="position_seconds", watchedSeconds="watched_seconds"),
            Column("watched", "t.watched", Kind.STRETCHES),
            *_times("update"),
        ),
        ("t.course_id", "t.lecture_id"),
    ),
    Section(
        "quizResults",
        "quiz_results t WHERE t.student_id = %s",
        (
            _COURSE_ID,
            Column("quizId", "t.quiz_id", Kind.ID),
            *_plain(bestPercent="best_percent"),
            Column("passed", "t.passed", Kind.FLAG),
            *_plain(attempts="attempts"),
            *_times("update"),
        ),
        ("t.course_id", "t.quiz_id"),
    ),
    Section(
        "attempts",
        "attempts t WHERE t.student_id = %s",
        (
            _ID,
            Column("quizId", "t.quiz_id", Kind.ID),
            _COURSE_ID,
            *_plain(number="number"),
            Column("status", "t.status", quizzes_pb2.AttemptStatus),
            *_times("start"),
            Column("deadline", "t.deadline", Kind.TIME),
            *_times("submit"),
            *_plain(pointsEarned="points_earned", pointsPossible="points_possible", percent="percent"),
            Column("passed", "t.passed", Kind.FLAG),
            Column("answers", "t.answers", Kind.ANSWERS),
        ),
        ("t.quiz_id", "t.number"),
        batch=10,
    ),
)

_STANDING: Final = (
    Section(
        "payments",
        "payments t WHERE t.student_id = %s",
        (
            _ID,
            _COURSE_ID,
            *_plain(amountMinor="amount_minor", refundedMinor="refunded_minor", currency="currency"),
            Column("status", "t.status", payments_pb2.PaymentStatus),
            *_plain(provider="provider", providerReference="provider_reference", checkoutUrl="checkout_url"),
            *_times("create", "update", "expire"),
        ),
        ("t.id",),
    ),
    Section(
        "certificates",
        "certificates t WHERE t.student_id = %s",
        (
            Column("id", "t.id"),
            _COURSE_ID,
            *_plain(studentName="student_name", courseTitle="course_title", instructorName="instructor_name"),
            *_plain(scorePercent="score_percent"),
            *_times("complete"),
            Column("status", "t.status", certificates_pb2.CertificateStatus),
            *_times("issue", "revoke"),
        ),
        ("t.course_id",),
    ),
    *(
        Section(
            "familyLinks",
            f"family_links t WHERE t.{own} = %s",
            (Column("parentId", "t.parent_id", Kind.ID), Column("childId", "t.child_id", Kind.ID), *_times("create")),
            (f"t.{other}",),
        )
        for own, other in (("parent_id", "child_id"), ("child_id", "parent_id"))
    ),
    Section(
        "signOuts",
        "revoked_sessions t WHERE t.user_id = %s",
        (*_plain(sessionId="session_id"), *_times("revoke")),
        ("t.session_id",),
    ),
    Section(
        "auditEvents",
        "audit_events t WHERE t.actor_id = %s",
        (
            _ID,
            *_plain(action="action", targetType="target_type", targetId="target_id"),
            Column("before", "t.before_state", Kind.JSON),
            Column("after", "t.after_state", Kind.JSON),
            *_plain(requestId="request_id"),
            *_times("create"),
        ),
        ("t.create_time", "t.id"),
    ),
)

_OWN_COURSES: Final = "JOIN courses c ON c.id = t.course_id WHERE c.instructor_id = %s"
_TEACHING: Final = (
    Section(
        "courses",
        "courses t WHERE t.instructor_id = %s",
        (
            _ID,
            *_plain(title="title", description="description", priceMinor="price_minor", currency="currency"),
            Column("level", "t.level", courses_pb2.CourseLevel),
            *_plain(language="language"),
            Column("status", "t.status", courses_pb2.CourseStatus),
            *_times("create", "update", "publish"),
        ),
        ("t.id",),
        batch=20,
    ),
    Section("courseTags", f"course_tags t {_OWN_COURSES}", (_COURSE_ID, *_plain(tag="tag")), ("t.course_id", "t.tag")),
    Section(
        "modules",
        f"modules t {_OWN_COURSES}",
        (_ID, _COURSE_ID, *_plain(title="title", position="position")),
        ("t.course_id", "t.id"),
    ),
    Section(
        "lectures",
        f"lectures t {_OWN_COURSES}",
        (
            _ID,
            Column("moduleId", "t.module_id", Kind.ID),
            _COURSE_ID,
            *_plain(title="title", position="position", videoUrl="video_url", durationSeconds="duration_seconds", notes="notes"),
            Column("preview", "t.preview", Kind.FLAG),
            *_times("create", "update"),
        ),
        ("t.course_id", "t.id"),
        batch=5,
    ),
    Section(
        "quizzes",
        f"quizzes t JOIN quiz_versions v ON v.quiz_id = t.id AND v.version = t.version {_OWN_COURSES}",
        (
            _ID,
            _COURSE_ID,
            Column("lectureId", "t.lecture_id", Kind.ID),
            *_plain(title="title", passPercent="pass_percent"),
            *_plain(timeLimitSeconds="time_limit_seconds", maxAttempts="max_attempts"),
            Column("shuffle", "t.shuffle", Kind.FLAG),
            Column("questions", "v.questions", Kind.QUESTIONS),
        ),
        ("t.course_id", "t.id"),
        batch=5,
    ),
)

# In the order of the document; sections of one name follow each other and make one list.
SECTIONS: Final = (*_LEARNING, *_STANDING, *_TEACHING)


async def section_rows(db: Reader, section: Section, user_id: bytes, after: Sequence[object] | None) -> Sequence[tuple[Any, ...]]:
    """The next rows of a section behind the keys `after`: the columns' values, then the keys'."""
    selected = ", ".join([*(column.source for column in section.columns), *section.keys])
    where, params = "", []  # type: tuple[str, list[object]]
    if after is not None:
        steps = []
        for index, key in enumerate(section.keys):
            steps.append(" AND ".join([*(f"{equal} = %s" for equal in section.keys[:index]), f"{key} > %s"]))
            params += after[: index + 1]
        where = f"AND {section.keys[0]} >= %s AND ({' OR '.join(steps)})"
        params.insert(0, after[0])
    order = ", ".join(section.keys)
    sql = f"SELECT {selected} FROM {section.source} {where} ORDER BY {order} LIMIT {section.batch}"
    return await db.fetch_all(sql, (user_id, *params))


# Erasing.


class Erasure(NamedTuple):
    """An account whose content is being erased."""

    user_id: bytes
    start_time: datetime
    finish_time: datetime | None


def clerk_digest(clerk_id: str) -> bytes:
    """What is kept of an erased account's id at Clerk: enough to know it again, and of a random id too little to guess it."""
    return hashlib.sha256(clerk_id.encode()).digest()


async def insert_erasure(tx: Transaction, user_id: bytes, clerk_id: str, now: datetime) -> None:
    """Note that an account is erased, and that its user at Clerk is to be deleted. Raises DuplicateKey when it is already."""
    sql = "INSERT INTO erasures (user_id, clerk_digest, start_time, clerk_id, clerk_try_time) VALUES (%s, %s, %s, %s, %s)"
    await tx.execute(sql, (user_id, clerk_digest(clerk_id), now, clerk_id, now))


async def erasure(db: Reader, user_id: bytes) -> Erasure | None:
    """The erasure of an account."""
    row = await db.fetch_one("SELECT user_id, start_time, finish_time FROM erasures WHERE user_id = %s", (user_id,))
    return Erasure(*row) if row else None


async def was_erased(db: Reader, clerk_id: str) -> bool:
    """Whether a Clerk user's account was erased."""
    sql = "SELECT 1 FROM erasures WHERE clerk_digest = %s LIMIT 1"
    return await db.fetch_one(sql, (clerk_digest(clerk_id),)) is not None


async def still_at_clerk(db: Reader, limit: int) -> list[bytes]:
    """Erased accounts that are yet to be deleted at Clerk, those whose last try is the longest ago first."""
    sql = "SELECT user_id FROM erasures WHERE clerk_try_time IS NOT NULL ORDER BY clerk_try_time LIMIT %s"
    return [row[0] for row in await db.fetch_all(sql, (limit,))]


async def is_going(db: Reader, clerk_id: str) -> bool:
    """Whether a Clerk user's account is being erased: the user is yet to be deleted there, or may have been read before."""
    sql = "SELECT 1 FROM erasures WHERE clerk_digest = %s AND (clerk_try_time IS NOT NULL OR finish_time IS NULL) LIMIT 1"
    return await db.fetch_one(sql, (clerk_digest(clerk_id),)) is not None


async def clerk_id_of(db: Reader, user_id: bytes) -> str | None:
    """The id at Clerk of an erased account that is yet to be deleted there."""
    row = await db.fetch_one("SELECT clerk_id FROM erasures WHERE user_id = %s", (user_id,))
    return row[0] if row else None


async def note_clerk_try(db: Database, user_id: bytes, now: datetime) -> None:
    """Note that an erased account is about to be deleted at Clerk: if that fails, all others come first."""
    sql = "UPDATE erasures SET clerk_try_time = %s WHERE user_id = %s AND clerk_try_time IS NOT NULL"
    await db.execute(sql, (now, user_id))


async def note_gone_at_clerk(db: Database, user_id: bytes) -> None:
    """Note that an erased account is deleted at Clerk, and forget its id there."""
    await db.execute("UPDATE erasures SET clerk_id = NULL, clerk_try_time = NULL WHERE user_id = %s", (user_id,))


async def unfinished(db: Reader, started_before: datetime, limit: int) -> list[bytes]:
    """Accounts whose erasure began before and is not finished, the oldest first."""
    sql = "SELECT user_id FROM erasures WHERE finish_time IS NULL AND start_time <= %s ORDER BY start_time LIMIT %s"
    return [row[0] for row in await db.fetch_all(sql, (started_before, limit))]


async def finish(db: Database, user_id: bytes, now: datetime) -> None:
    """Note that nothing is left to erase."""
    await db.execute("UPDATE erasures SET finish_time = %s WHERE user_id = %s AND finish_time IS NULL", (now, user_id))


async def replace_identity(tx: Transaction, user_id: bytes, clerk_id: str, name: str) -> None:
    """Put a name and an id that mean nobody in the place of all that says who somebody is."""
    sql = "UPDATE users SET clerk_id = %s, email = '', display_name = %s, image_url = '', profile_version = 0 WHERE id = %s"
    await tx.execute(sql, (clerk_id, name, user_id))


# Each erases up to so many rows of an account, and counts those it erased: none are left when that is 0.
_BATCH: Final = 500
_CONTENT: Final = (
    f"UPDATE attempts SET answers = '' WHERE student_id = %s AND answers <> '' LIMIT {_BATCH}",
    "UPDATE lecture_progress SET position_seconds = 0, watched = NULL"
    f" WHERE student_id = %s AND (position_seconds <> 0 OR watched IS NOT NULL) LIMIT {_BATCH}",
    f"DELETE FROM outbox WHERE user_id = %s LIMIT {_BATCH}",
)
# All of them, for a file says nothing of the name in it; what is asked for again is made again.
_FILES: Final = "DELETE FROM certificate_files WHERE certificate_id IN (SELECT id FROM certificates WHERE student_id = %s)"
_NAMES: Final = "UPDATE certificates SET student_name = %s WHERE student_id = %s AND student_name <> %s"
ERASERS: Final = range(len(_CONTENT))


async def erase_content(tx: Transaction, eraser: int, user_id: bytes) -> int:
    """Run one of the `ERASERS` once."""
    return await tx.execute(_CONTENT[eraser], (user_id,))


async def erase_certificates(tx: Transaction, user_id: bytes, name: str) -> None:
    """Put another name into an account's certificates, and delete the files that show the old one."""
    await tx.execute(_FILES, (user_id,))
    await tx.execute(_NAMES, (name, user_id, name))
