"""Certificates as a service on a real database: issuing once, showing, verifying."""

from __future__ import annotations

import asyncio

import pytest

from core.call import Caller
from core.certificates.pdf import CertificateDocument
from core.errors import FailedPrecondition, InvalidArgument, NotAllowed, NotFound
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import certificates_pb2, enrollments_pb2
from skillforge.v1.certificates_pb2 import (
    Certificate,
    DownloadCertificateRequest,
    GenerateCertificateRequest,
    ListCertificatesRequest,
    VerifyCertificateRequest,
)
from skillforge.v1.courses_pb2 import Course
from tests.support.classroom import lecture_ids, refused
from tests.support.polling import eventually
from tests.support.school import PUBLIC_URL, School

VALID, REVOKED = certificates_pb2.CERTIFICATE_STATUS_VALID, certificates_pb2.CERTIFICATE_STATUS_REVOKED


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course_with_exam(author)


@pytest.fixture
async def student(school: School, course: Course) -> Caller:
    caller = await school.person()
    await school.enroll(caller, course.id)
    return caller


async def earn(school: School, student: Caller, course: Course) -> Certificate:
    await school.mark_all(student, course)
    await school.pass_exam(student, course)
    [certificate] = (await school.run(ListCertificatesRequest(), student)).certificates
    return certificate  # type: ignore[no-any-return]


async def revoke(school: School, certificate: Certificate) -> None:
    sql = "UPDATE certificates SET status = %s, revoke_time = %s WHERE id = %s"
    await school.db.execute(sql, (int(REVOKED), school.now, certificate.id))


async def test_it_is_issued_by_itself(school: School, author: Caller, student: Caller, course: Course) -> None:
    certificate = await earn(school, student, course)
    assert (certificate.course_id, certificate.student_id) == (course.id, to_text(student.user_id))
    said = certificate.snapshot
    assert (said.student_name, said.course_title) == (student.display_name, course.title)
    assert (said.instructor_name, said.score_percent) == (author.display_name, 100)
    assert certificate.status == VALID
    assert certificate.verify_url == f"{PUBLIC_URL}/certificates/{certificate.id}/verify"
    assert certificate.download_url == f"{PUBLIC_URL}/certificates/{certificate.id}/download"
    request = GenerateCertificateRequest(course_id=course.id)
    assert await school.run(request, student) == certificate
    assert school.status == 200
    assert await school.events_of(student, "certificate.issued") == 1


async def test_the_snapshot_never_changes(school: School, author: Caller, student: Caller, course: Course) -> None:
    before = await earn(school, student, course)
    await school.db.execute("UPDATE users SET display_name = 'Renamed' WHERE id IN %s", ([author.user_id, student.user_id],))
    await school.db.execute("UPDATE courses SET title = 'Renamed' WHERE id = %s", (to_bytes(course.id),))
    [after] = (await school.run(ListCertificatesRequest(), student)).certificates
    assert after == before


async def test_everything_missing_is_named(school: School, student: Caller, course: Course) -> None:
    first, second, third = lecture_ids(course)
    await school.mark(student, second)
    request = GenerateCertificateRequest(course_id=course.id)
    violations = await refused(FailedPrecondition, "COURSE_NOT_COMPLETED", school.run(request, student))
    assert violations == [f"lectures[{first}] complete", f"lectures[{third}] complete", "exam passed"]
    await school.enroll(student, course.id, enrollments_pb2.ENROLLMENT_STATUS_ENDED)
    violations = await refused(FailedPrecondition, "COURSE_NOT_COMPLETED", school.run(request, student))
    assert "enrollment active" in violations


async def test_without_an_enrollment_there_is_none(school: School, author: Caller, course: Course) -> None:
    stranger, draft = await school.person(), await school.course(author, publish=False)
    await refused(NotAllowed, "NOT_ENROLLED", school.run(GenerateCertificateRequest(course_id=course.id), stranger))
    for unseen in (draft.id, to_text(new_id())):
        await refused(NotFound, "NOT_FOUND", school.run(GenerateCertificateRequest(course_id=unseen), stranger))


@pytest.mark.parametrize("completed_before", [False, True])
async def test_generating_repairs_what_is_missing(school: School, author: Caller, completed_before: bool) -> None:
    """Twenty calls at once for a course whose completion, or whose certificate, was never noted: one issues it."""
    course, student = await school.course(author), await school.person()
    await school.enroll(student, course.id)
    await school.complete(student, course)
    if completed_before:
        sql = "UPDATE enrollments SET complete_time = %s WHERE student_id = %s"
        await school.db.execute(sql, (school.now, student.user_id))
    request = GenerateCertificateRequest(course_id=course.id)
    statuses = []

    async def generate() -> str:
        certificate = await school.run(request, student)
        statuses.append(school.status)
        return str(certificate.id)

    ids = await asyncio.gather(*(generate() for _ in range(20)))
    assert len(set(ids)) == 1
    assert await school.events_of(student, "certificate.issued") == 1
    assert await school.value("SELECT COUNT(*) FROM certificates WHERE student_id = %s", student.user_id) == 1
    assert await school.run(request, student)
    assert school.status == 200


