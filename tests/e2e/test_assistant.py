"""The assistant through the doors: by extraction, and by a fake language model over its real wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import json_format

from cli.demo.course_files import load_courses
from core.assistant.engines import language_model
from core.assistant.extractive.words import count
from fakes.ai.server import Fault
from skillforge.v1 import assistant_pb2, courses_pb2, enrollments_pb2, families_pb2, progress_pb2, quizzes_pb2
from tests.support.ai_place import AiPlace, ai_place, read_events
from tests.support.cores import another_core
from tests.support.doors import METHODS
from tests.support.polling import eventually
from tests.support.world import Person, World, right_answers

DOORS = ["grpc", "rest", "remote"]
[BREAD] = [course for course in load_courses() if course.slug == "sauerteig"]
NOTES = BREAD.modules[0].lectures[1].notes
TITLE = BREAD.modules[0].lectures[1].title


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "PAUSES", (0.001, 0.002))


@pytest.fixture(scope="module")
async def place(world: World) -> AsyncIterator[AiPlace]:
    async with ai_place(world) as running:
        yield running


@pytest.fixture
def fresh(place: AiPlace) -> AiPlace:
    """The place without what earlier tests left in its model."""
    place.model.requests.clear()
    place.model.faults.clear()
    place.model.broken = None
    return place


async def lecture_of(world: World, teacher: Person, notes: str = NOTES) -> Any:
    """A lecture with notes, in a course that is published."""
    course = await world.course(teacher, lectures=1)
    lecture = course.modules[0].lectures[0]
    request = courses_pb2.UpdateLectureRequest(lecture_id=lecture.id, title=TITLE, notes=notes)
    return await world.call("UpdateLecture", request, teacher)


# By extraction


@pytest.mark.parametrize("door", DOORS)
async def test_a_summary_and_a_draft_are_the_same_through_every_door(world: World, door: str) -> None:
    teacher, student = await world.person("INSTRUCTOR"), await world.person()
    lecture = await lecture_of(world, teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=lecture.course_id), student)
    gate = world.doors[door]
    request = assistant_pb2.SummarizeRequest(lecture_id=lecture.id)
    summary = (await gate.call("Summarize", request, student.token)).message
    assert (summary.engine, summary.model) == ("extractive", "sentences-1")
    assert summary.summary.startswith("Im Sauerteig leben zwei Gruppen zusammen: Hefen bilden Kohlendioxid")
    streamed = await gate.call("StreamSummary", request, student.token)
    assert streamed.message.summary.summary == summary.summary
    drafted = await gate.call("DraftQuiz", assistant_pb2.DraftQuizRequest(lecture_id=lecture.id), teacher.token)
    assert drafted.ok, drafted
    assert len(drafted.message.questions) >= 3
    for item in drafted.message.questions:
        assert item.evidence in NOTES.replace("**", "").replace("\n", " ")
    again = await gate.call("StreamQuizDraft", assistant_pb2.DraftQuizRequest(lecture_id=lecture.id), teacher.token)
    assert list(again.message.draft.questions) == list(drafted.message.questions)


async def test_a_draft_becomes_a_quiz_when_the_instructor_puts_it(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")
    lecture = await lecture_of(world, teacher)
    for difficulty in ("DIFFICULTY_EASY", "DIFFICULTY_MEDIUM", "DIFFICULTY_HARD"):
        fields = {"lectureId": lecture.id, "questionCount": 4, "difficulty": difficulty}
        status, _, draft = await world.request("POST", "/ai/quiz", person=teacher, json=fields)
        assert (status, draft["engine"], len(draft["questions"])) == (200, "extractive", 4)
        read = await world.rest.call("GetLectureQuiz", quizzes_pb2.GetLectureQuizRequest(lecture_id=lecture.id), teacher.token)
        assert read.code == ("NOT_FOUND" if difficulty == "DIFFICULTY_EASY" else "OK")
        quiz = {"title": "Draft", "passPercent": 50, "questions": [item["question"] for item in draft["questions"]]}
        status, _, put = await world.request("PUT", f"/lectures/{lecture.id}/quiz", person=teacher, json=quiz)
        assert status in (200, 201), put
        assert put["questions"] == quiz["questions"]


async def test_the_events_of_a_stream(world: World) -> None:
    student = await world.person()
    text = f"{NOTES}\n\nFor {student.id}."
    status, headers, raw = await world.request("POST", "/ai/summarize/stream", person=student, json={"text": text})
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-store")
    *deltas, (kind, whole), end = read_events(raw)
    assert (kind, end) == ("", ("end", {}))
    assert "".join(data["delta"] for _, data in deltas) == whole["summary"]["summary"]
    assert len(deltas) > 1
    teacher = await world.person("INSTRUCTOR")
    _, _, raw = await world.request("POST", "/ai/quiz/stream", person=teacher, json={"text": text})
    *questions, (_, whole), end = read_events(raw)
    assert [data["question"] for _, data in questions] == whole["draft"]["questions"]
    assert end == ("end", {})


async def test_an_answer_is_made_once(world: World) -> None:
    one, other = await world.person(), await world.person()
    text = f"{NOTES}\n\nFor {one.id}."
    _, _, first = await world.request("POST", "/ai/summarize", person=one, json={"text": text})
    _, _, again = await world.request("POST", "/ai/summarize", person=other, json={"text": text}, url=world.remote_url)
    assert (first["cached"], again) == (False, {**first, "cached": True})
    _, _, shorter = await world.request("POST", "/ai/summarize", person=other, json={"text": text, "maxWords": 20})
    assert shorter["cached"] is False
    _, _, raw = await world.request("POST", "/ai/summarize/stream", person=other, json={"text": text})
    assert read_events(raw) == [
        ("", {"delta": first["summary"]}),
        ("", {"summary": {**first, "cached": True}}),
        ("end", {}),
    ]


async def test_feedback_on_real_progress_for_those_who_may_read_it(world: World) -> None:
    teacher, student, parent = await world.person("INSTRUCTOR"), await world.person(), await world.person("PARENT")
    course = await world.course(teacher, lectures=3)
    first, second, _ = course.modules[0].lectures
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=first.id), student)
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), student)
    await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), parent)
    request = assistant_pb2.GiveFeedbackRequest(course_id=course.id)
    feedback = await world.call("GiveFeedback", request, student)
    assert feedback.feedback == "Lectures completed: 1 of 3 (33 %)."
    assert [(step.text, step.lecture_id) for step in feedback.next_steps] == [("Go on with “Lecture 2”.", second.id)]
    request.student_id = student.id
    for reader in (parent, teacher, await world.person("ADMIN")):
        assert (await world.call("GiveFeedback", request, reader)).feedback == feedback.feedback
    for stranger in (await world.person(), await world.person("PARENT"), await world.person("INSTRUCTOR")):
        assert (await world.rest.call("GiveFeedback", request, stranger.token)).code == "NOT_FOUND"
    for lecture in course.modules[0].lectures:
        await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    answers = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    await world.call("SubmitAttempt", answers, student)
    done = await world.call("GiveFeedback", request, teacher)
    assert done.feedback == "The course is complete. Lectures completed: 3 of 3 (100 %)."
    assert list(done.strengths) == ["Final exam passed with 100 %.", "Every lecture is complete."]
    assert list(done.next_steps) == []


async def test_a_preview_may_be_summarized_by_all_and_drafted_from_by_its_author_alone(world: World) -> None:
    teacher, other = await world.person("INSTRUCTOR"), await world.person("INSTRUCTOR")
    lecture = await lecture_of(world, teacher)
    request = courses_pb2.UpdateLectureRequest(lecture_id=lecture.id, title=TITLE, notes=NOTES, preview=True)
    await world.call("UpdateLecture", request, teacher)
    assert (await world.call("Summarize", assistant_pb2.SummarizeRequest(lecture_id=lecture.id), other)).summary
    outcome = await world.rest.call("DraftQuiz", assistant_pb2.DraftQuizRequest(lecture_id=lecture.id), other.token)
    assert (outcome.code, outcome.reason) == ("NOT_FOUND", "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        ("summarize", {}, "INVALID_ARGUMENT"),
        ("summarize", {"text": " \n"}, "INVALID_ARGUMENT"),
        ("summarize", {"text": "…!?"}, "TEXT_TOO_SHORT"),
        ("summarize", {"text": "```\ncode\n```"}, "TEXT_TOO_SHORT"),
        ("summarize", {"text": "A text.", "maxWords": 501}, "INVALID_ARGUMENT"),
        ("summarize", {"text": "a" * 500_001}, "INVALID_ARGUMENT"),
        ("quiz", {"text": "Too short."}, "TEXT_TOO_SHORT"),
        ("quiz", {"text": "A text.", "questionCount": 21}, "INVALID_ARGUMENT"),
        ("quiz", {"text": "A text.", "difficulty": 9}, "INVALID_ARGUMENT"),
    ],
)
async def test_what_cannot_be_worked_on(world: World, path: str, fields: dict[str, Any], reason: str) -> None:
    teacher = await world.person("INSTRUCTOR")
    for stream in ("", "/stream"):
        status, _, problem = await world.request("POST", f"/ai/{path}{stream}", person=teacher, json=fields)
        assert (status, problem["reason"]) == (400, reason)


async def test_a_lecture_without_notes(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")
    lecture = await lecture_of(world, teacher, notes="")
    for path in ("summarize", "quiz"):
        status, _, problem = await world.request("POST", f"/ai/{path}", person=teacher, json={"lectureId": lecture.id})
        assert (status, problem["reason"]) == (400, "TEXT_TOO_SHORT")


async def test_a_long_text_is_read_beside_the_event_loop(world: World) -> None:
    student = await world.person()
    text = f"{student.id}\n\n" + "\n\n".join(lecture.notes for module in BREAD.modules for lecture in module.lectures) * 20
    status, _, summary = await world.request("POST", "/ai/summarize", person=student, json={"text": text})
    assert status == 200
    assert 60 < count(summary["summary"]) <= 120
    assert len(summary["keyPoints"]) == 5


# By a language model


async def test_a_language_model_answers(world: World, fresh: AiPlace) -> None:
    teacher = await world.person("INSTRUCTOR")
    lecture = await lecture_of(world, teacher, f"{NOTES}\n\nFor {teacher.id}.")
    status, _, summary = await fresh.ask("summarize", teacher, lectureId=lecture.id)
    assert (status, summary["engine"], summary["model"], summary["cached"]) == (200, "openai", "fake-model-that-copies", False)
    status, _, draft = await fresh.ask("quiz", teacher, lectureId=lecture.id, questionCount=2)
    assert (status, draft["engine"], len(draft["questions"])) == (200, "openai", 2)
    json_format.ParseDict(draft, assistant_pb2.QuizDraft())
    body = json.dumps(list(fresh.model.requests))
    assert TITLE in body
    assert teacher.user.email not in body


async def test_pieces_come_while_the_model_writes(world: World, fresh: AiPlace) -> None:
    teacher = await world.person("INSTRUCTOR")
    *deltas, (_, whole), end = await fresh.events("summarize", teacher, text=f"{NOTES}\n\n{teacher.id}.")
    assert "".join(data["delta"] for _, data in deltas) == whole["summary"]["summary"]
    assert len(deltas) > 5
    assert end == ("end", {})


async def test_a_model_that_breaks_off_begins_anew(world: World, fresh: AiPlace) -> None:
    teacher = await world.person("INSTRUCTOR")
    fresh.model.faults.append(Fault.CUT)
    events = await fresh.events("summarize", teacher, text=f"{NOTES}\n\n{teacher.id}.")
    restart = events.index(("", {"restart": True}))
    assert restart > 0
    *deltas, (_, whole), end = events[restart + 1 :]
    assert "".join(data["delta"] for _, data in deltas) == whole["summary"]["summary"]
    assert end == ("end", {})


async def test_a_model_that_is_away(world: World, fresh: AiPlace) -> None:
    teacher = await world.person("INSTRUCTOR")
    fresh.model.broken = Fault.OTHER_JSON
    for path in ("summarize", "summarize/stream", "quiz", "quiz/stream"):
        status, headers, problem = await fresh.ask(path, teacher, text=f"{NOTES}\n\n{teacher.id}.")
        assert (status, problem["reason"], headers["retry-after"]) == (503, "AI_ANSWER_UNUSABLE", "5")
    fresh.model.broken = Fault.HALF_JSON
    *_, (kind, problem) = await fresh.events("summarize", teacher, text=f"{NOTES}\n\n{teacher.id}.")
    assert (kind, problem["reason"]) == ("error", "AI_ANSWER_UNUSABLE")


async def test_those_who_ask_the_same_at_once_are_answered_by_one_question(world: World, fresh: AiPlace) -> None:
    people = [await world.person("INSTRUCTOR") for _ in range(6)]
    fresh.model.faults.append(Fault.SLOW)
    text = f"{NOTES}\n\n{people[0].id}."
    answers = await asyncio.gather(
        *(fresh.ask("summarize", person, text=text) for person in people),
        *(fresh.ask("summarize/stream", person, text=text) for person in people),
    )
    assert len(fresh.model.requests) == 1
    summaries = [answer[2]["summary"] for answer in answers[:6]]
    summaries += [read_events(answer[2])[-2][1]["summary"]["summary"] for answer in answers[6:]]
    assert len(set(summaries)) == 1


async def test_who_leaves_stops_no_other_and_the_last_one_stops_the_model(world: World, fresh: AiPlace) -> None:
    teacher, method = await world.person("INSTRUCTOR"), METHODS["Summarize"]
    metadata = {"authorization": f"Bearer {teacher.token}", "x-client-ip": "192.0.2.1"}
    request = assistant_pb2.SummarizeRequest(text=f"{NOTES}\n\n{teacher.id}.")

    def ask() -> asyncio.Task[Any]:
        return asyncio.create_task(fresh.core.dispatcher.call(method, request, metadata, 20.0))

    fresh.model.slow_seconds = 0.3
    fresh.model.faults.append(Fault.SLOW)
    leaving, staying = ask(), ask()
    await eventually(lambda: asyncio.sleep(0, len(fresh.model.requests)))
    leaving.cancel()
    assert (await staying).message.summary
    request.text += " Again."
    fresh.model.faults.append(Fault.SILENT)
    last = ask()
    await eventually(lambda: asyncio.sleep(0, len(fresh.model.requests) == 2))
    last.cancel()
    await asyncio.gather(last, return_exceptions=True)
    assert (await ask()).message.summary
    assert len(fresh.model.requests) == 3


# The budget, and Redis


async def test_the_daily_budget(world: World) -> None:
    spender, other = await world.person(), await world.person()
    async with ai_place(world, daily_budget=2) as poor:
        poor.model.faults.extend([Fault.UNAUTHORIZED])
        assert (await poor.ask("summarize", spender, text=f"Nothing for {spender.id}."))[0] == 503  # costs nothing
        for number in (1, 2, 2):
            assert (await poor.ask("summarize", spender, text=f"Number {number} for {spender.id}."))[0] == 200
        status, headers, problem = await poor.ask("summarize", spender, text=f"Number 3 for {spender.id}.")
        assert (status, problem["reason"]) == (429, "AI_BUDGET_SPENT")
        assert 0 < int(headers["retry-after"]) <= 86_400
        assert "T00:00:00Z" in problem["detail"]
        assert (await poor.ask("summarize", spender, text=f"Number 1 for {spender.id}."))[2]["cached"] is True
        assert (await poor.ask("summarize", other, text=f"Number 3 for {other.id}."))[0] == 200


async def test_without_redis_it_goes_on(world: World) -> None:
    student = await world.person()
    async with another_core(world.settings, redis_url="redis://127.0.0.1:1") as lonely:
        for number in range(2):
            request = assistant_pb2.SummarizeRequest(text=f"{NOTES}\n\n{number}.")
            summary = await lonely.call("Summarize", request, student.token)
            assert (bool(summary.summary), summary.cached) == (True, False)
