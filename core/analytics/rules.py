"""What is counted, and how changes are gathered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

Pair = tuple[bytes, bytes]  # student, course

# Stands for a course in what is counted over all of them.
PLATFORM: Final = bytes(16)
# How many days a series shows, and how many of activity make a student active for a week and a month.
SERIES_DAYS: Final = 30
WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
SCORE_RANGES: Final = 10
NO_SCORE: Final = -1.0

_FIRST_DAY = date(1970, 1, 1)


class Kind(IntEnum):
    """What a count is of. From `FIRST_DATED` on, the item begins with a day."""

    # Not a count: its row is locked by whoever rebuilds the course's counts.
    LOCK = 0
    ENROLLED = 1
    ENDED = 2
    # Of those enrolled: complete; results in a range (item: its number); the sum of results in hundredths.
    COMPLETED = 3
    SCORED = 4
    SCORE_SUM = 5
    # Students who ever completed a lecture (item: its id).
    LECTURE = 6
    # Submitted answers to a question (item: quiz id and question id), and those right.
    QUESTION_ASKED = 7
    QUESTION_RIGHT = 8
    # Money by currency (item).
    PAID = 9
    REFUNDED = 10
    CERTIFICATES = 11
    # Accounts by role and status (item: a byte each), courses by status (a byte). Of the platform alone.
    USERS = 12
    COURSES = 13
    # Of those enrolled: last activity on a day.
    LAST_ACTIVE = 20
    DAY_ENROLLED = 21
    DAY_COMPLETED = 22
    DAY_ACTIVE = 23
    DAY_LECTURES = 24
    # Paid less refunded (item: day and currency).
    DAY_REVENUE = 25


FIRST_DATED: Final = 20
# What is counted for the platform too, whenever it is for a course.
_SHARED: Final = frozenset({
    Kind.ENROLLED, Kind.ENDED, Kind.COMPLETED, Kind.PAID, Kind.REFUNDED, Kind.CERTIFICATES, Kind.DAY_ENROLLED,
    Kind.DAY_COMPLETED, Kind.DAY_ACTIVE, Kind.DAY_LECTURES, Kind.DAY_REVENUE,
})  # fmt: skip

# Kind and item of a count.
Key = tuple[Kind, bytes]


class Member(NamedTuple):
    """What counts of an enrollment. `activity_day`: the day of the last activity, 0 before the first."""

    active: bool
    completed: bool = False
    score: float = NO_SCORE
    activity_day: int = 0


class Money(NamedTuple):
    """Money that came in or went back, in the currency's minor unit."""

    course_id: bytes
    currency: str
    paid_minor: int
    refunded_minor: int


class Tally:
    """Changes of counts, gathered in a transaction."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[bytes, Kind, bytes]] = Counter()
        # Who was active in a course on a day for the first time that day.
        self.active_days: list[tuple[int, bytes, bytes]] = []

    def add(self, course_id: bytes, kind: Kind, item: bytes = b"", by: int = 1) -> None:
        """Count so many more of a kind."""
        self._counts[course_id, kind, item] += by
        if kind in _SHARED and course_id != PLATFORM:
            self._counts[PLATFORM, kind, item] += by

    def moved(self, course_id: bytes, before: Member | None, after: Member) -> None:
        """Note what a change of an enrollment moves; `before` None: it is new."""
        for member, sign in ((before, -1), (after, 1)):
            if member is not None:
                for (kind, item), by in member_counts(member):
                    self.add(course_id, kind, item, sign * by)

    def entered(self, course_id: bytes, now: datetime) -> None:
        """Note a new enrollment."""
        self.moved(course_id, None, Member(active=True))
        self.add(course_id, Kind.DAY_ENROLLED, day_item(day_of(now)))

    def completed(self, course_id: bytes, now: datetime) -> None:
        """Note that somebody enrolled completed the course."""
        self.add(course_id, Kind.COMPLETED)
        self.add(course_id, Kind.DAY_COMPLETED, day_item(day_of(now)))

    def active(self, pair: Pair, before_day: int, day: int) -> None:
        """Note the first activity of somebody enrolled on a day; `before_day`: that of the activity before."""
        if before_day:
            self.add(pair[1], Kind.LAST_ACTIVE, day_item(before_day), -1)
        self.add(pair[1], Kind.LAST_ACTIVE, day_item(day))
        self.add(pair[1], Kind.DAY_ACTIVE, day_item(day))
        self.active_days.append((day, pair[1], pair[0]))

    def lecture_completed(self, course_id: bytes, lecture_id: bytes, day: int) -> None:
        """Note a student's completion of a lecture."""
        self.add(course_id, Kind.LECTURE, lecture_id)
        self.add(course_id, Kind.DAY_LECTURES, day_item(day))

    def answered(self, course_id: bytes, quiz_id: bytes, results: Iterable[tuple[str, bool]]) -> None:
        """Note a submitted attempt: each question's id, and whether its answer was right."""
        for question_id, right in results:
            item = question_item(quiz_id, question_id)
            self.add(course_id, Kind.QUESTION_ASKED, item)
            if right:
                self.add(course_id, Kind.QUESTION_RIGHT, item)

    def earned(self, money: Money, now: datetime) -> None:
        """Note money that came in or went back."""
        for (kind, item), by in money_counts(money, day_of(now)):
            self.add(money.course_id, kind, item, by)

    def rows(self) -> list[tuple[bytes, int, bytes, int]]:
        """Course, kind, item and change of every count that changes, sorted, so that locks are taken in one order."""
        return sorted((course_id, int(kind), item, by) for (course_id, kind, item), by in self._counts.items() if by)


