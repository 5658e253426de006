"""The engine behind the OpenAI protocol: asks, checks what comes, and asks again within bounds."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Any

from core.assistant import rules
from core.assistant.engines import AiSettings, FeedbackTask, Part, QuizTask, Restart, SummaryTask, Task, Whole, prompts
from core.assistant.engines.completions import Completions, Prompt, Unusable
from core.assistant.engines.guards import Away, RetryBudget
from core.assistant.engines.structured import Answer, conforms
from core.assistant.extractive.reader import Reader
from core.assistant.extractive.summary import condensed
from core.errors import Unavailable
from skillforge.v1 import quizzes_pb2
from skillforge.v1.assistant_pb2 import DraftedQuestion, Feedback, NextStep, QuizDraft, Summary
from skillforge.v1.quizzes_pb2 import Choice, Question

log = logging.getLogger("skillforge.assistant")

ATTEMPTS = 3
# Before the second and the third attempt, each shortened by up to a half at random.
PAUSES = (0.3, 1.0)
# A server that asks for more patience is not waited for.
MAX_WAIT_SECONDS = 4.0
# Of longer texts the most telling sentences are sent.
MAX_SENT_CHARS = 60_000
# Who has questions enough by then gets no more.
LATE_SECONDS = 9.0
MAX_POINTS, MAX_POINT_CHARS = 5, 500
MAX_FEEDBACK_WORDS = 200
_LETTERS = "abcdefgh"
_KINDS = {name: quizzes_pb2.QuestionKind.Value(f"QUESTION_KIND_{name}") for name in prompts.KINDS}


class LanguageModelEngine:
    """Answers by one model. Pieces of a text are passed on before the whole is checked; a whole that does not hold begins
    anew."""

    name = "openai"
    version = prompts.VERSION

    def __init__(self, settings: AiSettings, completions: Completions | None = None) -> None:
        self.model = settings.model
        self._completions = completions or Completions(settings.base_url, settings.api_key, settings.model)
        self._retries = RetryBudget()
        self._reader = Reader()

    async def answer(self, task: Task) -> AsyncGenerator[Part, None]:
        """As `Engine.answer`."""
        match task:
            case SummaryTask():
                text, source = await self._read(task)
                parts = self._text(prompts.summary(task, text), "summary", lambda value: _summary(value, task, source))
            case QuizTask():
                parts = self._questions(task, *await self._read(task))
            case FeedbackTask():
                parts = self._text(prompts.feedback(task), "feedback", lambda value: _feedback(value, task))
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        await self._completions.close()

    async def _read(self, task: SummaryTask | QuizTask) -> tuple[str, rules.Source]:
        """The text to send, of a long one the most telling sentences; and all of it, to compare with."""
        return await self._reader.run(task.text, lambda text: (condensed(text, task.title, MAX_SENT_CHARS), rules.Source(text)))

    async def _text(self, prompt: Prompt, field: str, read: Callable[[Any], Whole]) -> AsyncGenerator[Part, None]:
        """The text of a field as it comes, then the whole."""
        for attempt in range(ATTEMPTS):
            answer, told = Answer(field, prompt.schema), False
            try:
                async with aclosing(self._ask(prompt, attempt)) as pieces:
                    async for piece in pieces:
                        if delta := answer.more_text(piece):
                            told = True
                            yield delta
                yield read(answer.whole())
                return
            except (Away, Unusable) as error:
                await self._before_next(attempt, error)
            if told:
                yield Restart.RESTART

    async def _questions(self, task: QuizTask, text: str, source: rules.Source) -> AsyncGenerator[Part, None]:
        """Every question that holds, once; what does not is dropped and asked for again."""
        began = monotonic()
        found: list[DraftedQuestion] = []
        for attempt in range(ATTEMPTS):
            error: Away | Unusable = Unusable("too few of the drafted questions hold")
            try:
                prompt = prompts.quiz(task, text, task.count - len(found), [item.question.prompt for item in found])
                async with aclosing(self._drafted(prompt, source, attempt)) as drafted:
                    async for item in drafted:
                        if item.question.prompt in [other.question.prompt for other in found]:
                            continue
                        found.append(item)
                        yield item
                        if len(found) == task.count:
                            break
            except (Away, Unusable) as failure:
                error = failure
            enough = len(found) >= rules.fewest(task.count)
            if len(found) == task.count or (enough and (attempt + 1 == ATTEMPTS or monotonic() - began > LATE_SECONDS)):
                break
            try:
                await self._before_next(attempt, error)
            except Unavailable:
                if not enough:
                    raise
                break
        yield QuizDraft(questions=found)

    async def _drafted(self, prompt: Prompt, source: rules.Source, attempt: int) -> AsyncGenerator[DraftedQuestion, None]:
        """The questions of one answer that hold, as they come."""
        answer = Answer("questions", prompt.schema)
        async with aclosing(self._ask(prompt, attempt)) as pieces:
            async for piece in pieces:
                for value in answer.more_items(piece):
                    drafted = _question(value)
                    accepted = rules.accept(drafted, source) if drafted else None
                    if accepted is not None:
                        yield accepted
        answer.whole()

    def _ask(self, prompt: Prompt, attempt: int) -> AsyncGenerator[str, None]:
        if attempt == 0:
            self._retries.asked()
        return self._completions.ask(prompt)

    async def _before_next(self, attempt: int, error: Away | Unusable) -> None:
        """Wait before the next attempt. Raises Unavailable when there is to be none."""
        log.warning("the language model failed: %s", error)
        again = attempt + 1 < ATTEMPTS and (isinstance(error, Unusable) or error.may_pass) and self._retries.take()
        wait = error.retry_after if isinstance(error, Away) and error.retry_after is not None else 0.0
        if not again or wait > MAX_WAIT_SECONDS:
            raise _unavailable(error) from error
        await asyncio.sleep(max(wait, PAUSES[attempt] * random.uniform(0.5, 1.0)))


def _unavailable(error: Away | Unusable) -> Unavailable:
    if isinstance(error, Unusable):
        detail = "The language model gave no answer that holds. Try again, or ask for something else."
        return Unavailable("AI_ANSWER_UNUSABLE", detail, retry_after=5.0)
    detail = "The language model cannot be reached. Try again soon."
    return Unavailable("AI_UNAVAILABLE", detail, retry_after=math.ceil(error.retry_after or 5.0))


def _summary(value: Mapping[str, Any], task: SummaryTask, source: rules.Source) -> Summary:
    """Raises Unusable for what must not be shown."""
    text = rules.shortened(_clean(value["summary"]), task.max_words)
    points = _points(value["keyPoints"])
    if not text or source.links_elsewhere(text, *points):
        raise Unusable("the summary is empty, or leads elsewhere")
    return Summary(summary=text, key_points=points)


def _feedback(value: Mapping[str, Any], task: FeedbackTask) -> Feedback:
    """Raises Unusable for what must not be shown, or does not follow from the facts."""
    known, facts = prompts.lectures(task), prompts.feedback_facts(task)
    text = rules.shortened(_clean(value["feedback"]), MAX_FEEDBACK_WORDS)
    strengths = _points(value["strengths"])
    steps = [NextStep(text=_clean(item["text"])[:MAX_POINT_CHARS]) for item in value["nextSteps"][:MAX_POINTS]]
    for step, item in zip(steps, value["nextSteps"], strict=False):
        step.lecture_id = known[item["lecture"] - 1] if 1 <= item["lecture"] <= len(known) else ""
    said = [text, *strengths, *(step.text for step in steps)]
    if not text or rules.foreign_numbers(said, facts) or rules.Source(facts).links_elsewhere(*said):
        raise Unusable("the feedback is empty, or says what the facts don't")
    return Feedback(feedback=text, strengths=strengths, next_steps=[step for step in steps if step.text])


def _question(value: object) -> DraftedQuestion | None:
    """A question as the model wrote it; None when its key does not fit its kind."""
    if not conforms(value, prompts.QUESTION_SCHEMA) or not isinstance(value, dict):
        return None
    question = Question(prompt=_clean(value["prompt"]), kind=_KINDS[value["kind"]], explanation=_clean(value["explanation"]))
    answers = [_clean(answer) for answer in value["answers"]]
    texts = [_clean(text) for text in value["choices"]]
    if len(texts) > len(_LETTERS) or not answers:
        return None
    # Models like to put the right one first.
    random.shuffle(texts)
    question.choices.extend(Choice(id=letter, text=text) for letter, text in zip(_LETTERS, texts, strict=False))
    try:
        _set_key(question, answers, texts)
    except ValueError:
        return None
    return DraftedQuestion(question=question, evidence=_clean(value["evidence"]))


def _set_key(question: Question, answers: list[str], texts: list[str]) -> None:
    """Raises ValueError for answers that are none to the question."""
    key = question.answer_key
    if question.kind == quizzes_pb2.QUESTION_KIND_TRUE_FALSE:
        question.ClearField("choices")
        key.choice_ids.extend(answer.lower() for answer in answers)
    elif question.kind == quizzes_pb2.QUESTION_KIND_SHORT_TEXT:
        key.accepted_texts.extend(answers)
    elif question.kind == quizzes_pb2.QUESTION_KIND_NUMERIC:
        [number] = answers
        key.number = float(number)
    else:
        key.choice_ids.extend(_LETTERS[texts.index(answer)] for answer in answers)


def _points(values: list[str]) -> list[str]:
    return [text[:MAX_POINT_CHARS] for text in map(_clean, values) if text][:MAX_POINTS]


def _clean(text: str) -> str:
    """Without control characters, and space around it."""
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text).strip()
