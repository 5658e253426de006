"""Counting generated courses.

A course without any count is generated and untouched: it is counted from facts that the server groups. What is counted
already is left to the rebuild of analytics, which is exact whatever happens beside it, and slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.analytics import rollups
from core.analytics.rebuild import Rebuild
from core.analytics.recounts import kept_since
from core.analytics.rules import Kind, Money, Tally, day_item, day_of, money_counts, question_item, score_range
from core.db import Database, Transaction
from core.generate.content import exam_questions
from core.generate.counting import queries
from core.generate.plan import Plan
from core.generate.queries import Span


async def count_courses(db: Database, plan: Plan, span: Span, now: datetime) -> None:
    """Count the courses with these numbers."""
    await queries.count_enrollments(db, plan, span)
    await db.transact(lambda tx: _count_new(tx, plan, span, now))


async def recount_courses(db: Database, plan: Plan, span: Span, now: datetime) -> None:
    """Put right what is counted of the courses with these numbers."""
    rebuild = Rebuild(db, lambda: now)
    for number in range(*span):
        await rebuild.course(plan.id_of("course", number))


async def count_platform(db: Database, now: datetime) -> None:
    """Put right what is counted over all courses, and the accounts."""
    await Rebuild(db, lambda: now).platform()


async def counted_spans(db: Database, plan: Plan) -> list[Span]:
    """The courses of the plan that are counted already."""
    known = await queries.counted(db, plan, Span(0, plan.courses))
    return [Span(number, number + 1) for number in range(plan.courses) if plan.id_of("course", number) in known]


async def _count_new(tx: Transaction, plan: Plan, span: Span, now: datetime) -> None:
    known = await queries.counted(tx, plan, span)
    numbers = {plan.id_of("course", number): number for number in range(*span)}
    courses = sorted(numbers.keys() - known)
    if not courses:
        return
    tally = Tally()
    await _add_people(tx, tally, courses)
    await _add_lectures(tx, tally, courses, plan, numbers)
    await _add_exams(tx, tally, courses, plan, numbers)
    today = day_of(now)
    for fact in await queries.active_days(tx, courses, [*range(kept_since(today) + 1, today + 1)]):
        tally.add(fact.course_id, Kind.DAY_ACTIVE, day_item(int(fact.value)), fact.total)
    for item in await queries.money(tx, courses):
        for (kind, key), by in money_counts(Money(item.course_id, item.currency, item.paid_minor, 0), item.day):
            tally.add(item.course_id, kind, key, by)
    await rollups.write(tx, tally, now)


async def _add_people(tx: Transaction, tally: Tally, courses: Sequence[bytes]) -> None:
    for fact in await queries.entries(tx, courses):
        tally.add(fact.course_id, Kind.ENROLLED, by=fact.total)
        tally.add(fact.course_id, Kind.DAY_ENROLLED, day_item(int(fact.value)), fact.total)
    for fact in await queries.completions(tx, courses):
        tally.add(fact.course_id, Kind.COMPLETED, by=fact.total)
        tally.add(fact.course_id, Kind.CERTIFICATES, by=fact.total)
        tally.add(fact.course_id, Kind.DAY_COMPLETED, day_item(int(fact.value)), fact.total)
    for fact in await queries.scores(tx, courses):
        tally.add(fact.course_id, Kind.SCORED, bytes((score_range(fact.value),)), fact.total)
        tally.add(fact.course_id, Kind.SCORE_SUM, by=round(fact.value * 100) * fact.total)
    for fact in await queries.last_days(tx, courses):
        tally.add(fact.course_id, Kind.LAST_ACTIVE, day_item(int(fact.value)), fact.total)


async def _add_lectures(tx: Transaction, tally: Tally, courses: Sequence[bytes], plan: Plan, numbers: dict[bytes, int]) -> None:
    for fact in await queries.depths(tx, courses):
        first = numbers[fact.course_id] * plan.lectures
        for place in range(int(fact.value)):
            tally.add(fact.course_id, Kind.LECTURE, plan.id_of("lecture", first + place), fact.total)
    for fact in await queries.lecture_days(tx, courses):
        tally.add(fact.course_id, Kind.DAY_LECTURES, day_item(int(fact.value)), fact.total)


async def _add_exams(tx: Transaction, tally: Tally, courses: Sequence[bytes], plan: Plan, numbers: dict[bytes, int]) -> None:
    for fact in await queries.exams(tx, courses):
        exam_id = plan.id_of("exam", numbers[fact.course_id])
        for place, question in enumerate(exam_questions()):
            item = question_item(exam_id, question.id)
            tally.add(fact.course_id, Kind.QUESTION_ASKED, item, fact.total)
            tally.add(fact.course_id, Kind.QUESTION_RIGHT, item, fact.total if place < fact.value else 0)
