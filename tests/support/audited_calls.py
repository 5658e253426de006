"""How to make every audited call, and what its event must say: see tests/e2e/test_audit.py."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from collections.abc import Set as Fields
from typing import Any, NamedTuple

from skillforge.v1 import (
    certificates_pb2,
    courses_pb2,
    enrollments_pb2,
    families_pb2,
    identity_pb2,
    payments_pb2,
    progress_pb2,
    quizzes_pb2,
)
from tests.support.graduates import graduate
from tests.support.webhooks import new_sale, pay
from tests.support.world import Person, World, exam_content


class Did(NamedTuple):
    """A call to make, by whom, the type of its target, and the fields its event must say before and after."""

    request: Any
    who: Person
    target: str
    before: Fields[str] = frozenset()
    after: Fields[str] = frozenset()


class Stage:
    """What the calls need around them, made anew for each."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def draft(self) -> tuple[Person, Any]:
        teacher = await self.world.person("INSTRUCTOR")
        return teacher, await self.world.course(teacher, publish=False)

    async def published(self, price: int = 0) -> tuple[Person, Any]:
        teacher = await self.world.person("INSTRUCTOR")
        return teacher, await self.world.course(teacher, price=price)

    async def code(self) -> tuple[Person, Person, str]:
        student, parent = await self.world.person(), await self.world.person("PARENT")
        code = await self.world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), student)
        return student, parent, code.code

    async def certificate(self) -> tuple[Person, str]:
        """A teacher, and the id of the certificate of a student of theirs."""
        teacher = await self.world.person("INSTRUCTOR")
        course = await self.world.course(teacher, exam=False)
        return teacher, (await graduate(self.world, course)).certificate.id

    async def family(self) -> tuple[Person, Person]:
        student, parent, code = await self.code()
        await self.world.call("LinkChild", families_pb2.LinkChildRequest(code=code), parent)
        return student, parent


COURSE = frozenset({"title", "description", "priceMinor", "currency", "tags", "level", "language"})
LECTURE = frozenset({"title", "videoUrl", "durationSeconds", "notes", "preview"})
QUIZ = frozenset({"title", "passPercent", "timeLimitSeconds", "maxAttempts", "shuffle", "questionCount", "questions", "courseId"})
STEPS: dict[str, Callable[[Stage], Awaitable[Did]]] = {}


def step(make: Callable[[Stage], Awaitable[Did]]) -> None:
    """How to make the audited call of this name, in the words of the contract."""
    name = "".join(part.title() for part in make.__name__.split("_"))
    STEPS[name] = make


@step
async def sync_user(stage: Stage) -> Did:
    world = stage.world
    newcomer = identity_pb2.User(email=f"new.{uuid.uuid4().hex}@example.com", display_name="New Comer")
    _, token = await world.fakes.clerk.sign_in(newcomer.email, newcomer.display_name, "INSTRUCTOR")
    return Did(identity_pb2.SyncUserRequest(), Person(token, newcomer), "user", after={"role", "status"})


@step
async def sign_out(stage: Stage) -> Did:
    return Did(identity_pb2.SignOutRequest(), await stage.world.person(), "session")


@step
async def update_user(stage: Stage) -> Did:
    request = identity_pb2.UpdateUserRequest(user_id=(await stage.world.person()).id, role=identity_pb2.ROLE_INSTRUCTOR)
    return Did(request, await stage.world.person("ADMIN"), "user", {"role", "status"}, {"role", "status"})


@step
async def erase_me(stage: Stage) -> Did:
    request = identity_pb2.EraseMeRequest(confirm="ERASE")
    return Did(request, await stage.world.person(), "user", {"role", "status"}, {"status"})


@step
async def create_course(stage: Stage) -> Did:
    request = courses_pb2.CreateCourseRequest(title="New", description="Long " * 1000, tags=["a"])
    return Did(request, await stage.world.person("INSTRUCTOR"), "course", after=COURSE)


