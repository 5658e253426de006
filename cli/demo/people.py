"""The people of the demo school, and what each student does there: always the same."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cli.demo.course_files import Course, load_courses

DOMAIN = "skillforge.example"
FILE = Path(__file__).parent / "people.csv"
_SEED = "the demo school"
# How often a student gets so far in a course.
_STAGES = {"enrolled": 2, "begun": 5, "learned": 2, "failed": 2, "passed": 6, "passed late": 2}


@dataclass(frozen=True)
class Person:
    """Somebody of the school; parents name their `children`. `number` counts all, from 1."""

    key: str
    role: str
    name: str
    children: tuple[str, ...]
    number: int

    @property
    def email(self) -> str:
        return f"{self.key}@{DOMAIN}"


@dataclass(frozen=True)
class Study:
    """A student in a course: completed lectures, the share of right answers of each attempt at a lecture's quiz and at the
    exam, and how a course with a price was entered ("card", "refused card" or "grant")."""

    course: Course
    lectures: int
    quizzes: tuple[tuple[float, ...], ...]
    exams: tuple[float, ...]
    entry: str


@cache
def load_people() -> tuple[Person, ...]:
    """Everybody, in the order of the file."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Person(row["key"], row["role"], row["name"], tuple(row["of"].split()), number) for number, row in enumerate(rows, 1)
    )


def people(role: str) -> list[Person]:
    return [person for person in load_people() if person.role == role]


def studies(student: Person) -> list[Study]:
    """What a student does: two to four courses, each got so far as chance of the seed has it."""
    chosen = random.Random(f"{_SEED}: {student.key}")
    open_courses = [course for course in load_courses() if course.status != "draft"]
    courses = chosen.sample(open_courses, chosen.randint(2, 4))
    return [_study(chosen, course) for course in courses]


def _study(chosen: random.Random, course: Course) -> Study:
    stage = chosen.choices(list(_STAGES), list(_STAGES.values()))[0]
    total = len(course.lectures)
    lectures = {"enrolled": 0, "begun": chosen.randint(1, total - 1)}.get(stage, total)
    exams: Sequence[float] = {"failed": (0.3,), "passed": (1.0,), "passed late": (0.3, 1.0)}.get(stage, ())
    if stage == "passed" and course.exam is not None and len(course.exam.questions) > 3:
        exams = (chosen.choice((0.75, 1.0)),)
    quizzes = tuple(chosen.choice(((1.0,), (0.5, 1.0), (0.5,), ())) for _ in range(lectures))
    entry = chosen.choices(("card", "refused card", "grant"), (8, 1, 4))[0]
    if entry == "refused card":
        return Study(course, 0, (), (), entry)
    return Study(course, lectures, quizzes, tuple(exams), entry)
