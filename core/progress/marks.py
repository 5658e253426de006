"""Marks of lectures, many at a time: those that arrive while others are being written share their statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from core.analytics import rollups
from core.analytics.rules import Tally
from core.courses.catalog import Outline
from core.db import Database, Reader, Transaction
from core.families.followers import parents_of
from core.outbox import Outbox
from core.progress import queries
from core.progress.messages import Sheets
from core.progress.queries import LectureKey, LectureRow, Pair
from core.progress.rules import (
    DAY_MICROSECONDS,
    UNSEEN,
    LectureState,
    Mark,
    Standing,
    activity_due,
    apply_mark,
    first_today,
    from_microseconds,
    watches,
)
from skillforge.v1 import progress_pb2

BATCH_SECONDS = 8.0
CHANGED = "progress.changed"

# Completes the course when nothing is missing any more.
Finish = Callable[[Transaction, Standing, Outline, datetime, Tally], Awaitable[bool]]


class MarkBatches:
    """Runs batches of marks."""

    def __init__(self, db: Database, outbox: Outbox, sheets: Sheets, finish: Finish) -> None:
        self._db = db
        self._outbox = outbox
        self._sheets = sheets
        self._finish = finish

    async def run(self, marks: list[Mark]) -> list[Standing | None]:
        """The standing each mark leads to; None: the student is not enrolled.

        What changes nothing costs one shared read and, once a minute a student, one write of the last activity.
        """
        now = max(mark.now for mark in marks)
        async with asyncio.timeout(BATCH_SECONDS):
            standings = await queries.standings(self._db, list({mark.pair for mark in marks}))
            await _read_watched(self._db, standings, marks)
            busy = {mark.pair for mark in marks if _writes(standings.get(mark.pair), mark, now)}
            await self._touch(standings, {mark.pair for mark in marks} - busy, now)
            if busy:
                # All marks of a pair go the same way, in their order.
                theirs = [mark for mark in marks if mark.pair in busy]
                standings |= await self._db.transact(lambda tx: self._write(tx, theirs, now))
        return [_if_active(standings.get(mark.pair)) for mark in marks]

    async def _touch(self, standings: dict[Pair, Standing], pairs: Iterable[Pair], now: int) -> None:
        due = [pair for pair in sorted(pairs) if (found := _if_active(standings.get(pair))) and activity_due(found, now)]
        if due:
            await queries.touch(self._db, due, _moment(now))
        for pair in due:
            standings[pair].activity = now

    async def _write(self, tx: Transaction, marks: Sequence[Mark], now: int) -> dict[Pair, Standing]:
        """Apply marks to what is there now. Touching the enrollments first makes all who write progress of the same
        student and course wait for each other, so that one of them sees the course complete."""
        await queries.touch(tx, sorted({mark.pair for mark in marks}), _moment(now))
        standings = await queries.standings(tx, sorted({mark.pair for mark in marks}))
        await _read_watched(tx, standings, marks)
        changed: dict[LectureKey, LectureState] = {}
        completed: dict[Pair, Outline] = {}
        tally = Tally()
        for mark in marks:
            standing = _if_active(standings.get(mark.pair))
            if standing is None:
                continue
            before = standing.lectures.get(mark.lecture_id, UNSEEN)
            after = apply_mark(before, mark)
            if after is not before:
                standing.lectures[mark.lecture_id] = changed[(*mark.pair, mark.lecture_id)] = after
                if after.complete and not before.complete:
                    completed[mark.pair] = mark.outline
                    tally.lecture_completed(mark.pair[1], mark.lecture_id, after.complete // DAY_MICROSECONDS)
        if changed:
            await queries.put_lectures(tx, [LectureRow(*key, state) for key, state in sorted(changed.items())])
        fresh = note_activity(tally, standings.values(), now)
        if completed or fresh:
            await rollups.lectures_completed(tx, completed.keys() | fresh, _moment(now))
        if completed:
            whom = [(standings[pair], outline) for pair, outline in sorted(completed.items(), key=_pair)]
            await self._completed(tx, whom, now, tally)
        await rollups.write(tx, tally, _moment(now))
        return standings

    async def _completed(self, tx: Transaction, whom: Sequence[tuple[Standing, Outline]], now: int, tally: Tally) -> None:
        """What follows from newly completed lectures: the student is told, and so are the parents."""
        news = []
        followed = sorted({standing.student_id for standing, _ in whom if standing.followed})
        parents = await parents_of(tx, followed) if followed else {}
        for standing, outline in whom:
            await self._finish(tx, standing, outline, _moment(now), tally)
            message = progress_pb2.CourseProgress()
            self._sheets.of(outline).fill(message, standing)
            for user_id in (standing.student_id, *parents.get(standing.student_id, ())):
                news.append((user_id, CHANGED, message))
        await self._outbox.add_many(tx, news)


def _pair(item: tuple[Pair, Outline]) -> Pair:
    return item[0]


def note_activity(tally: Tally, standings: Iterable[Standing], now: int) -> set[Pair]:
    """Count the first activity of the day of those who have access; who they are."""
    found, day = set(), now // DAY_MICROSECONDS
    for standing in standings:
        if standing.active and standing.activity_day < day:
            tally.active(standing.pair, standing.activity_day, day)
            standing.activity_day = day
            found.add(standing.pair)
    return found


async def _read_watched(db: Reader, standings: dict[Pair, Standing], marks: Sequence[Mark]) -> None:
    """Add to the standings what was watched of the lectures it matters for."""
    keys = sorted({(*mark.pair, mark.lecture_id) for mark in marks if watches(mark) and mark.pair in standings})
    if keys:
        for (student_id, course_id, lecture_id), stretches in (await queries.watched(db, keys)).items():
            lectures = standings[student_id, course_id].lectures
            if lecture_id in lectures:
                lectures[lecture_id] = lectures[lecture_id]._replace(stretches=stretches)


def _writes(standing: Standing | None, mark: Mark, now: int) -> bool:
    """Whether a mark changes more than the time of the last activity."""
    if standing is None or not standing.active:
        return False
    before = standing.lectures.get(mark.lecture_id, UNSEEN)
    return first_today(standing, now) or apply_mark(before, mark) is not before


def _if_active(standing: Standing | None) -> Standing | None:
    return standing if standing is not None and standing.active else None


def _moment(microseconds: int) -> datetime:
    moment = from_microseconds(microseconds)
    assert moment is not None  # a call's time
    return moment
