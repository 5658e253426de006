"""Marks of lectures, many at a time: those that arrive while others are being written share their statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from core.courses.catalog import Outline
from core.db import Database, Transaction
from core.outbox import Outbox
from core.progress import queries
from core.progress.messages import Sheets
from core.progress.queries import LectureRow, Pair
from core.progress.rules import UNSEEN, LectureState, Mark, Standing, activity_due, apply_mark, from_microseconds
from skillforge.v1 import progress_pb2

BATCH_SECONDS = 8.0
CHANGED = "progress.changed"

# Completes the course when nothing is missing any more.
Finish = Callable[[Transaction, Standing, Outline, datetime], Awaitable[bool]]


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
        async with asyncio.timeout(BATCH_SECONDS):
            standings = await queries.standings(self._db, list({mark.pair for mark in marks}))
            busy = [mark for mark in marks if _changes(standings.get(mark.pair), mark)]
            await self._touch(standings, {mark.pair for mark in busy}, marks)
            if busy:
                # All marks of a pair go the same way, in their order.
                pairs = {mark.pair for mark in busy}
                theirs = [mark for mark in marks if mark.pair in pairs]
                standings |= await self._db.transact(lambda tx: self._write(tx, theirs))
        return [_if_active(standings.get(mark.pair)) for mark in marks]

    async def _touch(self, standings: dict[Pair, Standing], busy: set[Pair], marks: Sequence[Mark]) -> None:
        due = {}
        for mark in marks:
            standing = standings.get(mark.pair)
            if standing is not None and standing.active and mark.pair not in busy and activity_due(standing, mark.now):
                due[mark.pair] = standing
                standing.activity = mark.now
        if due:
            await queries.touch(self._db, sorted(due), _moment(max(item.activity for item in due.values())))

    async def _write(self, tx: Transaction, marks: Sequence[Mark]) -> dict[Pair, Standing]:
        """Apply marks to what is there now. Touching the enrollments first makes all who write progress of the same
        student and course wait for each other, so that one of them sees the course complete."""
        now = max(mark.now for mark in marks)
        pairs = sorted({mark.pair for mark in marks})
        await queries.touch(tx, pairs, _moment(now))
        standings = await queries.standings(tx, pairs)
        changed: dict[tuple[bytes, bytes, bytes], LectureState] = {}
        completed: dict[Pair, Outline] = {}
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
        if changed:
            await queries.put_lectures(tx, [LectureRow(*key, state) for key, state in sorted(changed.items())])
        if completed:
            await self._completed(tx, [(standings[pair], outline) for pair, outline in sorted(completed.items(), key=_pair)], now)
        return standings

    async def _completed(self, tx: Transaction, whom: Sequence[tuple[Standing, Outline]], now: int) -> None:
        """What follows from newly completed lectures."""
        news = []
        for standing, outline in whom:
            await self._finish(tx, standing, outline, _moment(now))
            message = progress_pb2.CourseProgress()
            self._sheets.of(outline).fill(message, standing)
            news.append((standing.student_id, CHANGED, message))
        await self._outbox.add_many(tx, news)


def _pair(item: tuple[Pair, Outline]) -> Pair:
    return item[0]


def _changes(standing: Standing | None, mark: Mark) -> bool:
    if standing is None or not standing.active:
        return False
    before = standing.lectures.get(mark.lecture_id, UNSEEN)
    return apply_mark(before, mark) is not before


def _if_active(standing: Standing | None) -> Standing | None:
    return standing if standing is not None and standing.active else None


def _moment(microseconds: int) -> datetime:
    moment = from_microseconds(microseconds)
    assert moment is not None  # a call's time
    return moment
