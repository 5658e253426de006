"""Taking certificates back and issuing them anew: what stands afterwards, in whatever order and at once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.analytics.rebuild import Rebuild
from core.analytics.rules import Kind
from core.call import Caller
from core.errors import FailedPrecondition, InvalidArgument, NotFound
from core.ids import to_bytes
from skillforge.v1 import certificates_pb2 as pb
from skillforge.v1 import families_pb2, progress_pb2
from skillforge.v1.courses_pb2 import Course
from tests.support.classroom import lecture_ids, refused
from tests.support.school import PUBLIC_URL, School

VALID, REVOKED = pb.CERTIFICATE_STATUS_VALID, pb.CERTIFICATE_STATUS_REVOKED
MISTAKE, MISCONDUCT = pb.REVOKE_REASON_ISSUED_IN_ERROR, pb.REVOKE_REASON_MISCONDUCT
RENAME = "UPDATE users SET display_name = %s WHERE id = %s"


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author, (1,))


@pytest.fixture
async def student(school: School, course: Course) -> Caller:
    return await graduate(school, course)


@pytest.fixture
async def certificate(school: School, student: Caller) -> pb.Certificate:
    school.later(seconds=60)
    return (await certificates(school, student))[0]


async def graduate(school: School, course: Course) -> Caller:
    student = await school.person()
    await school.enroll(student, course.id)
    await school.mark(student, lecture_ids(course)[0])
    return student


async def certificates(school: School, student: Caller) -> list[pb.Certificate]:
    """Newest first."""
    return list((await school.run(pb.ListCertificatesRequest(), student)).certificates)


def revoke(
    certificate: pb.Certificate, reason: pb.RevokeReason.ValueType = MISTAKE, note: str = ""
) -> pb.RevokeCertificateRequest:
    return pb.RevokeCertificateRequest(certificate_id=certificate.id, reason=reason, note=note)


def reissue(certificate: pb.Certificate) -> pb.ReissueCertificateRequest:
    return pb.ReissueCertificateRequest(certificate_id=certificate.id)


async def verified(school: School, certificate_id: str) -> pb.VerifyCertificateResponse:
    return await school.run(pb.VerifyCertificateRequest(certificate_id=certificate_id))  # type: ignore[no-any-return]


async def events(school: School, student: Caller) -> tuple[int, int]:
    """How many the student was told of as issued and as revoked."""
    return await school.events_of(student, "certificate.issued"), await school.events_of(student, "certificate.revoked")


async def audited(school: School, certificate: pb.Certificate) -> list[str]:
    sql = "SELECT action FROM audit_events WHERE target_type = 'certificate' AND target_id = %s ORDER BY id"
    return [row[0] for row in await school.db.fetch_all(sql, (certificate.id,))]


async def counted(school: School, course: Course) -> int:
    """The certificates of the course's report, which a rebuild must find right."""
    wrong = (await Rebuild(school.db, lambda: school.now).course(to_bytes(course.id))).counts
    assert Kind.CERTIFICATES not in {kind for kind, _ in wrong}
    sql = "SELECT SUM(value) FROM course_counts WHERE course_id = %s AND kind = %s"
    return int(await school.value(sql, to_bytes(course.id), int(Kind.CERTIFICATES)))


