"""What an engine is: it answers a task piece by piece, and whole in the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from skillforge.v1.assistant_pb2 import Difficulty, DraftedQuestion, Feedback, QuizDraft, Summary

# For a whole answer, with whatever is asked again.
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class AiSettings:
    """The language model behind the OpenAI protocol; without a key answers are extracted from the text itself.
    `daily_budget`: answers a user may have made a day."""

    base_url: str
    api_key: str = field(repr=False)
    model: str
    daily_budget: int


@dataclass(frozen=True, slots=True)
class SummaryTask:
    """Summarize `text` (Markdown) in `max_words` words at most. `title`: the lecture's, "" for a text alone."""

    title: str
    text: str
    max_words: int


@dataclass(frozen=True, slots=True)
class QuizTask:
    """Draft `count` questions on `text` (Markdown)."""

    title: str
    text: str
    count: int
    difficulty: Difficulty.ValueType


@dataclass(frozen=True, slots=True)
class QuizFact:
    """A lecture's quiz, or the final exam: `attempts` were submitted, the best earned `best_percent`."""

    title: str
    lecture_id: str
    best_percent: float
    passed: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class LectureFact:
    """A lecture of the course."""

    title: str
    lecture_id: str


@dataclass(frozen=True, slots=True)
class FeedbackTask:
    """Give feedback on a student's progress. It tells nothing of who the student is. `language`: the course's (BCP 47);
    `open_lectures`: those not complete, in order; `idle_days`: since the last activity, None before the first."""

    course_title: str
    language: str
    lectures_completed: int
    lectures_total: int
    percent: int
    open_lectures: tuple[LectureFact, ...]
    quizzes: tuple[QuizFact, ...]
    exam: QuizFact | None
    completed: bool
    idle_days: int | None


Task = SummaryTask | QuizTask | FeedbackTask
Whole = Summary | QuizDraft | Feedback


class Restart(Enum):
    """What came so far is void: the text begins anew."""

    RESTART = "restart"


# Running text, a checked question, that the text begins anew; and last the whole.
Part = str | DraftedQuestion | Restart | Whole


class Engine(Protocol):
    """Answers tasks. `name`, `model` and `version` (of prompts and rules) are part of an answer's identity."""

    name: str
    model: str
    version: str

    def answer(self, task: Task) -> AsyncGenerator[Part, None]:
        """The parts of an answer; the last one is the whole, without its engine and model.

        Raises FailedPrecondition (TEXT_TOO_SHORT), Unavailable (AI_UNAVAILABLE, AI_ANSWER_UNUSABLE).
        """

    async def close(self) -> None:
        """Close what is open."""