def member_counts(member: Member) -> Iterator[tuple[Key, int]]:
    """What an enrollment counts for as long as it is as it is."""
    if not member.active:
        yield (Kind.ENDED, b""), 1
        return
    yield (Kind.ENROLLED, b""), 1
    if member.completed:
        yield (Kind.COMPLETED, b""), 1
    if member.score >= 0:
        yield (Kind.SCORED, bytes((score_range(member.score),))), 1
        yield (Kind.SCORE_SUM, b""), round(member.score * 100)
    if member.activity_day:
        yield (Kind.LAST_ACTIVE, day_item(member.activity_day)), 1


def money_counts(money: Money, day: int) -> Iterator[tuple[Key, int]]:
    """What money counts for."""
    currency = money.currency.encode("ascii")
    yield (Kind.PAID, currency), money.paid_minor
    yield (Kind.REFUNDED, currency), money.refunded_minor
    yield (Kind.DAY_REVENUE, day_item(day) + currency), money.paid_minor - money.refunded_minor


def is_shared(kind: int) -> bool:
    """Whether a count of a course counts for the platform too."""
    return kind in _SHARED


def score_range(score: float) -> int:
    """The number of the range a result from 0 to 100 lies in."""
    return min(int(score) * SCORE_RANGES // 100, SCORE_RANGES - 1)


def day_of(moment: datetime) -> int:
    """The days since 1970 of a naive UTC time."""
    return moment.toordinal() - _FIRST_DAY.toordinal()


def day_text(day: int) -> str:
    """A day as dates are written."""
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def day_item(day: int) -> bytes:
    """A day as an item; items are in the order of their days."""
    return day.to_bytes(4, "big")


def item_day(item: bytes) -> int:
    """The day an item begins with."""
    return int.from_bytes(item[:4], "big")


def question_item(quiz_id: bytes, question_id: str) -> bytes:
    """A question as an item."""
    return quiz_id + question_id.encode("ascii")


def item_question(item: bytes) -> tuple[bytes, str]:
    """Quiz and question of an item."""
    return item[:16], item[16:].decode("ascii")


def users_item(role: int, status: int) -> bytes:
    """Accounts of a role in a status as an item."""
    return bytes((role, status))


def course_item(status: int) -> bytes:
    """Courses in a status as an item."""
    return bytes((status,))


def share_percent(part: int, whole: int) -> float:
    """A share in percent with two decimals; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def hardest(asked: Mapping[bytes, int], right: Mapping[bytes, int], limit: int) -> list[bytes]:
    """The items of the questions that are answered worst, the worst first.

    One is added to the right answers and two to all, so that a question asked once is no extreme.
    """
    return sorted(asked, key=lambda item: ((right.get(item, 0) + 1) / (asked[item] + 2), item))[:limit]
