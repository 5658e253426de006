"""Keeping what courses are found by in step with what they say."""

from __future__ import annotations

import asyncio

from core.courses import queries, search
from core.courses.rows import SearchRow
from core.db import Database, Transaction
from skillforge.v1 import courses_pb2

# How many courses are filled in by one transaction.
FILL_ROWS = 50


async def put(tx: Transaction, course_id: bytes, course: courses_pb2.Course) -> None:
    """Let a course be found by what it says. Call it in the transaction of every change of title, tags or description."""
    content = search.document([course.title, *course.tags, course.description])
    await queries.put_search(tx, SearchRow(course_id, search.FORMAT, content, search.document([course.instructor.display_name])))


async def renamed(tx: Transaction, instructor_id: bytes, name: str) -> None:
    """Let an instructor's courses be found by the new name; in the transaction that changes it, behind the change."""
    await queries.put_search_instructor(tx, instructor_id, search.document([name]))


async def fill(db: Database) -> int:
    """Make the terms of every course that has none, or of an older format; returns how many that were.

    Any number of processes may do it at once, beside authors who write.
    """
    after, count = b"", 0
    while sources := await queries.without_search(db, search.FORMAT, after, FILL_ROWS):
        tags = await queries.tags(db, [source.course_id for source in sources])
        rows = []
        for source in sources:
            content = search.document([source.title, *tags[source.course_id], source.description])
            rows.append(SearchRow(source.course_id, search.FORMAT, content, search.document([source.instructor_name])))
            await asyncio.sleep(0)  # a long description takes milliseconds
        await db.transact(lambda tx, rows=rows: queries.fill_search(tx, rows))  # type: ignore[misc]
        after, count = sources[-1].course_id, count + len(rows)
    return count
