"""Counting students anew, in batches: after lectures or quizzes were deleted, and before counts are rebuilt.

A batch locks its enrollments first and computes then, so that it sees every write that was there before it, and every
later one comes after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from core.analytics import queries, rollups
from core.analytics.rules import PLATFORM, SERIES_DAYS, Pair, Tally, day_of
from core.db import Database, Transaction
from core.times import Clock

BATCH: Final = 500
# How long it is kept who was active on a day: a few days more than any report shows.
KEPT_DAYS: Final = 35
# How many rows a transaction merges.
MERGED_ROWS: Final = 5000


class Recounts:
    """Does the recounts that were asked for. Any number of processes may at once."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def sweep(self, max_batches: int) -> int:
        """Do up to so many batches; how many there were."""
        for number in range(max_batches):
            if not await self._db.transact(self._step):
                return number
        return max_batches

    async def forget(self, limit: int) -> None:
        """Drop up to `limit` rows of activity on days that no report shows any more."""
        await queries.drop_active_days(self._db, kept_since(day_of(self._clock())), limit)

    async def merge(self) -> int:
        """Put the platform's counts of past days, which nobody writes any more, into one row each: whoever reads a month of
        them then reads as many rows however many wrote them. Returns how many rows are gone."""
        today = day_of(self._clock())
        return await self._db.transact(lambda tx: _merge(tx, range(today - SERIES_DAYS, today - 1)))

    async def _step(self, tx: Transaction) -> bool:
        """One batch of a course that waits; False: none does."""
        found = await queries.lock_recount(tx)
        if found is None:
            return False
        course_id, done = found
        places = await queries.students_after(tx, course_id, done, BATCH)
        if len(places) < BATCH:
            await queries.end_recount(tx, course_id)
        else:
            await queries.move_recount(tx, course_id, places[-1])
        if places:
            tally = Tally()
            await recount(tx, [(student_id, course_id) for _, student_id in places], tally)
            await rollups.write(tx, tally, self._clock())
        return True


async def _merge(tx: Transaction, days: range) -> int:
    rows = await queries.lock_spread(tx, PLATFORM, days, MERGED_ROWS)
    if rows:
        merged: Counter[tuple[int, bytes]] = Counter()
        for kind, item, _, value in rows:
            merged[kind, item] += value
        queries.add_counts(tx, [(PLATFORM, kind, item, by) for (kind, item), by in sorted(merged.items())], 0)
        await queries.drop_counts(tx, PLATFORM, [(kind, item, slot) for kind, item, slot, _ in rows])
    return len(rows)


async def recount(tx: Transaction, pairs: Sequence[Pair], tally: Tally) -> int:
    """Compute the numbers of these enrollments anew; how many of them changed."""
    before = await queries.lock_members(tx, pairs)
    shown = await queries.numbers(tx, pairs)
    await queries.recount(tx, pairs)
    after = await queries.lock_members(tx, pairs)
    for pair, member in after.items():
        tally.moved(pair[1], before[pair], member)
    now = await queries.numbers(tx, pairs)
    return sum(1 for pair, numbers in now.items() if shown[pair] != numbers)


def kept_since(today: int) -> int:
    """The first day whose activity is kept."""
    return today - KEPT_DAYS
