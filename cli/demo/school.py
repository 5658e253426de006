"""The demo school comes to life: everything through the services, as its people would do it one after the other.

Each step looks at what is there and does what is missing, so a start that was interrupted is completed by the next. The
last step archives a course; where it is archived, the school is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import aiohttp

from cli.client import TIMEOUT
from cli.demo.client import Caller
from cli.demo.course_files import Course, Lecture, Module, Quiz, answers, load_courses
from cli.demo.people import Person, Study, load_people, people, studies
from cli.demo.talks import talk
from contract.client import CoreClient
from contract.errors import CallError
from core.times import utc_now
from fakes.clerk import ClerkFake
from fakes.videos import video_url
from skillforge.v1 import courses_pb2, payments_pb2, progress_pb2

# How many people act at the same time.
AT_ONCE = 6
PAYMENT_SECONDS = 20.0
GOOD_CARD, REFUSED_CARD = "4242424242424242", "4000000000000002"
_T = TypeVar("_T")

# Told how many of how many steps are done.
Report = Callable[[int, int], None]


async def make_school(client: CoreClient, clerk: ClerkFake, report: Report = lambda done, total: None) -> bool:
    """Make what is missing of the school; False: it was complete. Raises CallError, aiohttp.ClientError, TimeoutError, or a
    group of them."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
        school = DemoSchool(client, clerk, http, report)
        if await school.is_complete():
            return False
        await school.fill()
    return True


class DemoSchool:
    """Makes the school, by the files beside this one."""

    def __init__(self, client: CoreClient, clerk: ClerkFake, http: aiohttp.ClientSession, report: Report) -> None:
        self._client = client
        self._clerk = clerk
        self._http = http
        self._report = report
        self._callers: dict[str, Caller] = {}
        self._ids: dict[str, str] = {}  # of people by their key
        self._courses: dict[str, courses_pb2.Course] = {}  # as published, by slug
        self._done = 0
        self._total = len(load_people()) + len(load_courses()) + len(people("STUDENT")) + len(people("PARENT"))

    async def is_complete(self) -> bool:
        """Whether the last step was done."""
        archived = _archived()
        teacher = next(person for person in people("INSTRUCTOR") if person.key == archived.instructor)
        await self._sign_in(teacher)
        found = await self._own_course(archived)
        return found is not None and found.status == courses_pb2.COURSE_STATUS_ARCHIVED

    async def fill(self) -> None:
        """Do everything."""
        await self._each(load_people(), self._sign_in)
        await self._each(load_courses(), self._write_course)
        await self._each(people("STUDENT"), self._study)
        await self._each(people("PARENT"), self._link)
        await talk(self._callers, self._ids)
        archived = _archived()
        await self._callers[archived.instructor].call("DeleteCourse", course_id=self._courses[archived.slug].id)

    async def _each(self, items: Iterable[_T], work: Callable[[_T], Awaitable[None]]) -> None:
        """Do the work for each item, a few at a time."""
        waiting = iter(items)

        async def worker() -> None:
            for item in waiting:
                await work(item)
                self._done += 1
                self._report(self._done, self._total)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())

    async def _sign_in(self, person: Person) -> None:
        if person.key not in self._callers:
            _, token = await self._clerk.sign_in(person.email, person.name, person.role)
            caller = Caller(self._client, token, person)
            self._ids[person.key] = (await caller.call("SyncUser")).id
            self._callers[person.key] = caller

    # Courses

    async def _own_course(self, course: Course) -> courses_pb2.Course | None:
        reply = await self._callers[course.instructor].call("ListCourses", mine=True, page_size=100)
        return next((item for item in reply.courses if item.title == course.title), None)

    async def _write_course(self, course: Course) -> None:
        teacher = self._callers[course.instructor]
        found = await self._own_course(course) or await teacher.call("CreateCourse", **course.fields)
        present = await teacher.call("GetCourse", course_id=found.id)
        for place, module in enumerate(course.modules):
            known = present.modules[place] if place < len(present.modules) else None
            await self._write_module(teacher, course, present.id, module, known)
        if course.exam is not None and not present.exam_id:
            await teacher.call("PutExam", course_id=present.id, **_quiz(course.exam))
        if course.status != "draft" and present.status == courses_pb2.COURSE_STATUS_DRAFT:
            await teacher.call("PublishCourse", course_id=present.id)
        self._courses[course.slug] = await teacher.call("GetCourse", course_id=present.id)

    async def _write_module(
        self, teacher: Caller, course: Course, course_id: str, module: Module, known: courses_pb2.OutlineModule | None
    ) -> None:
        module_id = known.id if known else (await teacher.call("CreateModule", course_id=course_id, title=module.title)).id
        for place, lecture in enumerate(module.lectures):
            if known is not None and place < len(known.lectures):
                lecture_id, quiz_id = known.lectures[place].id, known.lectures[place].quiz_id
            else:
                number = course.lectures.index(lecture) + 1
                film = video_url(self._clerk.issuer, f"{course.slug}-{number}")
                lecture_id, quiz_id = await _write_lecture(teacher, module_id, lecture, film), ""
            if lecture.quiz is not None and not quiz_id:
                await teacher.call("PutLectureQuiz", lecture_id=lecture_id, **_quiz(lecture.quiz))

    # Students

    async def _study(self, person: Person) -> None:
        student = self._callers[person.key]
        for study in studies(person):
            if await self._enter(student, study):
                await self._learn(student, study)

    async def _enter(self, student: Caller, study: Study) -> bool:
        """Whether the student is enrolled, by now."""
        course_id = self._courses[study.course.slug].id
        if await _progress(student, course_id) is not None:
            return True
        if study.course.is_free:
            await student.call("EnrollInCourse", course_id=course_id)
        elif study.entry == "grant":
            await self._callers["admin"].call("EnrollInCourse", course_id=course_id, student_id=self._ids[student.person.key])
        else:
            return await self._pay(student, course_id, GOOD_CARD if study.entry == "card" else REFUSED_CARD)
        return True

    async def _pay(self, student: Caller, course_id: str, card: str) -> bool:
        """Pay at the fake checkout; whether its webhook says that it went well. A card refused earlier is not tried again,
        but a start that was interrupted before the checkout has left a payment that waits for one."""
        listed = await student.call("ListPayments", page_size=100)
        earlier = [payment for payment in listed.payments if payment.course_id == course_id]
        waiting = [payment for payment in earlier if _is_open(payment)]
        if card == REFUSED_CARD and earlier and not waiting:
            return False
        payment = waiting[0] if waiting else await student.call("CreatePayment", course_id=course_id)
        async with self._http.post(payment.checkout_url, json={"card": card}) as response:
            response.raise_for_status()
        pause = 0.01
        async with asyncio.timeout(PAYMENT_SECONDS):
            while payment.status == payments_pb2.PAYMENT_STATUS_PENDING:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.5)
                payment = await student.call("GetPayment", payment_id=payment.id)
        return bool(payment.status == payments_pb2.PAYMENT_STATUS_SUCCEEDED)

    async def _learn(self, student: Caller, study: Study) -> None:
        outline = self._courses[study.course.slug]
        before = await _progress(student, outline.id)
        assert before is not None  # just entered
        attempts = {quiz.quiz_id: quiz.attempts for quiz in before.quizzes}
        lectures = [lecture for module in outline.modules for lecture in module.lectures]
        for place, wanted in enumerate(study.course.lectures[: study.lectures]):
            known = lectures[place]
            if not before.lectures[place].HasField("complete_time"):
                said = {"completed": True, "position_seconds": wanted.seconds}
                await student.call("MarkLecture", lecture_id=known.id, **said)
            if wanted.quiz is not None:
                shares = study.quizzes[place][attempts.get(known.quiz_id, 0) :]
                await _attempt(student, known.quiz_id, wanted.quiz, shares)
        if 0 < study.lectures < len(lectures) and not before.lectures[study.lectures].position_seconds:
            await student.call("MarkLecture", lecture_id=lectures[study.lectures].id, position_seconds=75, watched_seconds=75)
        if study.course.exam is not None:
            await _attempt(student, outline.exam_id, study.course.exam, study.exams[before.exam.attempts :])

    # Parents

    async def _link(self, person: Person) -> None:
        """The children give a code each, and the parent takes it."""
        parent = self._callers[person.key]
        linked = {link.child_id for link in (await parent.call("ListChildren")).children}
        for key in person.children:
            if self._ids[key] not in linked:
                code = (await self._callers[key].call("CreateLinkCode")).code
                await parent.call("LinkChild", code=code)


