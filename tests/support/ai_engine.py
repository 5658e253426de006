"""The engine behind the OpenAI protocol and the fake model that it asks: tasks, and how to ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.assistant.engines import (
    AiSettings,
    FeedbackTask,
    LectureFact,
    Part,
    QuizFact,
    QuizTask,
    SummaryTask,
    Task,
    completions,
    language_model,
)  # fmt: skip
from core.assistant.engines.language_model import LanguageModelEngine
from core.errors import Unavailable
from fakes.ai.server import API_KEY, MODEL, AiFake
from skillforge.v1 import assistant_pb2

NOTES = """Yeast makes **carbon dioxide**, which lifts the dough.

Lactic bacteria make acid, which gives taste. Warm dough becomes milder 🍞. Rye needs the acid, or its crumb is sticky.
"""
SUMMARY = SummaryTask("Why bread rises", NOTES, 50)
QUIZ = QuizTask("Why bread rises", NOTES, 3, assistant_pb2.DIFFICULTY_MEDIUM)
FEEDBACK = FeedbackTask(
    course_title="Bread",
    language="en",
    lectures_completed=2,
    lectures_total=3,
    percent=66,
    open_lectures=(LectureFact("Baking", "lecture-3"),),
    quizzes=(QuizFact("Rising", "lecture-1", 87.5, True, 2),),
    exam=QuizFact("", "", 0, False, 0),
    completed=False,
    idle_days=4,
)
TASKS = [SUMMARY, QUIZ, FEEDBACK]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "PAUSES", (0.001, 0.002))
    monkeypatch.setattr(completions, "SILENCE_SECONDS", 0.15)


@pytest.fixture
async def fake() -> AsyncIterator[AiFake]:
    server = AiFake()
    server.retry_after = "0.01"
    await server.listen()
    yield server
    await server.close()


@pytest.fixture
async def engine(fake: AiFake) -> AsyncIterator[LanguageModelEngine]:
    client = LanguageModelEngine(AiSettings(fake.url, API_KEY, MODEL, 100))
    yield client
    await client.close()


async def answered(engine: LanguageModelEngine, task: Task) -> list[Part]:
    return [part async for part in engine.answer(task)]


async def whole(engine: LanguageModelEngine, task: Task) -> Any:
    return (await answered(engine, task))[-1]


async def refused(engine: LanguageModelEngine, task: Task = SUMMARY) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await answered(engine, task)
    return caught.value


def question(**changes: Any) -> dict[str, Any]:
    """A question as the model should write it."""
    usual = {
        "kind": "SINGLE_CHOICE", "prompt": "What lifts the dough?", "choices": ["carbon dioxide", "acid", "salt"],
        "answers": ["carbon dioxide"], "explanation": "Yeast makes it.",
        "evidence": "Yeast makes carbon dioxide, which lifts the dough.",
    }  # fmt: skip
    return {**usual, **changes}