async def test_certificates_are_listed_newest_first(school: School, author: Caller) -> None:
    student, issued = await school.person(), []
    for _ in range(3):
        course = await school.course(author, (1,))
        await school.enroll(student, course.id)
        school.later(seconds=1)
        issued.append((await school.mark(student, lecture_ids(course)[0])).course.certificate_id)
    page = await school.run(ListCertificatesRequest(page_size=2), student)
    assert [item.id for item in page.certificates] == issued[:0:-1]
    page = await school.run(ListCertificatesRequest(page_size=2, page_token=page.next_page_token), student)
    assert [item.id for item in page.certificates] == issued[:1]
    assert page.next_page_token == ""


async def test_it_is_rendered_once(school: School, author: Caller, student: Caller, course: Course) -> None:
    certificate = await earn(school, student, course)
    request = DownloadCertificateRequest(certificate_id=certificate.id)
    copies = await asyncio.gather(*(school.run(request, student) for _ in range(5)))
    assert len({copy.data for copy in copies}) == len(school.renderer.documents) == 1
    assert copies[0].content_type == "application/pdf"
    assert school.last_call is not None
    name = f'attachment; filename="certificate-{certificate.id}.pdf"'
    assert school.last_call.reply_metadata["content-disposition"] == name
    rendered = len(school.renderer.documents)
    for who in (student, author, await school.person("ADMIN")):
        assert (await school.run(request, who)).data == copies[0].data
    assert len(school.renderer.documents) == rendered
    [document, *_] = school.renderer.documents
    assert (document.student_name, document.verify_url) == (student.display_name, certificate.verify_url)


async def test_it_is_made_to_its_end_though_nobody_waits(
    school: School, student: Caller, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = await earn(school, student, course)
    request, render = DownloadCertificateRequest(certificate_id=certificate.id), school.renderer.render
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(document: CertificateDocument) -> bytes:
        begun.set()
        await go_on.wait()
        return await render(document)

    monkeypatch.setattr(school.renderer, "render", slow)
    impatient = asyncio.create_task(school.run(request, student))
    await begun.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go_on.set()
    made = "SELECT COUNT(*) FROM certificate_files WHERE certificate_id = %s"
    await eventually(lambda: school.value(made, certificate.id), lambda count: count == 1)
    monkeypatch.setattr(school.renderer, "render", None)
    assert (await school.run(request, student)).data.endswith(certificate.id.encode())


async def test_who_may_not_download(school: School, student: Caller, course: Course) -> None:
    request = DownloadCertificateRequest(certificate_id=(await earn(school, student, course)).id)
    for role in ("STUDENT", "INSTRUCTOR", "PARENT"):
        await refused(NotFound, "NOT_FOUND", school.run(request, await school.person(role)))
    malformed = DownloadCertificateRequest(certificate_id="SF-1")
    await refused(InvalidArgument, "CERTIFICATE_ID_MALFORMED", school.run(malformed, student))
    assert school.renderer.documents == []


async def test_anybody_may_verify(school: School, student: Caller, course: Course) -> None:
    certificate = await earn(school, student, course)
    verified = await school.run(VerifyCertificateRequest(certificate_id=certificate.id))
    assert (verified.valid, verified.status, verified.snapshot) == (True, VALID, certificate.snapshot)
    typed = certificate.id.lower().replace("0", "o").replace("1", "l")
    assert await school.run(VerifyCertificateRequest(certificate_id=f" {typed[:10]} {typed[10:]}")) == verified
    await refused(
        InvalidArgument, "CERTIFICATE_ID_MALFORMED", school.run(VerifyCertificateRequest(certificate_id=certificate.id[:-1]))
    )
    unknown = VerifyCertificateRequest(certificate_id="SF-" + "0" * 27)
    await refused(NotFound, "NOT_FOUND", school.run(unknown))


async def test_a_revoked_one_is_shown_as_such(school: School, student: Caller, course: Course) -> None:
    certificate = await earn(school, student, course)
    await revoke(school, certificate)
    verified = await school.run(VerifyCertificateRequest(certificate_id=certificate.id))
    assert (verified.valid, verified.status) == (False, REVOKED)
    assert verified.HasField("revoke_time")
    download = DownloadCertificateRequest(certificate_id=certificate.id)
    await refused(FailedPrecondition, "CERTIFICATE_REVOKED", school.run(download, student))
