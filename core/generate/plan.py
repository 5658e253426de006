"""Pure decisions about generated data: how much of what, and the ids that follow from the sizes and the seed alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime

from core.courses.rules import MAX_LECTURES

MAX_STUDENTS = 20_000_000
MAX_COURSES = 100_000
MAX_ENROLLMENTS = 100
COURSES_AN_INSTRUCTOR = 20
LECTURES_A_MODULE = 5
EXAM_QUESTIONS = 5
# The time in generated ids: 2024-01-01, and a millisecond more for each of a kind, so that keys come in order.
_BASE_MILLISECONDS = 1_704_067_200_000
_KINDS = ("instructor", "student", "course", "module", "lecture", "exam", "attempt", "payment")


class PlanError(ValueError):
    """Sizes that do not go together; the message says which."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate. The same sizes and seed give the same people, courses and ids; times count back from `until`.

    `lectures` a course, `enrollments` a student, `progress` completed lectures an enrollment on average. Raises PlanError.
    """

    students: int
    courses: int
    lectures: int
    enrollments: int
    progress: int
    seed: int
    until: datetime

    def __post_init__(self) -> None:
        limits = {
            "students": (1, MAX_STUDENTS),
            "courses": (1, MAX_COURSES),
            "lectures": (1, MAX_LECTURES),
            "enrollments": (0, min(self.courses, MAX_ENROLLMENTS)),
            "progress": (0, self.lectures),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise PlanError(f"{name} must be from {low} to {high:,}, not {getattr(self, name)}")

    @property
    def tag(self) -> str:
        """15 hexadecimal digits that tell this data from other: sizes and seed, hashed."""
        sizes = "-".join(str(getattr(self, item.name)) for item in fields(self) if item.name != "until")
        return hashlib.sha256(sizes.encode()).hexdigest()[:15]

    @property
    def domain(self) -> str:
        """The domain of the generated addresses; RFC 2606 keeps it from being anybody's."""
        return f"g{self.tag[:8]}.example"

    @property
    def instructors(self) -> int:
        return -(-self.courses // COURSES_AN_INSTRUCTOR)

    @property
    def stride(self) -> int:
        """How far apart a student's courses are, so that all are different ones."""
        return self.courses // max(1, self.enrollments)

    @property
    def fewest(self) -> int:
        """The least lectures anybody completes in a course; the rest follows from the average in the middle."""
        return max(0, 2 * self.progress - self.lectures)

    @property
    def spread(self) -> int:
        """How many different numbers of completed lectures there are, each as frequent as the others."""
        return 2 * (self.progress - self.fewest) + 1

    def completed(self, student: int, enrollment: int) -> int:
        """How many lectures a student (from 0) completes in one of their enrollments (from 0)."""
        return self.fewest + (student + student // self.spread + 7 * enrollment) % self.spread

    def marks(self, first: int, end: int) -> int:
        """How many lectures the students from `first` to before `end` complete in all."""
        return sum(self.completed(student, item) for student in range(first, end) for item in range(self.enrollments))

    @property
    def expected_marks(self) -> int:
        """`marks` of everybody, but for the last few students."""
        return self.students * self.enrollments * self.progress

    def suffix(self, kind: str) -> str:
        """The last 20 digits of every id of a kind: version 7, the kind, the variant, the tag (RFC 9562)."""
        return f"7{_KINDS.index(kind) + 1:03x}8{self.tag}"

    def id_of(self, kind: str, number: int) -> bytes:
        """The id of the item with a number, from 0."""
        return bytes.fromhex(f"{_BASE_MILLISECONDS + number:012x}{self.suffix(kind)}")

    def id_sql(self, kind: str, number: str) -> str:
        """`id_of` as SQL, for a number that is an SQL expression."""
        return f"UNHEX(CONCAT(LPAD(HEX({_BASE_MILLISECONDS} + {number}), 12, '0'), '{self.suffix(kind)}'))"