def _is_open(payment: payments_pb2.Payment) -> bool:
    """Whether its checkout still takes a card."""
    return payment.status == payments_pb2.PAYMENT_STATUS_PENDING and payment.expire_time.ToDatetime() > utc_now()


def _archived() -> Course:
    return next(course for course in load_courses() if course.status == "archived")


def _quiz(quiz: Quiz) -> dict[str, object]:
    return {**quiz.fields, "questions": quiz.questions}


async def _write_lecture(teacher: Caller, module_id: str, lecture: Lecture, film: str) -> str:
    made = await teacher.call(
        "CreateLecture",
        module_id=module_id,
        title=lecture.title,
        notes=lecture.notes,
        preview=lecture.preview,
        video={"url": film, "duration_seconds": lecture.seconds},
    )
    return str(made.id)


async def _progress(student: Caller, course_id: str) -> progress_pb2.CourseProgress | None:
    """The student's progress; None: not enrolled."""
    try:
        reply: progress_pb2.CourseProgress = await student.call("GetCourseProgress", course_id=course_id)
        return reply
    except CallError as error:
        if error.code_name == "NOT_FOUND":
            return None
        raise


async def _attempt(student: Caller, quiz_id: str, quiz: Quiz, shares: Iterable[float]) -> None:
    """An attempt for each share of right answers."""
    for share in shares:
        attempt = await student.call("StartAttempt", quiz_id=quiz_id)
        given = list(answers(quiz, int(share * len(quiz.questions))))
        await student.call("SubmitAttempt", attempt_id=attempt.id, answers=given)
