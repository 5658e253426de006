"""The calls that growth is measured with, made from what the database holds."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

import pymysql

from benchmarks.tokens import Tokens
from core.generate.content import TOPICS
from core.generate.plan import Plan

ADMIN = "user_benchmark_admin"


class Call(NamedTuple):
    """An HTTP request."""

    verb: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


class Entry(NamedTuple):
    """A sampled student's enrollment: the course's number and how many of its lectures are complete, the first ones."""

    token: str
    course: int
    done: int


class Population:
    """A sample of a generated database: some students and what they are enrolled in."""

    def __init__(self, connection: pymysql.Connection[pymysql.cursors.Cursor], plan: Plan, tokens: Tokens, sample: int) -> None:
        self._connection = connection
        self.plan = plan
        self.tokens = tokens
        chosen = random.Random(1)
        self.entries: list[Entry] = []
        for number in chosen.sample(range(plan.students), min(sample, plan.students)):
            self.entries += self._entries(number)
        chosen.shuffle(self.entries)
        # The students stay in this order in every list; the server has seen most when it is warm.
        self.courses = [chosen.randrange(plan.courses) for _ in range(500)]

    def value(self, sql: str, *params: object) -> Any:
        """The first value of the first row."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            row = cursor.fetchone()
        return row[0] if row else None

    def id_text(self, kind: str, number: int) -> str:
        return str(UUID(bytes=self.plan.id_of(kind, number)))

    def lecture_id(self, course: int, place: int) -> str:
        return self.id_text("lecture", course * self.plan.lectures + place)

    def token_of(self, kind: str, number: int) -> str:
        """The token of a generated person."""
        return self.tokens.of(self.value("SELECT clerk_id FROM users WHERE id = %s", self.plan.id_of(kind, number)))

    def admin(self) -> str:
        """The token of an administrator, made for this."""
        sql = """
            INSERT INTO users (id, clerk_id, email, display_name, image_url, role, status, profile_version, create_time,
              update_time)
            VALUES (%s, %s, 'admin@benchmark.example', 'Admin', '', 1, 1, 0, NOW(6), NOW(6)) ON DUPLICATE KEY UPDATE id = id
        """
        with self._connection.cursor() as cursor:
            cursor.execute(sql, (UUID(int=1).bytes, ADMIN))
        return self.tokens.of(ADMIN)

    def _entries(self, number: int) -> Iterator[Entry]:
        student_id, token = self.plan.id_of("student", number), self.token_of("student", number)
        sql = """
            SELECT e.course_id, COUNT(p.lecture_id)
            FROM enrollments e LEFT JOIN lecture_progress p ON p.student_id = e.student_id AND p.course_id = e.course_id
            WHERE e.student_id = %s GROUP BY e.course_id
        """
        first = int.from_bytes(self.plan.id_of("course", 0)[:6])
        with self._connection.cursor() as cursor:
            cursor.execute(sql, (student_id,))
            for course_id, done in cursor.fetchall():
                yield Entry(token, int.from_bytes(course_id[:6]) - first, done)


def _get(path: str, token: str = "") -> Call:
    return Call("GET", path, {"Authorization": f"Bearer {token}"} if token else {})


def _post(path: str, token: str, body: object) -> Call:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return Call("POST", path, headers, json.dumps(body).encode())


def _filtered(population: Population) -> list[Call]:
    levels = ("BEGINNER", "INTERMEDIATE", "ADVANCED")
    pairs = itertools.product(TOPICS, levels, ("NEWEST", "POPULAR", "TITLE"))
    return [_get(f"/courses?tag={tag}&level=COURSE_LEVEL_{level}&orderBy=COURSE_ORDER_{order}") for tag, level, order in pairs]


def _search(population: Population) -> list[Call]:
    return [_get(f"/courses?query={one}+{other}&pageSize=20") for one, other in itertools.permutations(TOPICS[:20], 2)]


def _tree(population: Population) -> list[Call]:
    return [_get(f"/courses/{population.id_text('course', number)}") for number in population.courses]


def _lecture(population: Population) -> list[Call]:
    return [_get(f"/lectures/{population.lecture_id(entry.course, 1)}", entry.token) for entry in population.entries]


def _exam(population: Population) -> list[Call]:
    return [_get(f"/quizzes/{population.id_text('exam', entry.course)}", entry.token) for entry in population.entries]


def _mark(population: Population, entry: Entry, place: int) -> Call:
    return _post("/progress/lecture", entry.token, {"lectureId": population.lecture_id(entry.course, place)})


def _mark_new(population: Population) -> list[Call]:
    # The last lecture of each course stays open, so that nobody completes the course meanwhile.
    last = population.plan.lectures - 1
    return [_mark(population, entry, place) for place in range(last) for entry in population.entries if place >= entry.done]


def _mark_repeat(population: Population) -> list[Call]:
    # Few, so that each was asked within the last minute: the first mark in a minute notes the activity.
    return [_mark(population, entry, 0) for entry in population.entries if entry.done][:40]


def _progress(population: Population) -> list[Call]:
    return [_get(f"/progress/course/{population.id_text('course', entry.course)}", entry.token) for entry in population.entries]


def _own(path: str) -> Callable[[Population], list[Call]]:
    """A list of the student's own."""
    return lambda population: [_get(path, entry.token) for entry in population.entries]


def _of_largest(path: str) -> Callable[[Population], list[Call]]:
    """What the instructor of the largest course asks."""

    def make(population: Population) -> list[Call]:
        token = population.token_of("instructor", 0)
        return [_get(path.format(course=population.id_text("course", 0), exam=population.id_text("exam", 0)), token)]

    return make


def _of_admin(path: str) -> Callable[[Population], list[Call]]:
    return lambda population: [_get(path, population.admin())]


CALLS: dict[str, Callable[[Population], list[Call]]] = {
    "list": lambda population: [_get("/courses?pageSize=20")],
    "list filtered": _filtered,
    "search": _search,
    "course tree": _tree,
    "lecture": _lecture,
    "exam": _exam,
    "mark new": _mark_new,
    "mark repeat": _mark_repeat,
    "progress": _progress,
    "enrollments": _own("/enrollments"),
    "certificates": _own("/certificates"),
    "payments": _own("/payments"),
    "students of largest course": _of_largest("/courses/{course}/students"),
    # So few that the small database, too, has a full page.
    "attempts of largest course": _of_largest("/quizzes/{exam}/attempts?pageSize=5"),
    "gradebook": _of_largest("/progress/course/{course}/students"),
    "analytics": _of_largest("/analytics/courses/{course}"),
    "overview": _of_admin("/analytics/overview"),
    "users": _of_admin("/users"),
    "users by address": _of_admin("/users?query=student77@"),
    "payments of all": _of_admin("/payments"),
    "audit events": _of_admin("/admin/audit-events"),
}