@step
async def update_course(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    price = courses_pb2.Money(amount_minor=4900, currency="EUR")
    level = courses_pb2.COURSE_LEVEL_ADVANCED
    request = courses_pb2.UpdateCourseRequest(
        course_id=course.id, title="Other", description="Other", price=price, tags=["other"], level=level, language="de"
    )
    return Did(request, teacher, "course", COURSE, COURSE)


@step
async def delete_course(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    return Did(courses_pb2.DeleteCourseRequest(course_id=course.id), teacher, "course", {"status"}, {"status"})


@step
async def publish_course(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    return Did(courses_pb2.PublishCourseRequest(course_id=course.id), teacher, "course", {"status"}, {"status"})


@step
async def unpublish_course(stage: Stage) -> Did:
    teacher, course = await stage.published()
    return Did(courses_pb2.UnpublishCourseRequest(course_id=course.id), teacher, "course", {"status"}, {"status"})


@step
async def update_outline(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    module = course.modules[0]
    order = courses_pb2.ModuleOrder(module_id=module.id, lecture_ids=[item.id for item in reversed(module.lectures)])
    return Did(
        courses_pb2.UpdateOutlineRequest(course_id=course.id, modules=[order]), teacher, "course", {"modules"}, {"modules"}
    )


@step
async def create_module(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    return Did(courses_pb2.CreateModuleRequest(course_id=course.id, title="Two"), teacher, "module", after={"title", "courseId"})


@step
async def update_module(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    request = courses_pb2.UpdateModuleRequest(module_id=course.modules[0].id, title="Other")
    return Did(request, teacher, "module", {"title"}, {"title"})


@step
async def delete_module(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    request = courses_pb2.DeleteModuleRequest(module_id=course.modules[0].id)
    return Did(request, teacher, "module", {"title", "courseId", "lectureIds"})


@step
async def create_lecture(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    request = courses_pb2.CreateLectureRequest(module_id=course.modules[0].id, title="Three", notes="Long " * 1000)
    return Did(request, teacher, "lecture", after={"moduleId", *LECTURE})


@step
async def update_lecture(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    video = courses_pb2.Video(url="https://videos.example.com/2.mp4", duration_seconds=7)
    lecture_id = course.modules[0].lectures[0].id
    request = courses_pb2.UpdateLectureRequest(lecture_id=lecture_id, title="Other", notes="Other", video=video, preview=True)
    return Did(request, teacher, "lecture", LECTURE, LECTURE)


@step
async def delete_lecture(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    request = courses_pb2.DeleteLectureRequest(lecture_id=course.modules[0].lectures[0].id)
    return Did(request, teacher, "lecture", {"moduleId", *LECTURE})


@step
async def put_lecture_quiz(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    request = quizzes_pb2.PutLectureQuizRequest(lecture_id=course.modules[0].lectures[0].id, **exam_content())
    return Did(request, teacher, "quiz", after={*QUIZ, "lectureId"})


@step
async def delete_lecture_quiz(stage: Stage) -> Did:
    did = await put_lecture_quiz_of(stage)
    return Did(quizzes_pb2.DeleteLectureQuizRequest(lecture_id=did.request.lecture_id), did.who, "quiz", {*QUIZ, "lectureId"})


async def put_lecture_quiz_of(stage: Stage) -> Did:
    did = await STEPS["PutLectureQuiz"](stage)
    await stage.world.call("PutLectureQuiz", did.request, did.who)
    return did


@step
async def put_exam(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    content = {**exam_content(max_attempts=3), "pass_percent": 90, "shuffle": True, "time_limit_seconds": 60, "title": "Other"}
    content["questions"] = [
        *exam_content()["questions"],
        quizzes_pb2.Question(id="q2", prompt="Two?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=1),
    ]
    content["questions"][1].answer_key.number = 2
    settings = QUIZ - {"courseId"}
    return Did(quizzes_pb2.PutExamRequest(course_id=course.id, **content), teacher, "quiz", settings, settings)


@step
async def delete_exam(stage: Stage) -> Did:
    teacher, course = await stage.draft()
    return Did(quizzes_pb2.DeleteExamRequest(course_id=course.id), teacher, "quiz", QUIZ)


@step
async def create_payment(stage: Stage) -> Did:
    _, course = await stage.published(price=4900)
    request = payments_pb2.CreatePaymentRequest(course_id=course.id)
    return Did(request, await stage.world.person(), "payment", after={"courseId", "amountMinor", "currency"})


@step
async def refund_payment(stage: Stage) -> Did:
    payment = await new_sale(stage.world)
    await pay(stage.world, payment)
    request = payments_pb2.RefundPaymentRequest(payment_id=payment.id, reason="It was not for me")
    admin = await stage.world.person("ADMIN")
    return Did(request, admin, "payment", {"status", "refundedMinor"}, {"refundId", "amountMinor", "currency"})


@step
async def create_coupon(stage: Stage) -> Did:
    teacher, course = await stage.published(price=4900)
    request = payments_pb2.CreateCouponRequest(code=f"AUDIT-{course.id[-12:]}", course_id=course.id, percent=10)
    terms = {"courseId", "instructorId", "percent", "amountOffMinor", "currency"}
    return Did(request, teacher, "coupon", after={"code", *terms, "maxUses", "maxUsesPerStudent"})


@step
async def delete_coupon(stage: Stage) -> Did:
    teacher = await stage.world.person("INSTRUCTOR")
    coupon = await stage.world.call(
        "CreateCoupon", payments_pb2.CreateCouponRequest(code=f"END-{teacher.id}", percent=5), teacher
    )
    return Did(payments_pb2.DeleteCouponRequest(coupon_id=coupon.id), teacher, "coupon", {"disabled"}, {"disabled"})


@step
async def enroll_in_course(stage: Stage) -> Did:
    _, course = await stage.published(price=4900)
    student, admin = await stage.world.person(), await stage.world.person("ADMIN")
    request = enrollments_pb2.EnrollInCourseRequest(course_id=course.id, student_id=student.id)
    return Did(request, admin, "course", after={"studentId", "opened"})


@step
async def generate_certificate(stage: Stage) -> Did:
    """One that was not issued by itself: the exam was deleted after the lectures were complete."""
    world = stage.world
    teacher, course = await stage.published()
    student = await world.person()
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for lecture in course.modules[0].lectures:
        await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id, completed=True), student)
    await world.call("DeleteExam", quizzes_pb2.DeleteExamRequest(course_id=course.id), teacher)
    request = certificates_pb2.GenerateCertificateRequest(course_id=course.id)
    return Did(request, student, "certificate", after={"courseId", "studentId"})


@step
async def revoke_certificate(stage: Stage) -> Did:
    teacher, certificate_id = await stage.certificate()
    reason = certificates_pb2.REVOKE_REASON_ISSUED_IN_ERROR
    request = certificates_pb2.RevokeCertificateRequest(certificate_id=certificate_id, reason=reason, note="A mistake")
    return Did(request, teacher, "certificate", before={"status"}, after={"status", "revokeReason"})


@step
async def reissue_certificate(stage: Stage) -> Did:
    teacher, certificate_id = await stage.certificate()
    request = certificates_pb2.ReissueCertificateRequest(certificate_id=certificate_id)
    return Did(request, teacher, "certificate", before={"status"}, after={"status", "revokeReason", "replacedBy"})


@step
async def put_certificate_template(stage: Stage) -> Did:
    teacher, course = await stage.published()
    request = certificates_pb2.PutCertificateTemplateRequest(course_id=course.id, accent_color="#7a1f2b")
    after = {"accentColor", "logo", "signatureName", "signatureTitle", "subtitle"}
    return Did(request, teacher, "course", after=after)


@step
async def delete_certificate_template(stage: Stage) -> Did:
    teacher, course = await stage.published()
    await stage.world.call("PutCertificateTemplate", certificates_pb2.PutCertificateTemplateRequest(course_id=course.id), teacher)
    before = {"accentColor", "logo", "signatureName", "signatureTitle", "subtitle"}
    return Did(certificates_pb2.DeleteCertificateTemplateRequest(course_id=course.id), teacher, "course", before=before)


@step
async def create_link_code(stage: Stage) -> Did:
    return Did(families_pb2.CreateLinkCodeRequest(), await stage.world.person(), "family", after={"expireTime"})


@step
async def link_child(stage: Stage) -> Did:
    _, parent, code = await stage.code()
    return Did(families_pb2.LinkChildRequest(code=code), parent, "family", after={"parentId"})


@step
async def unlink_child(stage: Stage) -> Did:
    student, parent = await stage.family()
    return Did(families_pb2.UnlinkChildRequest(child_id=student.id), parent, "family", {"parentId"})


@step
async def unlink_parent(stage: Stage) -> Did:
    student, parent = await stage.family()
    return Did(families_pb2.UnlinkParentRequest(parent_id=parent.id), student, "family", {"parentId"})
