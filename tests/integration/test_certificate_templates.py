"""What certificates look like: chosen by authors, fixed for each certificate when it is issued."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.call import Caller
from core.certificates.pdf import DEFAULT_ACCENT, Look
from core.errors import Conflict, InvalidArgument, NotFound
from core.ids import to_bytes
from skillforge.v1.certificates_pb2 import (
    DeleteCertificateTemplateRequest,
    DownloadCertificateRequest,
    GetCertificateTemplateRequest,
    ListCertificatesRequest,
    PreviewCertificateRequest,
    PutCertificateTemplateRequest,
)
from skillforge.v1.courses_pb2 import Course
from tests.support.certificates import image
from tests.support.classroom import lecture_ids, refused
from tests.support.school import School


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author, (1,))


def chosen(course: Course, **fields: Any) -> PutCertificateTemplateRequest:
    return PutCertificateTemplateRequest(course_id=course.id, **fields)


async def graduate(school: School, course: Course) -> tuple[Caller, str]:
    """A student who completes the course now, and the certificate's id."""
    student = await school.person()
    await school.enroll(student, course.id)
    await school.mark(student, lecture_ids(course)[0])
    [certificate] = (await school.run(ListCertificatesRequest(), student)).certificates
    return student, certificate.id


async def printed(school: School, graduated: tuple[Caller, str]) -> Look:
    """What the certificate looks like when it is made into a PDF."""
    student, certificate_id = graduated
    await school.run(DownloadCertificateRequest(certificate_id=certificate_id), student)
    return school.renderer.documents[-1].look


async def versions(school: School, course: Course) -> int:
    sql = "SELECT COUNT(*) FROM certificate_template_versions WHERE course_id = %s"
    return int(await school.value(sql, to_bytes(course.id)))


async def test_a_look_is_chosen_read_and_given_up(school: School, author: Caller, course: Course) -> None:
    get = GetCertificateTemplateRequest(course_id=course.id)
    plain = await school.run(get, author)
    assert (plain.accent_color, plain.logo, plain.etag) == (DEFAULT_ACCENT, b"", "0")
    put = chosen(
        course, accent_color="#7A1F2B", logo=image(), signature_name=" Dr.\u202e Doe ", signature_title="Dean", subtitle="S"
    )
    look = await school.run(put, author)
    assert (look.accent_color, look.signature_name, look.signature_title, look.subtitle) == ("#7a1f2b", "Dr. Doe", "Dean", "S")
    assert look.logo.startswith(b"\x89PNG")
    assert look.etag == "1"
    assert await school.run(get, author) == await school.run(get, await school.person("ADMIN")) == look
    assert (await school.run(chosen(course), author)).accent_color == DEFAULT_ACCENT
    delete = DeleteCertificateTemplateRequest(course_id=course.id)
    for _ in range(2):
        await school.run(delete, author)
    given_up = await school.run(get, author)
    assert (given_up.accent_color, given_up.etag) == (DEFAULT_ACCENT, "3")


async def test_the_look_is_that_of_the_issue(school: School, author: Caller, course: Course) -> None:
    first = await graduate(school, course)
    await school.run(chosen(course, accent_color="#111111"), author)
    second = await graduate(school, course)
    await school.run(chosen(course, accent_color="#222222", signature_name="Dean"), author)
    third = await graduate(school, course)
    await school.run(DeleteCertificateTemplateRequest(course_id=course.id), author)
    fourth = await graduate(school, course)
    assert await printed(school, second) == Look("#111111")
    assert await printed(school, third) == Look("#222222", signature_name="Dean")
    assert await printed(school, first) == await printed(school, fourth) == Look()
    assert await versions(school, course) == 2


async def test_looks_that_nobody_keeps_are_dropped(school: School, author: Caller, course: Course) -> None:
    for number in range(4):
        await school.run(chosen(course, accent_color=f"#00000{number}"), author)
        school.later(minutes=6)
    kept = await graduate(school, course)
    same = await school.run(chosen(course, accent_color="#000003"), author)
    assert (same.etag, await versions(school, course)) == ("4", 2), "the one before, and the present one"
    for _ in range(2):
        school.later(minutes=6)
        await school.run(DeleteCertificateTemplateRequest(course_id=course.id), author)
        await school.run(chosen(course, accent_color="#000004"), author)
    assert await printed(school, kept) == Look("#000003")
    assert await versions(school, course) == 3, "that of the certificate, one given up just now, and the present one"


async def test_only_its_author_chooses(school: School, course: Course) -> None:
    for request in (
        chosen(course),
        GetCertificateTemplateRequest(course_id=course.id),
        PreviewCertificateRequest(course_id=course.id),
    ):
        await refused(NotFound, "NOT_FOUND", school.run(request, await school.person("INSTRUCTOR")))


async def test_nobody_overwrites_what_they_have_not_seen(school: School, author: Caller, course: Course) -> None:
    await school.run(chosen(course, accent_color="#111111"), author, if_match='"0"')
    for request in (chosen(course), DeleteCertificateTemplateRequest(course_id=course.id)):
        await refused(Conflict, "ETAG_MISMATCH", school.run(request, author, if_match='"0"'))
    assert (await school.run(chosen(course), author, if_match='"1"')).etag == "2"


async def test_a_bad_logo_is_refused_and_changes_nothing(school: School, author: Caller, course: Course) -> None:
    request = chosen(course, logo=b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert await refused(InvalidArgument, "LOGO_INVALID", school.run(request, author)) == ["logo logo"]
    assert (await school.run(GetCertificateTemplateRequest(course_id=course.id), author)).etag == "0"


async def test_a_specimen_shows_the_look(school: School, author: Caller, course: Course) -> None:
    await school.run(chosen(course, accent_color="#123456"), author)
    pdf = await school.run(PreviewCertificateRequest(course_id=course.id), author)
    assert pdf.content_type == "application/pdf"
    document = school.renderer.documents[-1]
    assert (document.specimen, document.look.accent_color, document.course_title) == (True, "#123456", course.title)
    assert (document.instructor_name, document.student_name) == (author.display_name, "Alexandra Example")


async def test_choices_and_issues_at_once(school: School, author: Caller, course: Course) -> None:
    """Every certificate has a look that was there, whatever happens to looks meanwhile."""
    students = [await school.person() for _ in range(8)]
    for student in students:
        await school.enroll(student, course.id)
    [lecture] = lecture_ids(course)
    changes = [school.run(chosen(course, accent_color=f"#0000{number:02x}"), author) for number in range(12)]
    await asyncio.gather(*changes, *(school.mark(student, lecture) for student in students))
    sql = """
        SELECT COUNT(*) FROM certificates c LEFT JOIN certificate_template_versions v ON v.id = c.template_id
        WHERE c.course_id = %s AND c.template_id IS NOT NULL AND v.id IS NULL
    """
    assert await school.value(sql, to_bytes(course.id)) == 0
    assert await school.value("SELECT COUNT(*) FROM certificates WHERE course_id = %s", to_bytes(course.id)) == 8
    assert (await school.run(GetCertificateTemplateRequest(course_id=course.id), author)).etag == "12"
