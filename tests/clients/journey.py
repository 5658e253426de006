"""A course from its writing to a student's certificate, with a client that a generator made of `/openapi.json`.

PYTHONPATH=FOLDER_OF_THE_CLIENT python journey.py URL INSTRUCTOR_TOKEN STUDENT_TOKEN
"""

from __future__ import annotations

import sys
from typing import Any

from skillforge_client import AuthenticatedClient
from skillforge_client.api.certificates import check_certificate_file, download_certificate, list_certificates
from skillforge_client.api.courses import create_course, create_lecture, create_module, get_lecture, list_courses, publish_course
from skillforge_client.api.enrollments import enroll_in_course
from skillforge_client.api.identity import sync_user
from skillforge_client.api.progress import mark_lecture
from skillforge_client.api.quizzes import put_exam, start_attempt, submit_attempt
from skillforge_client.models import (
    AnswerInput,
    AnswerKeyInput,
    AttemptStatus,
    CourseStatus,
    CreateCourseRequest,
    CreateLectureRequest,
    CreateModuleRequest,
    EnrollInCourseRequest,
    FileResult,
    MarkLectureRequest,
    Problem,
    PutExamRequest,
    QuestionInput,
    QuestionInputKind,
    SubmitAttemptRequest,
    SyncUserRequest,
    VideoInput,
)
from skillforge_client.types import File

TITLE = "Made with a generated client, in Python"


def done(answer: Any) -> Any:
    """What came back; ends the journey with what went wrong."""
    if answer.status_code >= 300:
        sys.exit(f"{answer.status_code}: {answer.content.decode()}")
    return answer.parsed


def write_course(teacher: AuthenticatedClient) -> Any:
    """A free course of one lecture and an exam, published."""
    request = CreateCourseRequest(title=TITLE, description="Sixes and sevens.", tags=["numbers"], language="en")
    draft = done(create_course.sync_detailed(client=teacher, body=request, idempotency_key=f"python-{teacher.token[-12:]}"))
    module = done(create_module.sync_detailed(draft.id, client=teacher, body=CreateModuleRequest(title="One")))
    video = VideoInput(url="https://videos.example.com/1.mp4", duration_seconds=60)
    lecture = CreateLectureRequest(title="Six times seven", video=video, notes="# It is 42.")
    done(create_lecture.sync_detailed(module.id, client=teacher, body=lecture))
    question = QuestionInput(
        id="q1", prompt="What is it?", kind=QuestionInputKind.QUESTION_KIND_NUMERIC, answer_key=AnswerKeyInput(number=42)
    )
    done(
        put_exam.sync_detailed(draft.id, client=teacher, body=PutExamRequest(title="Exam", pass_percent=50, questions=[question]))
    )
    course = done(publish_course.sync_detailed(draft.id, client=teacher))
    assert course.status == CourseStatus.COURSE_STATUS_PUBLISHED
    return course


def learn(student: AuthenticatedClient, course: Any) -> None:
    """Enroll, complete the lecture, pass the exam."""
    [found] = [item for item in done(list_courses.sync_detailed(client=student, query=TITLE)).courses if item.id == course.id]
    done(enroll_in_course.sync_detailed(found.id, client=student, body=EnrollInCourseRequest()))
    [lecture] = course.modules[0].lectures
    assert done(get_lecture.sync_detailed(lecture.id, client=student)).notes == "# It is 42."
    marked = done(mark_lecture.sync_detailed(client=student, body=MarkLectureRequest(lecture_id=lecture.id, completed=True)))
    assert marked.course.percent == 100
    attempt = done(start_attempt.sync_detailed(course.exam_id, client=student))
    answers = SubmitAttemptRequest(answers=[AnswerInput(question_id="q1", number=42)])
    graded = done(submit_attempt.sync_detailed(attempt.id, client=student, body=answers))
    assert (graded.status, graded.passed) == (AttemptStatus.ATTEMPT_STATUS_SUBMITTED, True)


def prove(student: AuthenticatedClient, course: Any) -> str:
    """The certificate's number, when its PDF is what was issued."""
    certificates = done(list_certificates.sync_detailed(client=student)).certificates
    [certificate] = [item for item in certificates if item.course_id == course.id]
    pdf = done(download_certificate.sync_detailed(certificate.id, client=student))
    verdict = done(check_certificate_file.sync_detailed(client=student, body=File(pdf.payload)))
    assert verdict.result == FileResult.FILE_RESULT_UNCHANGED
    return str(certificate.id)


def main() -> None:
    url, *tokens = sys.argv[1:]
    teacher, student = (AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True) for token in tokens)
    for person in (teacher, student):
        done(sync_user.sync_detailed(client=person, body=SyncUserRequest()))
    course = write_course(teacher)
    refused = publish_course.sync_detailed(course.id, client=student).parsed
    assert isinstance(refused, Problem)
    assert refused.reason == "ROLE_NOT_ALLOWED"
    learn(student, course)
    print(prove(student, course))


if __name__ == "__main__":
    main()
