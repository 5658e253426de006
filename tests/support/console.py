"""The console in a browser: signing in as somebody of the test's, and a course to go through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Page, expect

from fakes.clerk import Persona
from fakes.videos import video_url
from skillforge.v1 import courses_pb2, identity_pb2, quizzes_pb2
from tests.support.browser import Visitor, inaccessible, overflows
from tests.support.world import Person, World

MAIN_HEADING = "main h1"


@dataclass
class Console:
    """One person at the console."""

    world: World
    visitor: Visitor

    @property
    def page(self) -> Page:
        return self.visitor.page

    async def open(self, path: str = "/", *, heading: str | re.Pattern[str] | None = None) -> None:
        """Go to a path of the console, by its address."""
        await self.page.goto(f"{self.world.url}/#{path}")
        await self.settled(heading)

    async def settled(self, heading: str | re.Pattern[str] | None = None) -> None:
        """The view is there, under its heading."""
        if heading is not None:
            await expect(self.page.locator(MAIN_HEADING)).to_have_text(heading)
        await expect(self.page.locator("main[aria-busy]")).to_have_count(0)

    async def sign_in(self, name: str) -> None:
        """As one of the personas, on the welcome page."""
        await self.open("/welcome")
        await self.page.get_by_role("button", name=name).click()
        await expect(self.page.get_by_role("button", name=f"{name},")).to_be_visible()
        await self.settled()

    async def press(self, name: str, role: Any = "button") -> None:
        """A button (or link) of this very name."""
        await self.page.get_by_role(role, name=name, exact=True).click()

    async def is_sound(self) -> None:
        """Nothing on this page hinders anybody, and nothing stands out at the side."""
        assert not await inaccessible(self.page), self.page.url
        assert not await overflows(self.page), self.page.url


def suggest(world: World, monkeypatch: pytest.MonkeyPatch, *people: Person) -> None:
    """The development issuer suggests these people, for this test."""
    found = []
    for person in people:
        role = identity_pb2.Role.Name(person.user.role).removeprefix("ROLE_")
        found.append(Persona(person.user.email, person.user.display_name, role, f"Try what {person.user.display_name} does."))
    monkeypatch.setattr(world.fakes.clerk, "personas", tuple(found))


async def write_course(world: World, teacher: Person, *, price: int = 1900, exam_seconds: int = 600) -> Any:
    """A published course of two lectures with real videos, a quiz on the first, and a timed exam of three questions."""
    draft = courses_pb2.CreateCourseRequest(title="How things float", description="Why *boats* do not sink.", tags=["water"])
    draft.price.amount_minor, draft.price.currency = price, "USD"
    draft.level, draft.language = courses_pb2.COURSE_LEVEL_BEGINNER, "en"
    course = await world.call("CreateCourse", draft, teacher)
    module = await world.call("CreateModule", courses_pb2.CreateModuleRequest(course_id=course.id, title="Water"), teacher)
    for number, title in enumerate(("Pushing back", "Heavy and light"), 1):
        lecture = courses_pb2.CreateLectureRequest(module_id=module.id, title=title, notes=NOTES)
        lecture.video.url, lecture.video.duration_seconds = video_url(world.url, f"float-{number}"), 24
        made = await world.call("CreateLecture", lecture, teacher)
        if number == 1:
            quiz = quizzes_pb2.PutLectureQuizRequest(lecture_id=made.id, title="Pushes", pass_percent=50, questions=[_choice()])
            await world.call("PutLectureQuiz", quiz, teacher)
    exam = quizzes_pb2.PutExamRequest(
        course_id=course.id, title="Final exam", pass_percent=60, max_attempts=3, time_limit_seconds=exam_seconds
    )
    exam.questions.extend([_choice(), _number(), _text()])
    await world.call("PutExam", exam, teacher)
    return await world.call("PublishCourse", courses_pb2.PublishCourseRequest(course_id=course.id), teacher)


NOTES = """Water **pushes back**.

- A stone is heavier than its water.
- A boat is *lighter*.

| Thing | Floats |
|---|---|
| Cork | yes |

<script>alert("never")</script> [a link](javascript:alert(1)) and [a good one](https://example.com/)
"""


def _choice() -> quizzes_pb2.Question:
    question = quizzes_pb2.Question(id="q1", prompt="What floats?", kind=quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, points=1)
    question.choices.extend([quizzes_pb2.Choice(id="a", text="A cork"), quizzes_pb2.Choice(id="b", text="A stone")])
    question.answer_key.choice_ids.append("a")
    question.explanation = "A cork is lighter than the water in its place."
    return question


def _number() -> quizzes_pb2.Question:
    question = quizzes_pb2.Question(id="q2", prompt="Kilograms of a litre?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=1)
    question.answer_key.number = 1
    return question


def _text() -> quizzes_pb2.Question:
    question = quizzes_pb2.Question(id="q3", prompt="Who ran naked?", kind=quizzes_pb2.QUESTION_KIND_SHORT_TEXT, points=1)
    question.answer_key.accepted_texts.append("Archimedes")
    return question
