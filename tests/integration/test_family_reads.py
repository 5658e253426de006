"""What linked parents read and are told, on a real database: no more than their child, no longer than the link."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from core.call import Caller
from core.errors import InvalidArgument, NotAllowed, NotFound
from core.families import queries
from core.ids import new_id, to_text
from skillforge.v1 import enrollments_pb2, identity_pb2
from skillforge.v1.certificates_pb2 import Certificate, DownloadCertificateRequest, GenerateCertificateRequest
from skillforge.v1.courses_pb2 import Course, GetCourseRequest, GetLectureRequest, UnpublishCourseRequest
from skillforge.v1.families_pb2 import (
    ListChildAttemptsRequest,
    ListChildCertificatesRequest,
    ListChildProgressRequest,
    ListChildrenRequest,
    UnlinkChildRequest,
    UnlinkParentRequest,
)
from skillforge.v1.progress_pb2 import CourseProgress, GetCourseProgressRequest
from skillforge.v1.quizzes_pb2 import (
    DeleteExamRequest,
    GetAttemptRequest,
    GetExamRequest,
    GetLectureQuizRequest,
    ListAttemptsRequest,
    PutExamRequest,
    PutLectureQuizRequest,
    StartAttemptRequest,
)
from tests.support.classroom import lecture_ids, questions, refused
from tests.support.families import link, set_standing, text
from tests.support.school import School

ENDED = enrollments_pb2.ENROLLMENT_STATUS_ENDED


@pytest.fixture
async def parent(school: School) -> Caller:
    return await school.person("PARENT")


@pytest.fixture
async def child(school: School) -> Caller:
    return await school.person()


async def studied(school: School, author: Caller, child: Caller) -> tuple[Course, dict[str, Message]]:
    """A course a child has completed, and one request for each thing a linked parent may read of it."""
    course = await school.course_with_exam(author)
    quiz = PutLectureQuizRequest(lecture_id=lecture_ids(course)[0], title="Quiz", pass_percent=50, questions=questions())
    await school.run(quiz, author)
    await school.enroll(child, course.id)
    await school.mark_all(child, course)
    await school.pass_exam(child, course)
    [attempt] = (await school.run(ListAttemptsRequest(quiz_id=course.exam_id), child)).attempts
    [certificate] = await school.db.fetch_all("SELECT id FROM certificates WHERE student_id = %s", (child.user_id,))
    own = text(child)
    return course, {
        "lecture": GetLectureRequest(lecture_id=lecture_ids(course)[0]),
        "quiz": GetLectureQuizRequest(lecture_id=lecture_ids(course)[0]),
        "exam": GetExamRequest(course_id=course.id),
        "attempt": GetAttemptRequest(attempt_id=attempt.id),
        "attempts at a quiz": ListAttemptsRequest(quiz_id=course.exam_id, student_id=own),
        "progress": GetCourseProgressRequest(course_id=course.id, student_id=own),
        "certificate": DownloadCertificateRequest(certificate_id=certificate[0]),
        "a child's progress": ListChildProgressRequest(child_id=own),
        "a child's certificates": ListChildCertificatesRequest(child_id=own),
        "a child's attempts": ListChildAttemptsRequest(child_id=own),
    }


# What everybody finds in the catalogue is refused as not enrolled, all else as not there.
CATALOGUE = {"lecture", "quiz", "exam"}


async def nothing_is_read(school: School, parent: Caller, reads: dict[str, Message]) -> None:
    for name, request in reads.items():
        if name in CATALOGUE:
            await refused(NotAllowed, "NOT_ENROLLED", school.run(request, parent))
        else:
            await refused(NotFound, "NOT_FOUND", school.run(request, parent))


async def test_access_begins_and_ends_with_the_link(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    _, reads = await studied(school, author, child)
    await link(school, parent, await school.person())
    await nothing_is_read(school, parent, reads)
    for unlink, who in ((UnlinkChildRequest(child_id=text(child)), parent), (UnlinkParentRequest(parent_id=text(parent)), child)):
        await link(school, parent, child)
        for request in reads.values():
            await school.run(request, parent)
        await school.run(unlink, who)
        await nothing_is_read(school, parent, reads)
        await refused(NotFound, "NOT_FOUND", school.run(unlink, who))


async def test_a_parent_reads_what_the_child_reads(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    course, reads = await studied(school, author, child)
    await link(school, parent, child)
    for name in ("lecture", "quiz", "exam", "attempts at a quiz", "progress", "certificate"):
        assert await school.run(reads[name], parent) == await school.run(reads[name], child), name
    # What is right is not for parents, who may have another child before the same questions.
    theirs = await school.run(reads["attempt"], child)
    for item in theirs.questions:
        item.ClearField("answer_key")
        item.ClearField("explanation")
    assert await school.run(reads["attempt"], parent) == theirs
    for name in ("quiz", "exam"):
        shown = await school.run(reads[name], parent)
        assert shown.questions
        assert not any(item.HasField("answer_key") or item.explanation for item in shown.questions)
    [item] = (await school.run(reads["a child's progress"], parent)).courses
    full: CourseProgress = await school.run(reads["progress"], child)
    assert (item.course_id, item.course_title) == (course.id, course.title)
    assert (item.percent, item.lectures_completed, item.lectures_total) == (100, 3, 3)
    assert (item.certificate_id, item.complete_time) == (full.certificate_id, full.complete_time)
    assert item.last_activity_time == full.last_activity_time
    assert [entry.id for entry in (await school.run(reads["a child's certificates"], parent)).certificates] == [
        full.certificate_id
    ]
    attempts = (await school.run(reads["a child's attempts"], parent)).attempts
    assert list(attempts) == list((await school.run(reads["attempts at a quiz"], child)).attempts)


async def test_a_parent_reads_of_no_other_child(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    """Another child in the same course is as little there as one that does not exist."""
    await studied(school, author, child)
    await link(school, parent, child)
    other = await school.person()
    _, reads = await studied(school, author, other)
    await school.enroll(child, reads["exam"].course_id)  # type: ignore[attr-defined]
    nobody = to_text(new_id())
    for name, request in reads.items():
        if name in CATALOGUE:
            await school.run(request, parent)
            continue
        found = await _refusal(school, request, parent)
        unknown = type(request)()
        unknown.CopyFrom(request)
        for field in ("attempt_id", "student_id", "child_id"):
            if field in unknown.DESCRIPTOR.fields_by_name:
                setattr(unknown, field, nobody)
        if name == "certificate":
            unknown.certificate_id = "SF-" + "0" * 27  # type: ignore[attr-defined]
        assert found == await _refusal(school, unknown, parent), name


async def _refusal(school: School, request: Message, who: Caller) -> tuple[str, str]:
    with pytest.raises(NotFound) as caught:
        await school.run(request, who)
    return caught.value.reason, caught.value.detail


async def test_a_parent_names_the_child(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    course, _ = await studied(school, author, child)
    await link(school, parent, child)
    for request in (GetCourseProgressRequest(course_id=course.id), ListAttemptsRequest(quiz_id=course.exam_id)):
        assert await refused(InvalidArgument, "INVALID_ARGUMENT", school.run(request, parent)) == ["studentId required"]


async def test_who_is_no_student_any_more_is_no_child(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    _, reads = await studied(school, author, child)
    await link(school, parent, child)
    await set_standing(school, child, "INSTRUCTOR")
    await nothing_is_read(school, parent, reads)
    [item] = (await school.run(ListChildrenRequest(), parent)).children
    await school.run(UnlinkChildRequest(child_id=item.child_id), parent)


async def test_who_is_no_parent_any_more_reads_nothing(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    _, reads = await studied(school, author, child)
    await link(school, parent, child)
    for role in ("STUDENT", "INSTRUCTOR"):
        changed = replace(parent, role=identity_pb2.Role.Value(f"ROLE_{role}"))
        for name in set(reads) - CATALOGUE - {"a child's progress", "a child's certificates", "a child's attempts"}:
            with pytest.raises((NotFound, NotAllowed)):
                await school.run(reads[name], changed)


async def test_what_is_not_published_any_more(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    """Lectures stay readable for the child and so for the parent; the course itself is the child's alone."""
    course, reads = await studied(school, author, child)
    await school.run(UnpublishCourseRequest(course_id=course.id), author)
    await link(school, parent, await school.person())
    for request in reads.values():
        await refused(NotFound, "NOT_FOUND", school.run(request, parent))
    await link(school, parent, child)
    for request in reads.values():
        await school.run(request, parent)
    await refused(NotFound, "NOT_FOUND", school.run(GetCourseRequest(course_id=course.id), parent))


