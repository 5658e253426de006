"""All SQL of courses, modules and lectures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.courses.rows import (
    CourseFields,
    CourseHead,
    CourseRow,
    LectureFields,
    LectureRow,
    ListFilter,
    ModuleRow,
    OutlineRow,
    OwnedCourse,
    Place,
    SearchRow,
    SearchSource,
)
from core.db import Reader, Transaction
from core.families.access import LINKS
from skillforge.v1 import courses_pb2, enrollments_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_PUBLISHED = int(courses_pb2.COURSE_STATUS_PUBLISHED)


# Courses

_HEAD = """
SELECT id, instructor_id, title, description, price_minor, currency, status, version, publish_time
FROM courses WHERE id = %s AND (instructor_id = %s OR %s)
"""
_COURSE = """
SELECT c.id, c.instructor_id, u.display_name, c.title, c.description, c.price_minor, c.currency, c.level, c.language,
  c.status, c.version, c.lecture_count, c.enrollment_count, c.create_time, c.update_time, c.publish_time,
  x.id, x.question_count
FROM courses c
JOIN users u ON u.id = c.instructor_id
LEFT JOIN quizzes x ON x.course_id = c.id AND x.exam_slot = 1
"""


async def course_head(db: Reader, course_id: bytes, owner_id: bytes, is_admin: bool) -> CourseHead | None:
    """The course if it is this owner's, or an admin asks."""
    row = await db.fetch_one(_HEAD, (course_id, owner_id, is_admin))
    return CourseHead(*row) if row else None


async def course(db: Reader, course_id: bytes) -> CourseRow | None:
    """One course, whoever asks."""
    row = await db.fetch_one(_COURSE + "WHERE c.id = %s", (course_id,))
    return CourseRow(*row) if row else None


async def touch_course(tx: Transaction, course_id: bytes, owner_id: bytes, is_admin: bool, now: datetime) -> bool:
    """Mark the owner's course as changed, which locks it until the end of the transaction."""
    sql = "UPDATE courses SET update_time = %s WHERE id = %s AND (instructor_id = %s OR %s)"
    return await tx.execute(sql, (now, course_id, owner_id, is_admin)) == 1


async def insert_course(tx: Transaction, course_id: bytes, instructor_id: bytes, fields: CourseFields, now: datetime) -> None:
    """A new draft, version 1."""
    sql = """
        INSERT INTO courses (id, instructor_id, title, description, price_minor, currency, level, language, status, version,
          lecture_count, enrollment_count, create_time, update_time, publish_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, 0, 0, %s, %s, NULL)
    """
    await tx.execute(sql, (course_id, instructor_id, *fields, int(courses_pb2.COURSE_STATUS_DRAFT), now, now))


async def update_course(tx: Transaction, course_id: bytes, version: int, fields: CourseFields) -> bool:
    """Replace the metadata of this version; False: it is another version by now."""
    sql = """
        UPDATE courses SET title = %s, description = %s, price_minor = %s, currency = %s, level = %s, language = %s,
          version = version + 1
        WHERE id = %s AND version = %s
    """
    return await tx.execute(sql, (*fields, course_id, version)) == 1


async def set_status(tx: Transaction, head: CourseHead, status: int, publish_time: datetime | None) -> bool:
    """Move this version of the course to another status; False: it is another version by now."""
    sql = "UPDATE courses SET status = %s, publish_time = %s, version = version + 1 WHERE id = %s AND version = %s"
    return await tx.execute(sql, (status, publish_time, head.course_id, head.version)) == 1


async def lock_all_of(tx: Transaction, author_id: bytes) -> list[OwnedCourse]:
    """Every course of an author; none of them changes until the end."""
    sql = "SELECT id, title, status, enrollment_count FROM courses WHERE instructor_id = %s ORDER BY id FOR UPDATE"
    return [OwnedCourse(*row) for row in await tx.fetch_all(sql, (author_id,))]


async def archive(tx: Transaction, course_ids: Sequence[bytes]) -> None:
    """Archive courses, whatever their version."""
    sql = "UPDATE courses SET status = %s, version = version + 1 WHERE id IN %s"
    await tx.execute(sql, (int(courses_pb2.COURSE_STATUS_ARCHIVED), course_ids))


async def bump_version(tx: Transaction, course_id: bytes, version: int) -> bool:
    """Count the course's version on; False: it is another version by now."""
    sql = "UPDATE courses SET version = version + 1 WHERE id = %s AND version = %s"
    return await tx.execute(sql, (course_id, version)) == 1


