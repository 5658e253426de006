"""Summaries, quiz drafts and feedback: who may ask for them, and of what. Nothing is saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from core.assistant import rules
from core.assistant.answers import Answers
from core.assistant.engines import FeedbackTask, QuizTask, Restart, SummaryTask, Task, Whole
from core.assistant.extractive.words import has_words
from core.assistant.facts import facts
from core.call import Call
from core.courses.catalog import CourseCatalog
from core.courses.service import CoursesService
from core.errors import missing
from core.ids import to_bytes
from core.progress.service import ProgressService
from skillforge.v1 import assistant_pb2, courses_pb2, progress_pb2
from skillforge.v1.assistant_pb2 import (
    DraftedQuestion,
    DraftQuizRequest,
    Feedback,
    FeedbackEvent,
    GiveFeedbackRequest,
    QuizDraft,
    QuizDraftEvent,
    SummarizeRequest,
    Summary,
    SummaryEvent,
)

W = TypeVar("W", Summary, QuizDraft, Feedback)

DEFAULT_WORDS = 120
DEFAULT_QUESTIONS = 5
# More of a text is not read: the slowest one of this length takes a second of a thread, a usual one a fifth.
MAX_CHARS = 100_000


class AssistantService:
    """Implements skillforge.v1.AssistantService."""

    def __init__(self, courses: CoursesService, progress: ProgressService, catalog: CourseCatalog, answers: Answers) -> None:
        self._courses = courses
        self._progress = progress
        self._catalog = catalog
        self._answers = answers

    async def summarize(self, call: Call, request: SummarizeRequest) -> Summary:
        """Summarize a text, or a lecture that the caller may read. Raises what `Answers.parts` and `get_lecture` raise."""
        return await self._whole(call, await self._summary_task(call, request), Summary)

    async def stream_summary(self, call: Call, request: SummarizeRequest) -> AsyncIterator[SummaryEvent]:
        """`summarize`, with pieces of the text before the whole."""
        told = False
        async with aclosing(self._answers.parts(call, await self._summary_task(call, request))) as parts:
            async for part in parts:
                if isinstance(part, Restart):
                    yield SummaryEvent(restart=True)
                elif isinstance(part, str):
                    told = True
                    yield SummaryEvent(delta=part)
                elif isinstance(part, Summary):
                    if not told:
                        yield SummaryEvent(delta=part.summary)
                    yield SummaryEvent(summary=part)

    async def draft_quiz(self, call: Call, request: DraftQuizRequest) -> QuizDraft:
        """Draft questions on a text, or on a lecture of the caller's own course. Raises as `summarize`."""
        return await self._whole(call, await self._quiz_task(call, request), QuizDraft)

    async def stream_quiz_draft(self, call: Call, request: DraftQuizRequest) -> AsyncIterator[QuizDraftEvent]:
        """`draft_quiz`, with every question by itself before the whole."""
        told = False
        async with aclosing(self._answers.parts(call, await self._quiz_task(call, request))) as parts:
            async for part in parts:
                if isinstance(part, DraftedQuestion):
                    told = True
                    yield QuizDraftEvent(question=part)
                elif isinstance(part, QuizDraft):
                    for question in () if told else part.questions:
                        yield QuizDraftEvent(question=question)
                    yield QuizDraftEvent(draft=part)

    async def give_feedback(self, call: Call, request: GiveFeedbackRequest) -> Feedback:
        """Feedback on progress that the caller may read. Raises what `Answers.parts` and `get_course_progress` raise."""
        return await self._whole(call, await self._feedback_task(call, request), Feedback)

    async def stream_feedback(self, call: Call, request: GiveFeedbackRequest) -> AsyncIterator[FeedbackEvent]:
        """`give_feedback`, with pieces of the text before the whole."""
        told = False
        async with aclosing(self._answers.parts(call, await self._feedback_task(call, request))) as parts:
            async for part in parts:
                if isinstance(part, Restart):
                    yield FeedbackEvent(restart=True)
                elif isinstance(part, str):
                    told = True
                    yield FeedbackEvent(delta=part)
                elif isinstance(part, Feedback):
                    if not told:
                        yield FeedbackEvent(delta=part.feedback)
                    yield FeedbackEvent(feedback=part)

    async def _whole(self, call: Call, task: Task, kind: type[W]) -> W:
        whole: Whole | None = None
        async with aclosing(self._answers.parts(call, task)) as parts:
            async for part in parts:
                whole = part if isinstance(part, Whole) else None
        if not isinstance(whole, kind):
            raise RuntimeError("the engine ended without the whole answer")
        return whole

    async def _summary_task(self, call: Call, request: SummarizeRequest) -> SummaryTask:
        title, text = "", request.text
        if request.lecture_id:
            lecture = await self._courses.get_lecture(call, courses_pb2.GetLectureRequest(lecture_id=request.lecture_id))
            title, text = lecture.title, lecture.notes
        if not has_words(text):
            raise rules.too_short("a summary")
        return SummaryTask(title, text[:MAX_CHARS], request.max_words or DEFAULT_WORDS)

    async def _quiz_task(self, call: Call, request: DraftQuizRequest) -> QuizTask:
        title, text = "", request.text
        if request.lecture_id:
            lecture = await self._courses.own_lecture(call, to_bytes(request.lecture_id))
            title, text = lecture.title, lecture.notes
        if not has_words(text):
            raise rules.too_short("questions")
        difficulty = request.difficulty or assistant_pb2.DIFFICULTY_MEDIUM
        return QuizTask(title, text[:MAX_CHARS], request.question_count or DEFAULT_QUESTIONS, difficulty)

    async def _feedback_task(self, call: Call, request: GiveFeedbackRequest) -> FeedbackTask:
        wanted = progress_pb2.GetCourseProgressRequest(course_id=request.course_id, student_id=request.student_id)
        progress = await self._progress.get_course_progress(call, wanted)
        outline = await self._catalog.outline(to_bytes(request.course_id))
        if outline is None:
            raise missing("progress")
        return facts(progress, outline, call.now)
