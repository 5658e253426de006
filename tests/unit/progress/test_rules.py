"""Percentages, marks, watched time, completion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.courses.catalog import Outline, OutlineLecture, OutlineModule
from core.progress import rules
from core.progress.messages import Sheet
from core.progress.rules import UNSEEN, LectureState, Mark, QuizState, Standing, apply_mark
from skillforge.v1 import courses_pb2, progress_pb2

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


def key(number: int) -> bytes:
    return bytes([number]) * 16


def outline(*modules: int, exam: bool = False, duration: int = 100) -> Outline:
    """A course whose modules have so many lectures; the lectures are numbered from 1, the first has a quiz."""
    numbers = iter(range(1, 200))
    built = tuple(
        OutlineModule(
            key(200 + place),
            f"Module {place}",
            tuple(
                OutlineLecture(key(n), f"Lecture {n}", duration, False, False, key(250) if n == 1 else None)
                for _, n in zip(range(count), numbers, strict=False)
            ),
        )
        for place, count in enumerate(modules)
    )
    lectures = tuple(lecture.lecture_id for module in built for lecture in module.lectures)
    return Outline(
        course_id=key(255), instructor_id=key(254), instructor_name="Ada", title="Course", description="",
        status=courses_pb2.COURSE_STATUS_PUBLISHED, price_minor=0, currency="USD", version=1, modules=built,
        exam_id=key(251) if exam else None, lecture_ids=lectures, quiz_ids=(key(250),) if lectures else (),
        message=courses_pb2.Course(),
    )  # fmt: skip


def standing(*complete: int, active: bool = True) -> Standing:
    lectures = {key(number): LectureState(NOW, 5, 0, NOW) for number in complete}
    return Standing(key(1), key(255), active, NOW, 0, "", lectures)


def mark(
    completed: bool | None = None,
    position: int | None = None,
    watched: int | None = None,
    *,
    now: int = NOW,
    duration: int = 100,
) -> Mark:
    return Mark(key(1), key(1), outline(1), duration, completed, position, watched, now)


# Percentages


@given(st.integers(0, 500), st.integers(0, 500))
def test_percent_is_rounded_down_and_100_only_for_all(one: int, other: int) -> None:
    completed, total = sorted((one, other))
    found = rules.percent(completed, total)
    assert 0 <= found <= 100
    assert (found == 100) == (completed == total > 0)
    assert found * total <= 100 * completed
    if completed < total:
        assert rules.percent(completed + 1, total) >= found


def test_a_message_shows_the_outline_and_nothing_that_was_deleted() -> None:
    course = outline(2, 1, exam=True)
    mine = standing(1, 3, 99)
    mine.quizzes[key(251)] = QuizState(62.5, False, 2)
    message = progress_pb2.CourseProgress()
    Sheet(course).fill(message, mine)
    assert (message.percent, message.lectures_completed, message.lectures_total) == (66, 2, 3)
    assert [(m.percent, m.lectures_completed, m.lectures_total) for m in message.modules] == [(50, 1, 2), (100, 1, 1)]
    assert [lecture.HasField("complete_time") for lecture in message.lectures] == [True, False, True]
    assert message.lectures[0].complete_time.ToMicroseconds() == NOW
    assert (len(message.quizzes), message.exam.best_percent, message.exam.attempts) == (1, 62.5, 2)
    assert not message.HasField("complete_time")
    assert not message.certificate_id


@given(st.lists(st.integers(0, 6), max_size=5), st.sets(st.integers(1, 40)))
def test_modules_and_lectures_add_up(sizes: list[int], done: set[int]) -> None:
    message = progress_pb2.CourseProgress()
    Sheet(outline(*sizes)).fill(message, standing(*done))
    assert message.lectures_completed == sum(module.lectures_completed for module in message.modules)
    assert message.lectures_completed == sum(lecture.HasField("complete_time") for lecture in message.lectures)
    assert message.percent == rules.percent(message.lectures_completed, sum(sizes))
    assert len(message.modules) == len(sizes)


# Marks


@pytest.mark.parametrize(
    ("said", "completes"),
    [
        (mark(), True),
        (mark(True), True),
        (mark(True, 3, 4), True),
        (mark(False), False),
        (mark(None, 30), False),
        (mark(None, None, 89), False),
        (mark(None, None, 90), True),
        (mark(False, None, 90), True),
        (mark(None, None, 90, duration=0), False),
    ],
)
def test_what_completes_a_lecture(said: Mark, completes: bool) -> None:
    assert apply_mark(UNSEEN, said).complete == (NOW if completes else 0)


def test_completion_is_never_taken_back_nor_moved() -> None:
    before = LectureState(NOW, 0, 0, NOW)
    assert apply_mark(before, mark(False, now=NOW + SECOND)) is before
    assert apply_mark(before, mark(True, now=NOW + SECOND)) is before
    assert apply_mark(before, mark(None, 7, now=NOW + SECOND)).complete == NOW


def test_a_position_alone_is_only_noted() -> None:
    assert apply_mark(UNSEEN, mark(None, 42)) == LectureState(0, 42, 0, NOW)
    assert apply_mark(UNSEEN, mark(None, 5000)).position_seconds == 100
    assert apply_mark(UNSEEN, mark(None, 5000, duration=0)).position_seconds == 5000


def test_watched_time_is_bounded_by_the_clock() -> None:
    before = LectureState(0, 0, 10, NOW)
    assert apply_mark(before, mark(None, None, 30, now=NOW + 30 * SECOND)).watched_seconds == 40
    assert apply_mark(before, mark(None, None, 80, now=NOW + 30 * SECOND)).watched_seconds == 47
    assert apply_mark(before, mark(None, None, 80, now=NOW)) is before
    assert apply_mark(UNSEEN, mark(None, None, 86_400, duration=3600)).watched_seconds == rules.FIRST_REPORT_SECONDS


def test_a_shortened_lecture_keeps_what_was_watched() -> None:
    before = LectureState(0, 0, 500, NOW, ((0, 500),))
    assert apply_mark(before, mark(None, None, 10, now=NOW + 60 * SECOND)).watched_seconds == 500


STEPS = st.lists(
    st.tuples(
        st.none() | st.booleans(), st.none() | st.integers(0, 4000), st.none() | st.integers(0, 4000), st.integers(-5, 600)
    ),
    max_size=12,
)


@given(STEPS, st.integers(0, 3600))
def test_marks_only_go_forward(steps: list[tuple[bool | None, int | None, int | None, int]], duration: int) -> None:
    state, now = UNSEEN, NOW
    started = 0
    for completed, position, watched, pause in steps:
        now += pause * SECOND
        after = apply_mark(state, mark(completed, position, watched, now=now, duration=duration))
        assert state.complete in (0, after.complete)
        assert after.watched_seconds >= state.watched_seconds
        assert after.update >= state.update
        assert not duration or after.watched_seconds <= duration
        assert (after is state) == (after == state)
        started = started or after.update
        state = after
    elapsed = (state.update - started) // SECOND
    assert state.watched_seconds <= rules.FIRST_REPORT_SECONDS + elapsed * rules.WATCH_SLACK


# Completion


def test_every_lecture_and_the_exam_make_a_course_complete() -> None:
    course, mine = outline(2, 1, exam=True), standing(1, 2, 3)
    assert not rules.is_done(course, mine)
    mine.quizzes[key(251)] = QuizState(50, False, 1)
    assert not rules.is_done(course, mine)
    mine.quizzes[key(251)] = QuizState(85.5, True, 2)
    assert rules.is_done(course, mine)
    assert rules.score(course, mine) == 85.5


def test_without_an_exam_lectures_are_enough() -> None:
    assert rules.is_done(outline(2), standing(1, 2))
    assert rules.score(outline(2), standing(1, 2)) == 100.0
    assert not rules.is_done(outline(), standing())


def test_everything_missing_is_named() -> None:
    course = outline(1, 2, exam=True)
    assert [item.description for item in rules.missing_violations(course, standing(2))] == [
        "Complete the lecture “Lecture 1”.",
        "Complete the lecture “Lecture 3”.",
        "Pass the final exam.",
    ]
    assert [item.field for item in rules.missing_violations(outline(1), standing(1, active=False))] == ["enrollment"]
    assert [item.field for item in rules.missing_violations(outline(), standing())] == ["lectures"]


@given(st.lists(st.integers(0, 4), max_size=4), st.sets(st.integers(1, 16)), st.booleans(), st.booleans())
def test_something_is_missing_until_it_is_done(sizes: list[int], done: set[int], exam: bool, passed: bool) -> None:
    course, mine = outline(*sizes, exam=exam), standing(*done)
    mine.quizzes[key(251)] = QuizState(70, passed, 1)
    assert rules.is_done(course, mine) == (not rules.missing_violations(course, mine))
    if rules.is_done(course, mine):
        assert rules.percent(len(course.lecture_ids), len(course.lecture_ids)) == 100
        assert not rules.missing_lectures(course, mine)
