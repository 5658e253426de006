"""What other features call, in their own transactions, to keep the numbers right."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

from core.analytics import queries
from core.analytics.rules import PLATFORM, Kind, Pair, Tally, course_item, day_of, users_item
from core.db import Transaction

# A count is the sum of so many rows; a transaction writes to one of them.
SLOTS: Final = 8
# A transaction that writes twice all the same keeps to its slot.
_slots: WeakKeyDictionary[Transaction, int] = WeakKeyDictionary()


async def write(tx: Transaction, tally: Tally, now: datetime) -> None:
    """Write what was gathered; nothing at all when there is nothing.

    The last thing a transaction does, and once: others then wait for these rows no longer than for the commit, and
    whoever takes several takes them in one order, so that no two wait for each other.
    """
    if tally.active_days:
        await queries.put_active_days(tx, tally.active_days)
    await _write_counts(tx, tally)


async def lectures_completed(tx: Transaction, pairs: Collection[Pair], now: datetime) -> None:
    """Count the lectures of active enrollments anew, which the transaction has locked, and their day of activity."""
    await queries.count_lectures(tx, sorted(pairs), day_of(now))


async def graded(tx: Transaction, pair: Pair, tally: Tally, now: datetime) -> None:
    """Compute a student's results anew. What is written of them before is seen, if the enrollment was locked before."""
    before = (await queries.lock_members(tx, [pair])).get(pair)
    if before is None:
        return
    day = day_of(now)
    if before.active and before.activity_day < day:
        tally.active(pair, before.activity_day, day)
        before = before._replace(activity_day=day)
    await queries.grade(tx, pair, day)
    after = (await queries.lock_members(tx, [pair]))[pair]
    tally.moved(pair[1], before, after)


async def opened(tx: Transaction, new: Iterable[Pair], again: Sequence[Pair], tally: Tally, now: datetime) -> None:
    """Count enrollments that are new, and ended ones that were opened again."""
    for _, course_id in new:
        tally.entered(course_id, now)
    if again:
        for pair, member in (await queries.lock_members(tx, again)).items():
            tally.moved(pair[1], member._replace(active=False), member)


async def ended(tx: Transaction, pair: Pair, tally: Tally) -> None:
    """Count an enrollment that has just ended."""
    for member in (await queries.lock_members(tx, [pair])).values():
        tally.moved(pair[1], member._replace(active=True), member)


async def content_deleted(tx: Transaction, course_id: bytes) -> None:
    """Let the course's students be counted anew, after lectures or quizzes were deleted."""
    await queries.request_recount(tx, course_id)


async def certificates_changed(tx: Transaction, course_id: bytes, by: int, now: datetime) -> None:
    """Count certificates that came into force, or are so no more."""
    tally = Tally()
    tally.add(course_id, Kind.CERTIFICATES, by=by)
    await write(tx, tally, now)


async def account_moved(tx: Transaction, before: tuple[int, int] | None, after: tuple[int, int], now: datetime) -> None:
    """Count an account of a role in a status; `before`: the role and status it had, None: it is new."""
    tally = Tally()
    if before is not None:
        tally.add(PLATFORM, Kind.USERS, users_item(*before), -1)
    tally.add(PLATFORM, Kind.USERS, users_item(*after))
    await write(tx, tally, now)


async def courses_moved(tx: Transaction, before: Sequence[int], after: Sequence[int]) -> None:
    """Count courses by their status: those that were, and what they are now; `before` empty: they are new."""
    tally = Tally()
    for statuses, by in ((before, -1), (after, 1)):
        for status in statuses:
            tally.add(PLATFORM, Kind.COURSES, course_item(status), by)
    await _write_counts(tx, tally)


async def _write_counts(tx: Transaction, tally: Tally) -> None:
    rows = tally.rows()
    if rows:
        queries.add_counts(tx, rows, _slots.setdefault(tx, random.randrange(SLOTS)))
