"""Reading the numbers of a course and of the platform."""

from __future__ import annotations

from collections.abc import Mapping

from core.analytics import queries, rules
from core.analytics.rules import PLATFORM, SERIES_DAYS, Kind, day_item, day_of, item_question, share_percent
from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import CourseCatalog, Outline
from core.db import Database
from core.errors import missing
from core.ids import to_bytes, to_text
from skillforge.v1 import analytics_pb2
from skillforge.v1.quizzes_pb2 import Quiz

MAX_QUESTIONS = 10
_MAX_PROMPT = 500

_Counts = Mapping[int, Mapping[bytes, int]]


class AnalyticsService:
    """Implements skillforge.v1.AnalyticsService."""

    def __init__(self, db: Database, catalog: CourseCatalog) -> None:
        self._db = db
        self._catalog = catalog

    async def get_course_analytics(
        self, call: Call, request: analytics_pb2.GetCourseAnalyticsRequest
    ) -> analytics_pb2.CourseAnalytics:
        """The numbers of the caller's own course; of any, for an admin. Raises NotFound."""
        course_id = to_bytes(request.course_id)
        outline = await self._catalog.outline(course_id)
        if outline is None or not is_owner(call, outline.instructor_id):
            raise missing("course")
        today = day_of(call.now)
        counts = await queries.counts(self._db, course_id, today - SERIES_DAYS + 1)
        message = analytics_pb2.CourseAnalytics(
            course_id=to_text(course_id),
            enrolled=_one(counts, Kind.ENROLLED),
            ended=_one(counts, Kind.ENDED),
            active_in_7_days=_active_since(counts, today - rules.WEEK_DAYS + 1),
            active_in_30_days=_active_since(counts, today - rules.MONTH_DAYS + 1),
            completed=_one(counts, Kind.COMPLETED),
            lectures=_reach(outline, counts),
            hardest_questions=await self._hardest(outline, counts),
            revenue=_revenue(counts),
            certificates=_one(counts, Kind.CERTIFICATES),
            days=_series(counts, today),
        )
        message.completion_percent = share_percent(message.completed, message.enrolled)
        _fill_scores(message, counts)
        return message

    async def get_overview(self, call: Call, request: analytics_pb2.GetOverviewRequest) -> analytics_pb2.Overview:
        """The numbers of the whole platform."""
        today = day_of(call.now)
        counts = await queries.counts(self._db, PLATFORM, today - SERIES_DAYS + 1)
        users = sorted(counts.get(Kind.USERS, {}).items())
        courses = sorted(counts.get(Kind.COURSES, {}).items())
        return analytics_pb2.Overview(
            users=[
                analytics_pb2.RoleCount(role=item[0], status=item[1], users=count)  # type: ignore[arg-type]
                for item, count in users
                if count
            ],
            courses=[
                analytics_pb2.CourseStatusCount(status=item[0], courses=count)  # type: ignore[arg-type]
                for item, count in courses
                if count
            ],
            enrollments=_one(counts, Kind.ENROLLED),
            ended_enrollments=_one(counts, Kind.ENDED),
            completions=_one(counts, Kind.COMPLETED),
            certificates=_one(counts, Kind.CERTIFICATES),
            revenue=_revenue(counts),
            days=_series(counts, today),
        )

    async def _hardest(self, outline: Outline, counts: _Counts) -> list[analytics_pb2.QuestionDifficulty]:
        """The hardest questions that are still in the course's quizzes."""
        asked, right = counts.get(Kind.QUESTION_ASKED, {}), counts.get(Kind.QUESTION_RIGHT, {})
        quiz_ids = {*outline.quiz_ids, *([outline.exam_id] if outline.exam_id else [])} & {item[:16] for item in asked}
        prompts: dict[bytes, str] = {}
        for quiz_id, stored in (await queries.questions(self._db, sorted(quiz_ids)) if quiz_ids else {}).items():
            for question in Quiz.FromString(stored).questions:
                prompts[rules.question_item(quiz_id, question.id)] = question.prompt[:_MAX_PROMPT]
        found = []
        for item in rules.hardest({item: count for item, count in asked.items() if item in prompts}, right, MAX_QUESTIONS):
            quiz_id, question_id = item_question(item)
            found.append(
                analytics_pb2.QuestionDifficulty(
                    quiz_id=to_text(quiz_id),
                    question_id=question_id,
                    prompt=prompts[item],
                    asked=asked[item],
                    correct=right.get(item, 0),
                    correct_percent=share_percent(right.get(item, 0), asked[item]),
                )
            )
        return found


def _one(counts: _Counts, kind: Kind) -> int:
    return counts.get(kind, {}).get(b"", 0)


def _active_since(counts: _Counts, day: int) -> int:
    first = day_item(day)
    return sum(count for item, count in counts.get(Kind.LAST_ACTIVE, {}).items() if item >= first)


def _reach(outline: Outline, counts: _Counts) -> list[analytics_pb2.LectureReach]:
    everybody = _one(counts, Kind.ENROLLED) + _one(counts, Kind.ENDED)
    completed = counts.get(Kind.LECTURE, {})
    return [
        analytics_pb2.LectureReach(
            lecture_id=to_text(lecture.lecture_id),
            title=lecture.title,
            completed=completed.get(lecture.lecture_id, 0),
            completed_percent=share_percent(completed.get(lecture.lecture_id, 0), everybody),
        )
        for module in outline.modules
        for lecture in module.lectures
    ]


def _fill_scores(message: analytics_pb2.CourseAnalytics, counts: _Counts) -> None:
    ranges = counts.get(Kind.SCORED, {})
    width = 100 // rules.SCORE_RANGES
    for number in range(rules.SCORE_RANGES):
        students = ranges.get(bytes((number,)), 0)
        message.scores.add(from_percent=number * width, to_percent=(number + 1) * width, students=students)
    scored = sum(ranges.values())
    if scored:
        message.average_score_percent = round(_one(counts, Kind.SCORE_SUM) / 100 / scored, 2)


def _revenue(counts: _Counts) -> list[analytics_pb2.Revenue]:
    paid, refunded = counts.get(Kind.PAID, {}), counts.get(Kind.REFUNDED, {})
    return [
        analytics_pb2.Revenue(
            currency=currency.decode("ascii"),
            paid_minor=paid[currency],
            refunded_minor=refunded.get(currency, 0),
            net_minor=paid[currency] - refunded.get(currency, 0),
        )
        for currency in sorted(paid)
    ]


def _series(counts: _Counts, today: int) -> list[analytics_pb2.DayFigures]:
    """The last days, each with its numbers, though they be 0."""
    revenue: dict[int, list[analytics_pb2.NetRevenue]] = {}
    for item, net in sorted(counts.get(Kind.DAY_REVENUE, {}).items()):
        entry = analytics_pb2.NetRevenue(currency=item[4:].decode("ascii"), net_minor=net)
        revenue.setdefault(rules.item_day(item), []).append(entry)
    found = []
    for day in range(today - SERIES_DAYS + 1, today + 1):
        item = day_item(day)
        found.append(
            analytics_pb2.DayFigures(
                date=rules.day_text(day),
                enrollments=counts.get(Kind.DAY_ENROLLED, {}).get(item, 0),
                completions=counts.get(Kind.DAY_COMPLETED, {}).get(item, 0),
                active_students=counts.get(Kind.DAY_ACTIVE, {}).get(item, 0),
                lecture_completions=counts.get(Kind.DAY_LECTURES, {}).get(item, 0),
                revenue=revenue.get(day, ()),
            )
        )
    return found