async def add_lecture_count(tx: Transaction, course_id: bytes, difference: int, limit: int) -> bool:
    """Count lectures made or deleted; False: there would be more than `limit`."""
    sql = "UPDATE courses SET lecture_count = lecture_count + %s WHERE id = %s AND lecture_count + %s <= %s"
    return await tx.execute(sql, (difference, course_id, difference, limit)) == 1


async def is_enrolled(db: Reader, student_id: bytes, course_id: bytes) -> bool:
    """Whether the student's enrollment is active."""
    sql = "SELECT 1 FROM enrollments WHERE student_id = %s AND course_id = %s AND status = %s"
    return await db.fetch_one(sql, (student_id, course_id, _ACTIVE)) is not None


# Tags


async def tags(db: Reader, course_ids: Sequence[bytes]) -> dict[bytes, list[str]]:
    """The tags of these courses in their order."""
    found: dict[bytes, list[str]] = {course_id: [] for course_id in course_ids}
    if course_ids:
        sql = "SELECT course_id, tag FROM course_tags WHERE course_id IN %s ORDER BY course_id, position"
        for course_id, tag in await db.fetch_all(sql, (course_ids,)):
            found[course_id].append(tag)
    return found


async def replace_tags(tx: Transaction, course_id: bytes, values: Sequence[str]) -> None:
    """Set a course's tags. Of two that the database holds for equal, the first stays."""
    await tx.execute("DELETE FROM course_tags WHERE course_id = %s", (course_id,))
    if values:
        sql = "INSERT INTO course_tags (course_id, position, tag) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE position = position"
        await tx.insert_many(sql, [(course_id, position, tag) for position, tag in enumerate(values, 1)])


# Lists

_ORDERS = {
    courses_pb2.COURSE_ORDER_NEWEST: ("c.publish_time", "DESC", "<"),
    courses_pb2.COURSE_ORDER_POPULAR: ("c.enrollment_count", "DESC", "<"),
    courses_pb2.COURSE_ORDER_TITLE: ("c.title", "ASC", ">"),
}
_BY_ID = ("c.id", "DESC", "<")


async def list_courses(db: Reader, wanted: ListFilter, after: Place | None, limit: int) -> list[CourseRow]:
    """Up to `limit` courses that follow a place in the order wanted."""
    conditions, params = _conditions(wanted)
    column, direction, beyond = _order(wanted)
    if after is not None:
        last = after.course_id if after.value is None else after.value
        conditions.append(f"{column} {beyond}= %s AND ({column} {beyond} %s OR c.id {beyond} %s)")
        params += [last, last, after.course_id]
    order = f"ORDER BY {column} {direction}, c.id {direction}"
    # The inner query alone decides which, along one index; whatever is joined to it is joined to one page.
    found = "courses c JOIN course_search s ON s.course_id = c.id" if wanted.search else "courses c"
    page = f"SELECT c.id FROM {found} WHERE {' AND '.join(conditions)} {order} LIMIT %s"
    sql = f"{_COURSE}JOIN ({page}) page ON page.id = c.id {order}"
    return [CourseRow(*row) for row in await db.fetch_all(sql, (*params, limit))]


def _order(wanted: ListFilter) -> tuple[str, str, str]:
    order = wanted.order or courses_pb2.COURSE_ORDER_NEWEST
    if wanted.mine is not None and order == courses_pb2.COURSE_ORDER_NEWEST:
        return _BY_ID  # drafts have no time of publication; ids are in the order of creation
    return _ORDERS[courses_pb2.CourseOrder.ValueType(order)]


def _conditions(wanted: ListFilter) -> tuple[list[str], list[object]]:
    found: list[tuple[str, object]] = [
        ("c.status = %s", _PUBLISHED) if wanted.mine is None else ("c.instructor_id = %s", wanted.mine)
    ]
    if wanted.instructor_id is not None:
        found.append(("c.instructor_id = %s", wanted.instructor_id))
    if wanted.level:
        found.append(("c.level = %s", wanted.level))
    if wanted.free is not None:
        found.append(("(c.price_minor = 0) = %s", wanted.free))
    if wanted.tag:
        found.append(("EXISTS (SELECT 1 FROM course_tags t WHERE t.course_id = c.id AND t.tag = %s)", wanted.tag))
    if wanted.search is not None:
        match = "MATCH (s.content, s.instructor) AGAINST (%s IN BOOLEAN MODE)"
        found.append((match, wanted.search) if wanted.search else ("%s", False))
    return [condition for condition, _ in found], [value for _, value in found]


