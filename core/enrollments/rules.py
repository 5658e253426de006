"""Pure decisions about entering a course."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

# A student and a course, by their ids.
Pair: TypeAlias = tuple[bytes, bytes]

# Why a student has access: the `source_kind` of an entitlement.
FREE: Final = "free"
GRANT: Final = "grant"
PAYMENT: Final = "payment"


class Grant(NamedTuple):
    """One reason for access. `source_id`: the payment's id; the course's where there can be but one."""

    student_id: bytes
    course_id: bytes
    source_kind: str
    source_id: bytes

    @property
    def pair(self) -> Pair:
        return self.student_id, self.course_id


class Sight(NamedTuple):
    """What was seen of a student and a course, and may have changed since: whether there is an enrollment that is active (None:
    there is none), the student's name, the course's title and number of lectures."""

    active: bool | None
    student_name: str
    course_title: str
    lecture_count: int


class Plan(NamedTuple):
    """What grants change: pairs to enroll for the first time, ended ones to open again, and the courses by how many more active
    enrollments they have."""

    new: list[Pair]
    ended: list[Pair]
    rises: dict[int, list[bytes]]


def plan_grants(grants: list[Grant], standing: dict[Pair, bool]) -> Plan:
    """`standing` tells for every enrollment there is whether it is active. Everything comes sorted, so that
    concurrent transactions take their locks in the same order."""
    pairs = sorted({grant.pair for grant in grants})
    new = [pair for pair in pairs if pair not in standing]
    ended = [pair for pair in pairs if standing.get(pair) is False]
    counts: dict[bytes, int] = {}
    for _, course_id in (*new, *ended):
        counts[course_id] = counts.get(course_id, 0) + 1
    rises: dict[int, list[bytes]] = {}
    for course_id, count in sorted(counts.items()):
        rises.setdefault(count, []).append(course_id)
    return Plan(new, ended, rises)
