"""Students who have earned a certificate."""

from __future__ import annotations

from typing import Any, NamedTuple

from skillforge.v1 import certificates_pb2, enrollments_pb2, progress_pb2
from tests.support.world import Person, World


class Graduate(NamedTuple):
    """A student with the certificate of a course."""

    person: Person
    certificate: certificates_pb2.Certificate


async def graduate(world: World, course: Any, name: str = "") -> Graduate:
    """A new student who has completed a free course without an exam."""
    student = await world.person(name=name)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for module in course.modules:
        for lecture in module.lectures:
            await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id, completed=True), student)
    listed = await world.call("ListCertificates", certificates_pb2.ListCertificatesRequest(), student)
    return Graduate(student, listed.certificates[0])


async def pdf_of(world: World, graduated: Graduate) -> bytes:
    """The certificate's file."""
    request = certificates_pb2.DownloadCertificateRequest(certificate_id=graduated.certificate.id)
    return bytes((await world.call("DownloadCertificate", request, graduated.person)).data)
