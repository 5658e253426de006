"""Numbers as nobody should send them, through every door; and scores that divide badly, the same wherever they are shown."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import pytest
from google.protobuf.message import Message

from skillforge.v1 import analytics_pb2, courses_pb2, enrollments_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World

DOORS = ("grpc", "rest", "remote")


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def course(world: World, teacher: Person) -> courses_pb2.Course:
    return await world.course(teacher, lectures=2, exam=False)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
async def student(world: World, course: courses_pb2.Course) -> Person:
    student = await world.person()
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    return student


def negative(course: courses_pb2.Course) -> list[tuple[Message, str]]:
    """Requests with a number that must not be, and the field it is in."""
    lecture_id = course.modules[0].lectures[0].id
    low, high = -(2**31), 2**31 - 1
    found: list[tuple[Message, str]] = []

    def add(request: Any, field: str, *values: float) -> None:
        """The request with each of these values in a field, "questions[0].points" for instance."""
        for value in values:
            copy: Any = type(request)()
            copy.CopyFrom(request)
            *path, last = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", field.replace("[0]", "")).split(".")
            inner = copy
            for name in path:
                inner = getattr(inner, name)[0] if name == "questions" else getattr(inner, name)
            setattr(inner, last, value)
            found.append((copy, field))

    mark = progress_pb2.MarkLectureRequest(lecture_id=lecture_id)
    for field in ("positionSeconds", "watchedSeconds"):
        add(mark, field, -1, low, 86_401, high)
    price = courses_pb2.Money(currency="USD")
    add(courses_pb2.UpdateCourseRequest(course_id=course.id, title="T", price=price), "price.amountMinor", -1, low)
    add(courses_pb2.CreateCourseRequest(title="T", price=price), "price.amountMinor", -1, low)
    add(courses_pb2.UpdateLectureRequest(lecture_id=lecture_id, title="T"), "video.durationSeconds", -1, 86_401, high)
    quiz = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_id, title="T")
    for field, most in (("passPercent", 101), ("timeLimitSeconds", 86_401), ("maxAttempts", 1001)):
        add(quiz, field, -1, low, most, high)
    exam = quizzes_pb2.PutExamRequest(course_id=course.id, title="T")
    exam.questions.add(prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC).answer_key.number = 1
    add(exam, "questions[0].points", -1, low, 1001)
    add(exam, "questions[0].answerKey.tolerance", -1, -0.1, 1e300)
    add(exam, "questions[0].answerKey.number", -1e101, 1e101)
    lists: list[Any] = [
        courses_pb2.ListCoursesRequest(),
        enrollments_pb2.ListEnrollmentsRequest(),
        progress_pb2.ListGradesRequest(course_id=course.id),
    ]
    for request in lists:
        add(request, "pageSize", -1, low)
    return found


@pytest.mark.parametrize("door", DOORS)
async def test_numbers_out_of_bounds_are_refused(
    world: World, teacher: Person, student: Person, course: courses_pb2.Course, door: str
) -> None:
    for request, field in negative(course):
        name = type(request).__name__.removesuffix("Request")
        person = student if name in ("MarkLecture", "ListEnrollments") else teacher
        outcome = await world.doors[door].call(name, request, person.token)
        assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT"), (request, outcome)
        assert field in outcome.fields, (request, outcome.fields)
    now = await world.call("GetCourseProgress", progress_pb2.GetCourseProgressRequest(course_id=course.id), student)
    assert not now.HasField("last_activity_time"), "nothing of it was noted"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", 0.5, 1e10, -1e10, "1e400", "", "five", True, [], {}])
@pytest.mark.parametrize("field", ["positionSeconds", "watchedSeconds"])
async def test_what_is_no_whole_number_is_refused(
    world: World, student: Person, course: courses_pb2.Course, field: str, value: Any
) -> None:
    body = {"lectureId": course.modules[0].lectures[0].id, field: value}
    for url in (world.url, world.remote_url):
        status, _, problem = await world.request("POST", "/progress/lecture", person=student, url=url, json=body)
        assert (status, [item["field"] for item in problem["violations"]]) == (400, [field])
    for raw in (f'{{"{field}": NaN}}', f'{{"{field}": -Infinity}}', f'{{"{field}": 1' + "0" * 500 + "}"):
        headers = {"Content-Type": "application/json"}
        status, _, _ = await world.request("POST", "/progress/lecture", person=student, data=raw.encode(), headers=headers)
        assert status == 400


def of_points(*points: int) -> list[quizzes_pb2.Question]:
    """Questions whose right answer is 1, and the last of which has three right choices of six."""
    found = []
    for number, worth in enumerate(points[:-1]):
        question = quizzes_pb2.Question(id=f"q{number}", prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=worth)
        question.answer_key.number = 1
        found.append(question)
    choices = [quizzes_pb2.Choice(id=item, text=item) for item in "abcdef"]
    last = quizzes_pb2.Question(
        id="some", prompt="?", kind=quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE, points=points[-1], choices=choices
    )
    last.answer_key.choice_ids.extend("abc")
    return [*found, last]


# Points of the questions, how many of the first are answered right, the picks of the last; percent and whether 67 passes.
SCORES = [
    ((1, 1, 1), 1, "", 33.33, False),
    ((1, 1, 1), 2, "", 66.67, False),
    ((1, 1, 1), 2, "a", 77.78, True),
    ((1,), 0, "ab", 66.67, False),
    ((1,), 0, "abd", 33.33, False),
    ((7, 1000, 13), 1, "", 0.69, False),
    ((999, 1), 0, "a", 0.03, False),
    ((1000, 1), 1, "", 99.9, True),
    ((1,), 0, "def", 0, False),
]


@pytest.mark.parametrize(("points", "right", "picks", "percent", "passed"), SCORES)
async def test_scores_that_divide_badly_are_the_same_everywhere(
    world: World, teacher: Person, points: tuple[int, ...], right: int, picks: str, percent: float, passed: bool
) -> None:
    course, student = await world.course(teacher, lectures=1, exam=False), await world.person()
    lecture_id = course.modules[0].lectures[0].id
    put = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_id, title="Q", pass_percent=67, questions=of_points(*points))
    quiz = await world.call("PutLectureQuiz", put, teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=quiz.id), student)
    answers = [quizzes_pb2.Answer(question_id=f"q{number}", number=1) for number in range(right)]
    answers += [quizzes_pb2.Answer(question_id="some", choice_ids=list(picks))] if picks else []
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=answers)
    graded = await world.call("SubmitAttempt", submit, student)
    assert (graded.percent, graded.passed, graded.points_possible) == (percent, passed, sum(points))
    assert math.isclose(graded.points_earned, sum(item.points_earned for item in graded.results))
    for door in DOORS:
        get = quizzes_pb2.GetAttemptRequest(attempt_id=attempt.id)
        assert (await world.doors[door].call("GetAttempt", get, student.token)).message == graded
    progress = await world.call("GetCourseProgress", progress_pb2.GetCourseProgressRequest(course_id=course.id), student)
    assert [(item.best_percent, item.passed, item.attempts) for item in progress.quizzes] == [(percent, passed, 1)]
    [grade] = (await world.call("ListGrades", progress_pb2.ListGradesRequest(course_id=course.id), teacher)).grades
    assert (grade.quiz_average_percent, grade.score_percent) == (percent, percent)
    exported = await world.call("ExportGrades", progress_pb2.ExportGradesRequest(course_id=course.id), teacher)
    [line] = csv.DictReader(io.StringIO(exported.data.decode()))
    assert (float(line["quizAveragePercent"]), float(line["scorePercent"])) == (percent, percent)
    analytics = await world.call("GetCourseAnalytics", analytics_pb2.GetCourseAnalyticsRequest(course_id=course.id), teacher)
    assert analytics.average_score_percent == percent
    [held] = [item for item in analytics.scores if item.students]
    assert held.from_percent <= percent < held.to_percent
