"""`skillforge rebuild-analytics`: computing the numbers of courses again."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.analytics.rebuild import Rebuild
from core.db import Database
from core.errors import missing
from core.settings import Settings
from core.times import utc_now


async def rebuild_analytics(settings: Settings, course_id: bytes | None, console: Console) -> str:
    """Rebuild one course, or all; returns what was corrected. Raises DomainError."""
    db = Database(settings.database_url, size=2)
    try:
        await db.start()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            rebuild = Rebuild(db, utc_now, lambda count: progress.advance(task, count))
            if course_id is not None and not await rebuild.exists(course_id):
                raise missing("course")
            task = progress.add_task("students", total=await rebuild.total(course_id))
            if course_id is None:
                students, counts = await rebuild.all_courses()
            else:
                found = await rebuild.course(course_id)
                students, counts = found.students, len(found.counts) + len((await rebuild.platform()).counts)
    finally:
        await db.close()
    if not students and not counts:
        return "every number was right"
    return f"corrected the numbers of {students} students and {counts} counts"
