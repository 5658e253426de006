"""Sides: a teacher, a student, a parent and an admin with one of everything there is. Two of them are a matrix's
"own" and "other's"."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from core.certificates.rules import new_certificate_id
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, families_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World, exam_content, right_answers

# The parts of a course, each by the field that names it.
COURSE_PARTS = ("course_id", "module_id", "lecture_id", "quiz_id")


@dataclass
class Things:
    """What a request may point at: ids by the field's name. `outline`: the modules of the course with their lectures."""

    ids: dict[str, str]
    paid_course_id: str
    draft_course_id: str
    code: str
    outline: list[courses_pb2.ModuleOrder] = field(default_factory=list)

    def having(self, **ids: str) -> Things:
        """The same with other ids."""
        return Things({**self.ids, **ids}, self.paid_course_id, self.draft_course_id, self.code, self.outline)


@dataclass
class Side:
    """People by their role, their things, and those of their draft (the rest of its things are the side's)."""

    people: dict[str, Person]
    things: Things
    draft: Things

    @property
    def private(self) -> list[str]:
        """What nobody of another side may ever be shown."""
        ids = self.things.ids
        student, parent = self.people["STUDENT"].user, self.people["PARENT"].user
        things = [ids[name] for name in ("attempt_id", "payment_id", "coupon_id", "certificate_id")]
        return [*things, student.id, parent.id, student.email, parent.email]


def nothing() -> Things:
    """Ids of things that are not there."""
    names = (
        *COURSE_PARTS,
        "attempt_id",
        "payment_id",
        "coupon_id",
        "student_id",
        "child_id",
        "parent_id",
        "user_id",
        "actor_id",
        "instructor_id",
    )
    ids = {name: str(uuid.uuid4()) for name in names}
    return Things({**ids, "certificate_id": new_certificate_id()}, ids["course_id"], ids["course_id"], "0000-0000")


async def new_side(world: World) -> Side:
    """A side in which everything has happened: the student has completed the course, and tries its quiz again."""
    people = {role: await world.person(role) for role in ("INSTRUCTOR", "STUDENT", "PARENT", "ADMIN")}
    teacher, student = people["INSTRUCTOR"], people["STUDENT"]
    course = await _course(world, teacher, publish=True)
    draft = await _course(world, teacher, publish=False)
    paid = await world.course(teacher, price=4900, lectures=1, exam=False)
    await _link(world, people)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for module in course.modules:
        for lecture in module.lectures:
            await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)
    exam = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=exam.id, answers=right_answers())
    await world.call("SubmitAttempt", submit, student)
    [certificate] = (await world.call("ListCertificates", certificates_pb2.ListCertificatesRequest(), student)).certificates
    parts = _parts(course)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=parts["quiz_id"]), student)
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=paid.id), student)
    request = payments_pb2.CreateCouponRequest(code=f"SIDE-{student.id}", course_id=paid.id, percent=10)
    coupon = await world.call("CreateCoupon", request, teacher)
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), student)
    ids = {
        **parts, "attempt_id": attempt.id, "payment_id": payment.id, "coupon_id": coupon.id, "certificate_id": certificate.id,
        "student_id": student.id, "child_id": student.id, "user_id": student.id, "actor_id": student.id,
        "parent_id": people["PARENT"].id, "instructor_id": teacher.id,
    }  # fmt: skip
    things = Things(ids, paid.id, draft.id, code.code, _outline(course))
    hidden = Things({**ids, **_parts(draft)}, draft.id, draft.id, code.code, _outline(draft))
    return Side(people, things, hidden)


async def _course(world: World, teacher: Person, *, publish: bool) -> Any:
    """Two modules, a quiz, and an exam."""
    course = await world.course(teacher, publish=False)
    module = await world.call("CreateModule", courses_pb2.CreateModuleRequest(course_id=course.id, title="Two"), teacher)
    await world.call("CreateLecture", courses_pb2.CreateLectureRequest(module_id=module.id, title="L", notes="N"), teacher)
    quiz = quizzes_pb2.PutLectureQuizRequest(lecture_id=course.modules[0].lectures[0].id, **exam_content())
    await world.call("PutLectureQuiz", quiz, teacher)
    if publish:
        return await world.call("PublishCourse", courses_pb2.PublishCourseRequest(course_id=course.id), teacher)
    return await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id), teacher)


async def _link(world: World, people: dict[str, Person]) -> None:
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), people["STUDENT"])
    await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), people["PARENT"])


def _parts(course: Any) -> dict[str, str]:
    module = course.modules[0]
    lecture = module.lectures[0]
    return {"course_id": course.id, "module_id": module.id, "lecture_id": lecture.id, "quiz_id": lecture.quiz_id}


def _outline(course: Any) -> list[courses_pb2.ModuleOrder]:
    return [
        courses_pb2.ModuleOrder(module_id=module.id, lecture_ids=[lecture.id for lecture in module.lectures])
        for module in course.modules
    ]
