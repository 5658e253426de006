"""Computing all numbers again from the truth, while the system runs.

Students first: batch by batch, each locked, computed and unlocked. Then the counts: truth and counts are read in one
snapshot, batch by batch again. As every write changes both in one transaction, what differs there is wrong by just
that much, whatever was written since: the difference is added, and nobody waits for anybody. Two who rebuild the
same course's counts would add it twice, so they wait for each other.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from core.analytics import queries, recounts, rollups
from core.analytics.rules import (
    PLATFORM,
    Key,
    Kind,
    Money,
    Tally,
    course_item,
    day_item,
    day_of,
    is_shared,
    item_day,
    member_counts,
    money_counts,
    question_item,
    users_item,
)
from core.db import Database, Reader, Transaction, open_snapshot
from core.db.errors import RetryScope
from core.errors import Conflict
from core.times import Clock
from skillforge.v1.quizzes_pb2 import Attempt

log = logging.getLogger("skillforge.analytics")

_STUDENTS = recounts.BATCH
_ATTEMPTS = 200
_COURSES = 500

_Truth = Callable[[Reader], Awaitable[Counter[Key]]]


class Correction(NamedTuple):
    """What was wrong: how many enrollments, and each count by how much."""

    students: int
    counts: dict[Key, int]


class Rebuild:
    """Rebuilds courses and the platform; `progress` is told of the students done, twice for each of a course."""

    def __init__(self, db: Database, clock: Clock, progress: Callable[[int], None] = lambda count: None) -> None:
        self._db = db
        self._clock = clock
        self._progress = progress

    async def all_courses(self) -> tuple[int, int]:
        """Every course, then the platform; how many enrollments and counts were wrong."""
        students, counts, after = 0, 0, b""
        while ids := await queries.course_ids(self._db, after, _COURSES):
            for course_id in ids:
                found = await self.course(course_id)
                students, counts = students + found.students, counts + len(found.counts)
            after = ids[-1]
        return students, counts + len((await self.platform()).counts)

    async def exists(self, course_id: bytes) -> bool:
        """Whether there is such a course."""
        return await queries.course_exists(self._db, course_id)

    async def total(self, course_id: bytes | None) -> int:
        """How much `progress` will be told of in all."""
        return 2 * await queries.students_total(self._db, course_id)

    async def course(self, course_id: bytes) -> Correction:
        """One course. Raises Conflict when its counts are being rebuilt already."""
        students = await self._students(course_id)
        kept_since = recounts.kept_since(day_of(self._clock())) + 1
        return Correction(students, await self._correct(course_id, lambda db: self._truth(db, course_id, kept_since), kept_since))

    async def platform(self) -> Correction:
        """What is counted over all courses. Raises Conflict when it is being rebuilt already."""
        return Correction(0, await self._correct(PLATFORM, _platform_truth, 0))

    async def _students(self, course_id: bytes) -> int:
        changed, place = 0, queries.FIRST_PLACE
        while places := await queries.students_after(self._db, course_id, place, _STUDENTS):
            pairs = sorted((student_id, course_id) for _, student_id in places)

            async def work(tx: Transaction, pairs: list[tuple[bytes, bytes]] = pairs) -> int:
                tally = Tally()
                count = await recounts.recount(tx, pairs, tally)
                await rollups.write(tx, tally, self._clock())
                return count

            changed += await self._db.transact(work)
            place = places[-1]
            self._progress(len(places))
        return changed

    async def _correct(self, course_id: bytes, truth: _Truth, kept_since: int) -> dict[Key, int]:
        """Add what is missing to the counts of a course, and take away what is too much. Returns the differences."""
        await queries.make_lock(self._db, course_id)
        async with open_snapshot(self._db.address) as snapshot:
            try:
                await queries.lock_counts(snapshot, course_id)
            except RetryScope as error:
                raise Conflict("CONFLICT", "These numbers are being rebuilt already. Wait for the end of that.") from error
            wrong = await truth(snapshot)
            for kind, items in (await queries.counts(snapshot, course_id)).items():
                for item, value in items.items():
                    wrong[Kind(kind), item] -= value
            # Who was active on days long past is known no more.
            found = {
                key: by for key, by in wrong.items() if by and not (key[0] is Kind.DAY_ACTIVE and item_day(key[1]) < kept_since)
            }
            rows = [(course_id, int(kind), item, by) for (kind, item), by in sorted(found.items())]
            if rows:

                async def correct(tx: Transaction) -> None:
                    queries.add_counts(tx, rows, 0)

                await self._db.transact(correct)
        return found

    async def _truth(self, db: Reader, course_id: bytes, kept_since: int) -> Counter[Key]:
        truth: Counter[Key] = Counter()
        place = queries.FIRST_PLACE
        while places := await queries.students_after(db, course_id, place, _STUDENTS):
            await _add_students(truth, db, [(student_id, course_id) for _, student_id in places])
            place = places[-1]
            self._progress(len(places))
        days = range(kept_since, day_of(self._clock()) + 2)
        for day, count in await queries.active_facts(db, course_id, days):
            truth[Kind.DAY_ACTIVE, day_item(day)] += count
        after = b""
        while rows := await queries.result_facts(db, course_id, after, _ATTEMPTS):
            for _, quiz_id, results in rows:
                _add_results(truth, quiz_id, results)
            after = rows[-1][0]
        for currency, day, paid, refunded in await queries.ledger_facts(db, course_id):
            for key, by in money_counts(Money(course_id, currency, paid, refunded), day):
                truth[key] += by
        return truth


async def rebuild_due(db: Database, clock: Clock) -> int:
    """Rebuild what waits for it since a migration found it older than the counts; how much that was. Any number of
    processes may: what another one rebuilds is left to it."""
    rebuild, done = Rebuild(db, clock), 0
    while due := await queries.rebuilds_due(db, _COURSES):
        if due != [PLATFORM]:
            log.warning("the numbers of courses that were there before analytics are computed anew: %d wait", len(due))
        for course_id in due:
            if course_id == PLATFORM and len(due) > 1:
                break  # once the courses it is made of are done
            try:
                await (rebuild.platform() if course_id == PLATFORM else rebuild.course(course_id))
            except Conflict:
                return done
            await queries.end_rebuild(db, course_id)
            done += 1
    return done


async def _add_students(truth: Counter[Key], db: Reader, pairs: list[tuple[bytes, bytes]]) -> None:
    for member, enroll_day, complete_day in await queries.enrollment_facts(db, pairs):
        for key, by in member_counts(member):
            truth[key] += by
        truth[Kind.DAY_ENROLLED, day_item(enroll_day)] += 1
        if complete_day is not None:
            truth[Kind.DAY_COMPLETED, day_item(complete_day)] += 1
    for lecture_id, day, count in await queries.lecture_facts(db, pairs):
        truth[Kind.LECTURE, lecture_id] += count
        truth[Kind.DAY_LECTURES, day_item(day)] += count
    truth[Kind.CERTIFICATES, b""] += await queries.certificate_facts(db, pairs)


def _add_results(truth: Counter[Key], quiz_id: bytes, results: bytes) -> None:
    for result in Attempt.FromString(results).results:
        item = question_item(quiz_id, result.question_id)
        truth[Kind.QUESTION_ASKED, item] += 1
        truth[Kind.QUESTION_RIGHT, item] += result.correct


async def _platform_truth(db: Reader) -> Counter[Key]:
    truth: Counter[Key] = Counter()
    for (kind, item), value in (await queries.course_totals(db, [kind for kind in Kind if is_shared(kind)])).items():
        truth[Kind(kind), item] += value
    for (role, status), count in (await queries.user_facts(db)).items():
        truth[Kind.USERS, users_item(role, status)] += count
    for status, count in await queries.course_facts(db):
        truth[Kind.COURSES, course_item(status)] += count
    return truth
