"""The engine that needs no network: it takes from the text what is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from core.assistant import rules
from core.assistant.engines import FeedbackTask, Part, QuizTask, SummaryTask, Task
from core.assistant.extractive.feedback import feedback
from core.assistant.extractive.questions import draft
from core.assistant.extractive.reader import Reader
from core.assistant.extractive.summary import extract, joined
from core.assistant.extractive.words import is_unspaced
from skillforge.v1.assistant_pb2 import DraftedQuestion, Feedback, QuizDraft, Summary


class ExtractiveEngine:
    """Summaries and questions of a text's own sentences, and feedback from the numbers."""

    name = "extractive"
    model = "sentences-1"
    version = "1"

    def __init__(self) -> None:
        self._reader = Reader()

    async def answer(self, task: Task) -> AsyncGenerator[Part, None]:
        """As `Engine.answer`."""
        match task:
            case SummaryTask():
                async for part in self._summary(task):
                    yield part
            case QuizTask():
                drafted = await self._reader.run(task.text, lambda text: _questions(task, text))
                for question in drafted:
                    yield question
                yield QuizDraft(questions=drafted)
            case FeedbackTask():
                whole: Feedback = feedback(task)
                yield whole.feedback
                yield whole

    async def close(self) -> None:
        """Let go of the thread."""
        self._reader.close()

    async def _summary(self, task: SummaryTask) -> AsyncGenerator[Part, None]:
        found = await self._reader.run(task.text, lambda text: extract(text, task.title, task.max_words))
        if not found.sentences:
            raise rules.too_short("a summary")
        last = ""
        for sentence in found.sentences:
            yield sentence if not last or is_unspaced(last[-1]) else f" {sentence}"
            last = sentence
        yield Summary(summary=joined(found.sentences), key_points=found.key_points)


def _questions(task: QuizTask, text: str) -> list[DraftedQuestion]:
    """Questions that pass the same check as a model's. Raises FailedPrecondition when there are too few."""
    source = rules.Source(text)
    drafted = (rules.accept(item, source) for item in draft(text, task.title, task.count, task.difficulty))
    found = [item for item in drafted if item is not None]
    if len(found) < rules.fewest(task.count):
        raise rules.too_short(f"{task.count} questions")
    return found