async def test_it_is_taken_back_once(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    revoked = await school.run(revoke(certificate, MISCONDUCT, " Copied. "), author)
    assert (revoked.status, revoked.revoke_reason, revoked.revoke_note) == (REVOKED, MISCONDUCT, "Copied.")
    assert revoked.HasField("revoke_time")
    school.later(seconds=5)
    assert await school.run(revoke(certificate, MISTAKE), await school.person("ADMIN")) == revoked
    assert await events(school, student) == (1, 1)
    assert await audited(school, certificate) == ["certificate.revoke"]
    assert await counted(school, course) == 0
    shown = await verified(school, certificate.id)
    assert (shown.valid, shown.status, shown.revoke_reason, shown.replaced_by) == (False, REVOKED, MISCONDUCT, "")
    assert "Copied" not in str(shown)
    assert shown.snapshot == certificate.snapshot
    assert await certificates(school, student) == [revoked]


async def test_it_is_not_issued_again_by_itself(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    await school.run(revoke(certificate), author)
    request = pb.GenerateCertificateRequest(course_id=course.id)
    await refused(FailedPrecondition, "CERTIFICATE_REVOKED", school.run(request, student))
    await school.db.execute("UPDATE enrollments SET complete_time = NULL WHERE student_id = %s", (student.user_id,))
    await refused(FailedPrecondition, "CERTIFICATE_REVOKED", school.run(request, student))
    await school.mark(student, lecture_ids(course)[0])
    assert len(await certificates(school, student)) == 1
    for kind in (pb.DownloadCertificateRequest, pb.GetBadgeRequest):
        await refused(FailedPrecondition, "CERTIFICATE_REVOKED", school.run(kind(certificate_id=certificate.id), student))


async def test_it_is_issued_anew_with_the_present_name(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    await school.db.execute(RENAME, ("Corrected", student.user_id))
    await school.db.execute("UPDATE courses SET title = 'Another title' WHERE id = %s", (to_bytes(course.id),))
    school.later(seconds=60)
    new = await school.run(reissue(certificate), author)
    assert school.status == 201
    assert new.id != certificate.id
    assert new.snapshot.student_name == "Corrected"
    assert new.snapshot.course_title == certificate.snapshot.course_title
    assert new.snapshot.complete_time == certificate.snapshot.complete_time
    assert (new.status, new.replaced_by) == (VALID, "")
    listed = await certificates(school, student)
    assert [item.id for item in listed] == [new.id, certificate.id]
    old = listed[1]
    assert (old.status, old.revoke_reason, old.replaced_by) == (REVOKED, pb.REVOKE_REASON_SUPERSEDED, new.id)
    assert old.snapshot == certificate.snapshot
    shown = await verified(school, certificate.id)
    assert (shown.valid, shown.replaced_by) == (False, new.id)
    assert shown.replacement_url == f"{PUBLIC_URL}/certificates/{new.id}/verify"
    assert (await verified(school, new.id)).valid
    assert await events(school, student) == (2, 1)
    assert await audited(school, certificate) == ["certificate.reissue"]
    assert await counted(school, course) == 1
    assert await school.run(pb.GenerateCertificateRequest(course_id=course.id), student) == new
    progress = await school.run(progress_pb2.GetCourseProgressRequest(course_id=course.id), student)
    assert progress.certificate_id == new.id


async def test_issuing_anew_is_done_once(
    school: School, author: Caller, course: Course, student: Caller, certificate: pb.Certificate
) -> None:
    new = await school.run(reissue(certificate), author)
    assert await school.run(reissue(certificate), author) == new
    assert school.status == 200
    school.later(seconds=60)
    newer = await school.run(reissue(new), author)
    assert [item.replaced_by for item in await certificates(school, student)] == ["", newer.id, new.id]
    assert (await school.run(reissue(certificate), author)).replaced_by == newer.id
    assert await counted(school, course) == 1


async def test_a_replaced_one_is_not_revoked_in_the_belief_that_this_helps(
    school: School, author: Caller, certificate: pb.Certificate
) -> None:
    new = await school.run(reissue(certificate), author)
    await refused(FailedPrecondition, "CERTIFICATE_REPLACED", school.run(revoke(certificate), author))
    assert (await verified(school, new.id)).valid


async def test_a_revoked_one_is_issued_anew(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    """Why and when the old one was taken back stays as it was."""
    revoked = await school.run(revoke(certificate, MISCONDUCT), author)
    school.later(seconds=60)
    new = await school.run(reissue(certificate), author)
    old = (await certificates(school, student))[1]
    assert (old.revoke_reason, old.revoke_time, old.replaced_by) == (MISCONDUCT, revoked.revoke_time, new.id)
    assert await events(school, student) == (2, 1)
    assert await counted(school, course) == 1


async def test_who_may(school: School, author: Caller, student: Caller, certificate: pb.Certificate) -> None:
    stranger = await school.person("INSTRUCTOR")
    for request in (revoke(certificate), reissue(certificate)):
        await refused(NotFound, "NOT_FOUND", school.run(request, stranger))
    malformed = pb.Certificate(id="SF-1")
    for request in (revoke(malformed), reissue(malformed)):
        await refused(InvalidArgument, "CERTIFICATE_ID_MALFORMED", school.run(request, author))
    assert (await school.run(reissue(certificate), await school.person("ADMIN"))).status == VALID


async def test_two_issue_it_anew_at_once(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    statuses: list[int] = []

    async def once() -> str:
        new = await school.run(reissue(certificate), author)
        statuses.append(school.status)
        return str(new.id)

    assert len(set(await asyncio.gather(*(once() for _ in range(8))))) == 1
    assert len(await certificates(school, student)) == 2
    assert await events(school, student) == (2, 1)
    assert await audited(school, certificate) == ["certificate.reissue"]
    assert await counted(school, course) == 1


@pytest.mark.parametrize("turn", range(6))
async def test_revoked_and_issued_anew_at_once(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate, turn: int
) -> None:
    """Whichever comes first: one replacement is in force, and the old one is told of as revoked once."""
    wishes = [school.run(revoke(certificate), author), school.run(reissue(certificate), author)]
    outcomes = await asyncio.gather(*(wishes if turn % 2 else wishes[::-1]), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [failure.reason for failure in failures if isinstance(failure, FailedPrecondition)] in ([], ["CERTIFICATE_REPLACED"])
    assert len(failures) <= 1
    new, old = await certificates(school, student)
    assert (new.status, old.status, old.replaced_by) == (VALID, REVOKED, new.id)
    assert old.revoke_reason == (pb.REVOKE_REASON_SUPERSEDED if failures else MISTAKE)
    assert await events(school, student) == (2, 1)
    assert await counted(school, course) == 1


async def test_revoked_by_many_at_once(
    school: School, author: Caller, student: Caller, course: Course, certificate: pb.Certificate
) -> None:
    answers = await asyncio.gather(*(school.run(revoke(certificate), author) for _ in range(8)))
    assert len({answer.SerializeToString() for answer in answers}) == 1
    assert await events(school, student) == (1, 1)
    assert await counted(school, course) == 0


STEPS = st.lists(st.sampled_from(["revoke", "reissue", "generate", "reissue the first"]), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_whatever_is_done_at_most_one_is_in_force(school: School, author: Caller, course: Course, steps: list[str]) -> None:
    student = await graduate(school, course)
    before = await counted(school, course) - 1
    [first] = await certificates(school, student)
    for step in steps:
        school.later(seconds=1)
        current = (await certificates(school, student))[0]
        request = {
            "revoke": revoke(current), "reissue": reissue(current), "reissue the first": reissue(first),
            "generate": pb.GenerateCertificateRequest(course_id=course.id),
        }[step]  # fmt: skip
        try:
            await school.run(request, student if step == "generate" else author)
        except FailedPrecondition as error:
            assert (step, error.reason, current.status) == ("generate", "CERTIFICATE_REVOKED", REVOKED)  # noqa: PT017
    listed = await certificates(school, student)
    in_force = [item for item in listed if item.status == VALID]
    assert in_force in ([], listed[:1])
    assert [item.replaced_by for item in listed[1:]] == [item.id for item in listed[:-1]]
    issued, revoked = await events(school, student)
    assert issued - revoked == len(in_force) == await counted(school, course) - before


async def test_a_parent_sees_the_one_that_stands(
    school: School, author: Caller, student: Caller, certificate: pb.Certificate
) -> None:
    parent = await school.person("PARENT")
    code = await school.run(families_pb2.CreateLinkCodeRequest(), student)
    await school.run(families_pb2.LinkChildRequest(code=code.code), parent)
    new = await school.run(reissue(certificate), author)
    [course] = (await school.run(families_pb2.ListChildProgressRequest(child_id=certificate.student_id), parent)).courses
    assert course.certificate_id == new.id