# Search

_PUT_SEARCH = "INSERT INTO course_search (course_id, format, content, instructor) VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE"


async def put_search(tx: Transaction, row: SearchRow) -> None:
    """Store what a course's present metadata is found by. An instructor's name that is there stays: it is changed with
    the name alone, so that nobody who read it before puts an old one back."""
    sql = f"{_PUT_SEARCH} instructor = IF(format = VALUES(format), instructor, VALUES(instructor)),"
    await tx.execute(f"{sql} content = VALUES(content), format = VALUES(format)", row)


async def fill_search(tx: Transaction, rows: Sequence[SearchRow]) -> None:
    """Store the terms of courses that have none of this format; what somebody else stored meanwhile stays."""
    kept = ", ".join(
        f"{column} = IF(format = VALUES(format), {column}, VALUES({column}))" for column in ("instructor", "content")
    )
    # Row by row: MySQL leaves a row out of the full-text index when the statement that inserts it updates another one.
    for row in rows:
        await tx.execute(f"{_PUT_SEARCH} {kept}, format = VALUES(format)", row)


async def put_search_instructor(tx: Transaction, instructor_id: bytes, terms: str) -> None:
    """Store a new name's terms with all of the instructor's courses."""
    sql = "UPDATE course_search SET instructor = %s WHERE course_id IN (SELECT id FROM courses WHERE instructor_id = %s)"
    await tx.execute(sql, (terms, instructor_id))


async def without_search(db: Reader, search_format: int, after: bytes, limit: int) -> list[SearchSource]:
    """Courses behind `after`, by id, that have no terms of this format."""
    sql = """
        SELECT c.id, c.title, c.description, u.display_name
        FROM (
          SELECT id FROM courses
          WHERE id > %s AND id NOT IN (SELECT course_id FROM course_search WHERE format = %s) ORDER BY id LIMIT %s
        ) lacking
        JOIN courses c ON c.id = lacking.id JOIN users u ON u.id = c.instructor_id ORDER BY c.id
    """
    return [SearchSource(*row) for row in await db.fetch_all(sql, (after, search_format, limit))]


# Outlines

_OUTLINE = """
SELECT m.id, m.title, l.id, COALESCE(l.title, ''), COALESCE(l.duration_seconds, 0), COALESCE(l.preview, 0),
  COALESCE(l.has_notes, 0), COALESCE(l.video_url <> '', 0), q.id, q.question_count
FROM modules m
LEFT JOIN lectures l ON l.module_id = m.id
LEFT JOIN quizzes q ON q.lecture_id = l.id
WHERE m.course_id = %s
ORDER BY m.position, m.id, l.position, l.id
"""


async def outline(db: Reader, course_id: bytes) -> list[OutlineRow]:
    """The course's lectures in the order of the outline."""
    return [OutlineRow(*row) for row in await db.fetch_all(_OUTLINE, (course_id,))]


async def order_modules(tx: Transaction, course_id: bytes, module_ids: Sequence[bytes]) -> None:
    """Number the course's modules in this order."""
    if module_ids:
        marks = ", ".join(["%s"] * len(module_ids))
        await tx.execute(f"UPDATE modules SET position = FIELD(id, {marks}) WHERE course_id = %s", (*module_ids, course_id))


async def order_lectures(tx: Transaction, course_id: bytes, module_id: bytes, lecture_ids: Sequence[bytes]) -> None:
    """Make these the module's lectures, numbered in this order."""
    if lecture_ids:
        marks = ", ".join(["%s"] * len(lecture_ids))
        sql = f"UPDATE lectures SET module_id = %s, position = FIELD(id, {marks}) WHERE course_id = %s AND id IN %s"
        await tx.execute(sql, (module_id, *lecture_ids, course_id, lecture_ids))


# Modules


async def module(db: Reader, module_id: bytes) -> ModuleRow | None:
    """One module."""
    row = await db.fetch_one("SELECT id, course_id, title, position FROM modules WHERE id = %s", (module_id,))
    return ModuleRow(*row) if row else None


async def last_module_position(tx: Transaction, course_id: bytes) -> int:
    """The position of the course's last module; 0 without any. Also how many there are: positions have no gaps."""
    row = await tx.fetch_one("SELECT COALESCE(MAX(position), 0) FROM modules WHERE course_id = %s", (course_id,))
    return int(row[0]) if row else 0