async def test_of_an_ended_enrollment_the_history_stays(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    course, reads = await studied(school, author, child)
    await link(school, parent, child)
    await school.enroll(child, course.id, ENDED)
    for name in CATALOGUE:
        await refused(NotAllowed, "NOT_ENROLLED", school.run(reads[name], parent))
    await refused(NotFound, "NOT_FOUND", school.run(reads["attempts at a quiz"], parent))
    for name in set(reads) - CATALOGUE - {"attempts at a quiz"}:
        await school.run(reads[name], parent)
    [item] = (await school.run(reads["a child's progress"], parent)).courses
    assert item.status == ENDED


async def test_an_open_attempt_shows_no_keys_and_an_overdue_one_is_graded(
    school: School, author: Caller, parent: Caller, child: Caller
) -> None:
    course = await school.course(author)
    exam = PutExamRequest(course_id=course.id, title="E", pass_percent=50, time_limit_seconds=60, questions=questions())
    quiz = await school.run(exam, author)
    await school.enroll(child, course.id)
    await school.complete(child, course)
    attempt = await school.run(StartAttemptRequest(quiz_id=quiz.id), child)
    await link(school, parent, child)
    shown = await school.run(GetAttemptRequest(attempt_id=attempt.id), parent)
    assert shown == attempt
    assert not any(item.HasField("answer_key") for item in shown.questions)
    school.later(minutes=2)
    [listed] = (await school.run(ListChildAttemptsRequest(child_id=text(child)), parent)).attempts
    assert listed.submit_time == attempt.deadline


async def test_attempts_at_a_deleted_quiz(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    course, reads = await studied(school, author, child)
    request = reads["attempts at a quiz"]
    await school.run(DeleteExamRequest(course_id=course.id), author)
    await refused(NotFound, "NOT_FOUND", school.run(request, parent))
    await link(school, parent, child)
    shown = await school.run(request, parent)
    assert shown == await school.run(request, child)
    assert shown.attempts


async def test_pages_of_a_child(school: School, author: Caller, parent: Caller, child: Caller) -> None:
    courses = []
    for _ in range(5):
        course = await school.course_with_exam(author, (1,))
        await school.enroll(child, course.id)
        await school.mark_all(child, course)
        await school.pass_exam(child, course)
        courses.append(course.id)
        school.later(seconds=1)
    await link(school, parent, child)
    for kind, field in (
        (ListChildProgressRequest, "courses"),
        (ListChildCertificatesRequest, "certificates"),
        (ListChildAttemptsRequest, "attempts"),
    ):
        seen, token = [], ""
        while True:
            page = await school.run(kind(child_id=text(child), page_size=2, page_token=token), parent)
            seen += [item.course_id for item in getattr(page, field)]
            token = page.next_page_token
            if not token:
                break
        assert seen == courses[::-1]
    empty = await school.person()
    await link(school, parent, empty)
    for kind in (ListChildProgressRequest, ListChildCertificatesRequest, ListChildAttemptsRequest):
        assert (await school.run(kind(child_id=text(empty)), parent)).ByteSize() == 0
        token = (await school.run(kind(child_id=text(child), page_size=2), parent)).next_page_token
        await refused(InvalidArgument, "PAGE_TOKEN_INVALID", school.run(kind(child_id=text(empty), page_token=token), parent))


# The end of a link


@pytest.mark.parametrize("side", ["parent", "child"])
async def test_no_read_that_begins_after_the_unlink_is_answered_succeeds(
    school: School, author: Caller, parent: Caller, child: Caller, side: str
) -> None:
    _, reads = await studied(school, author, child)
    for round_number in range(5):
        await link(school, parent, child)
        ended = asyncio.Event()
        readers = [asyncio.create_task(_read_until_refused(school, request, parent, ended)) for request in reads.values()]
        await asyncio.sleep(0.02 * (round_number + 1))
        if side == "parent":
            await school.run(UnlinkChildRequest(child_id=text(child)), parent)
        else:
            await school.run(UnlinkParentRequest(parent_id=text(parent)), child)
        ended.set()
        answers = await asyncio.gather(*readers)
        assert sum(before for before, _ in answers) > 0
        assert sum(after for _, after in answers) == 0


async def _read_until_refused(school: School, request: Message, parent: Caller, ended: asyncio.Event) -> tuple[int, int]:
    """Read on and on until a read that began after the end; how many succeeded that began before it, and after it."""
    before = 0
    while True:
        late = ended.is_set()
        try:
            await school.run(request, parent)
        except (NotFound, NotAllowed):
            if late:
                return before, 0
        else:
            if late:
                return before, 1
            before += 1


# Events


async def test_parents_are_told_of_progress_while_they_are_linked(school: School, author: Caller, child: Caller) -> None:
    course = await school.course(author, (5,))
    await school.enroll(child, course.id)
    lectures = lecture_ids(course)
    parents = [await school.person("PARENT") for _ in range(3)]

    async def told(who: Caller) -> int:
        return await school.events_of(who, "progress.changed")

    await school.mark(child, lectures[0])
    for parent in parents:
        await link(school, parent, child)
    await school.mark(child, lectures[1])
    await school.mark(child, lectures[1])
    assert [await told(who) for who in (child, *parents)] == [2, 1, 1, 1]
    payload = await school.value("SELECT payload FROM outbox WHERE user_id = %s", parents[0].user_id)
    message = CourseProgress.FromString(payload)
    assert (message.student_id, message.lectures_completed) == (text(child), 2)
    await school.run(UnlinkParentRequest(parent_id=text(parents[0])), child)
    await set_standing(school, parents[1], "PARENT", "SUSPENDED")
    await school.mark(child, lectures[2])
    assert [await told(who) for who in (child, *parents)] == [3, 1, 1, 2]


async def test_no_event_of_a_mark_that_begins_after_the_unlink_reaches_the_parent(
    school: School, author: Caller, parent: Caller, child: Caller
) -> None:
    course = await school.course(author, (40,))
    await school.enroll(child, course.id)
    await link(school, parent, child)
    marks = [asyncio.create_task(school.mark(child, lecture_id)) for lecture_id in lecture_ids(course)[:20]]
    await asyncio.sleep(0.005)
    await school.run(UnlinkParentRequest(parent_id=text(parent)), child)
    before = await school.events_of(parent, "progress.changed")
    marks += [asyncio.create_task(school.mark(child, lecture_id)) for lecture_id in lecture_ids(course)[20:]]
    await asyncio.gather(*marks)
    assert await school.events_of(parent, "progress.changed") == before


async def test_a_mark_of_who_has_no_parents_costs_no_statement_more(
    school: School, author: Caller, child: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked(*_: object) -> dict[bytes, list[bytes]]:
        raise AssertionError("nobody needs to be asked about")

    course = await school.course(author, (2,))
    await school.enroll(child, course.id)
    monkeypatch.setattr(queries, "parents_of", asked)
    assert (await school.mark(child, lecture_ids(course)[0])).course.percent == 50


@pytest.mark.parametrize("by", ["the last lecture", "the exam", "asking for it"])
async def test_parents_are_told_of_a_certificate_once(school: School, author: Caller, child: Caller, by: str) -> None:
    parents = [await school.person("PARENT") for _ in range(3)]
    for parent in parents:
        await link(school, parent, child)
    await school.run(UnlinkParentRequest(parent_id=text(parents[0])), child)
    await set_standing(school, parents[1], "PARENT", "SUSPENDED")
    course = await (school.course(author) if by == "the last lecture" else school.course_with_exam(author))
    await school.enroll(child, course.id)
    await school.mark_all(child, course)
    if by == "the exam":
        await school.pass_exam(child, course)
    elif by == "asking for it":
        await school.run(DeleteExamRequest(course_id=course.id), author)
        for _ in range(2):
            await school.run(GenerateCertificateRequest(course_id=course.id), child)
    assert [await school.events_of(who, "certificate.issued") for who in (child, *parents)] == [1, 0, 0, 1]
    [told], [own] = [await school.payloads(who, "certificate.issued") for who in (parents[2], child)]
    assert told == own
    certificate = Certificate.FromString(told)
    assert (certificate.student_id, certificate.course_id) == (text(child), course.id)