async def insert_module(tx: Transaction, row: ModuleRow, now: datetime) -> None:
    sql = "INSERT INTO modules (id, course_id, title, position, create_time) VALUES (%s, %s, %s, %s, %s)"
    await tx.execute(sql, (*row, now))


async def rename_module(tx: Transaction, module_id: bytes, title: str) -> None:
    await tx.execute("UPDATE modules SET title = %s WHERE id = %s", (title, module_id))


async def delete_module(tx: Transaction, row: ModuleRow) -> None:
    """Delete an empty module and close the gap it leaves."""
    await tx.execute("DELETE FROM modules WHERE id = %s", (row.module_id,))
    sql = "UPDATE modules SET position = position - 1 WHERE course_id = %s AND position > %s"
    await tx.execute(sql, (row.course_id, row.position))


# Lectures

_LECTURE = """
SELECT l.id, l.module_id, l.course_id, l.title, l.position, l.video_url, l.duration_seconds, l.notes, l.preview, l.version,
  q.id, c.instructor_id, c.status, EXISTS (SELECT 1 FROM {viewer} AND e.course_id = l.course_id AND e.status = %s)
FROM lectures l
JOIN courses c ON c.id = l.course_id
LEFT JOIN quizzes q ON q.lecture_id = l.id
WHERE l.id = %s
"""
_LECTURE_FOR_STUDENT = _LECTURE.format(viewer="enrollments e WHERE e.student_id = %s")
_LECTURE_FOR_PARENT = _LECTURE.format(viewer=f"{LINKS} JOIN enrollments e ON e.student_id = f.child_id WHERE f.parent_id = %s")


async def lecture(db: Reader, lecture_id: bytes, viewer_id: bytes, *, as_parent: bool = False) -> LectureRow | None:
    """One lecture, and whether the viewer (`as_parent`: a child of the viewer) is enrolled in its course."""
    sql = _LECTURE_FOR_PARENT if as_parent else _LECTURE_FOR_STUDENT
    row = await db.fetch_one(sql, (viewer_id, _ACTIVE, lecture_id))
    return LectureRow(*row) if row else None


async def course_of_lecture(db: Reader, lecture_id: bytes) -> bytes | None:
    row = await db.fetch_one("SELECT course_id FROM lectures WHERE id = %s", (lecture_id,))
    return row[0] if row else None


async def last_lecture_position(tx: Transaction, module_id: bytes) -> int:
    """The position of the module's last lecture; 0 without any."""
    row = await tx.fetch_one("SELECT COALESCE(MAX(position), 0) FROM lectures WHERE module_id = %s", (module_id,))
    return int(row[0]) if row else 0


async def insert_lecture(
    tx: Transaction, lecture_id: bytes, parent: ModuleRow, position: int, fields: LectureFields, now: datetime
) -> None:
    """A new lecture, version 1."""
    sql = """
        INSERT INTO lectures (id, course_id, module_id, position, title, video_url, duration_seconds, notes, has_notes, preview,
          version, create_time, update_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s)
    """
    await tx.execute(sql, (lecture_id, parent.course_id, parent.module_id, position, *fields, now, now))


async def update_lecture(tx: Transaction, lecture_id: bytes, version: int, fields: LectureFields, now: datetime) -> bool:
    """Replace the content of this version; False: it is another version by now."""
    sql = """
        UPDATE lectures SET title = %s, video_url = %s, duration_seconds = %s, notes = %s, has_notes = %s, preview = %s,
          version = version + 1, update_time = %s
        WHERE id = %s AND version = %s
    """
    return await tx.execute(sql, (*fields, now, lecture_id, version)) == 1


async def delete_lectures(tx: Transaction, lecture_ids: Sequence[bytes]) -> int:
    """Delete lectures with their quizzes; what students did stays. Returns how many lectures there were."""
    if not lecture_ids:
        return 0
    await tx.execute("DELETE FROM quizzes WHERE lecture_id IN %s", (lecture_ids,))
    return await tx.execute("DELETE FROM lectures WHERE id IN %s", (lecture_ids,))


async def close_lecture_gap(tx: Transaction, module_id: bytes, position: int) -> None:
    """Number the lectures behind a deleted one anew."""
    await tx.execute("UPDATE lectures SET position = position - 1 WHERE module_id = %s AND position > %s", (module_id, position))


async def lectures_of_module(tx: Transaction, module_id: bytes) -> list[bytes]:
    return [row[0] for row in await tx.fetch_all("SELECT id FROM lectures WHERE module_id = %s", (module_id,))]
