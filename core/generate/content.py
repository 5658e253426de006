"""What generated courses are about: enough words to search for, in sentences that mean something."""

from __future__ import annotations

import random
from typing import NamedTuple

from core.generate.plan import EXAM_QUESTIONS
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, Question, QuestionResult

TOPICS = (
    "statistics", "geometry", "botany", "astronomy", "grammar", "rhetoric", "bookkeeping", "carpentry", "networking",
    "databases", "typography", "photography", "nutrition", "geology", "ceramics", "navigation", "optics", "acoustics",
    "negotiation", "gardening", "cartography", "chemistry", "genetics", "logistics", "architecture", "calligraphy",
    "meteorology", "economics", "programming", "weaving", "harmony", "anatomy", "hydraulics", "robotics", "poetry",
    "archaeology", "cryptography", "thermodynamics", "linguistics", "metallurgy",
)  # fmt: skip
FORMS = ("Foundations of {}", "{} in practice", "A second course in {}", "{} for teachers", "The history of {}", "{} by examples")
STEPS = ("Why it matters", "The vocabulary", "A first example", "Common mistakes", "Working by hand", "Measuring", "Tools",
         "A larger example", "Checking the result", "What to read next")  # fmt: skip
PRICES = ((0, "USD"), (0, "EUR"), (2900, "EUR"), (0, "JPY"), (3000, "JPY"), (4900, "USD"), (0, "INR"), (99900, "INR"), (0, "USD"))


class CourseText(NamedTuple):
    """A generated course in words."""

    title: str
    description: str
    tags: tuple[str, ...]
    level: int
    price_minor: int
    currency: str


def course(seed: int, number: int) -> CourseText:
    """What the course with a number, from 0, is about."""
    chosen = random.Random(f"{seed}:{number}")
    topic, other = chosen.sample(TOPICS, 2)
    title = chosen.choice(FORMS).format(topic)
    description = (
        f"A course in {topic} for people who learn by doing. Every lecture works one problem from beginning to end, "
        f"with a look at {other} where the two meet. Bring paper, a pencil and some patience."
    )
    levels = (courses_pb2.COURSE_LEVEL_BEGINNER, courses_pb2.COURSE_LEVEL_INTERMEDIATE, courses_pb2.COURSE_LEVEL_ADVANCED)
    price_minor, currency = PRICES[number % len(PRICES)]
    shown = f"{title[0].upper()}{title[1:]} {number + 1}"
    return CourseText(shown, description, (topic, other), chosen.choice(levels), price_minor, currency)


def lecture(topic: str, number: int) -> tuple[str, str]:
    """Title and notes of a lecture, from 0."""
    step = STEPS[number % len(STEPS)]
    title = f"{number + 1}. {step}"
    notes = (
        f"# {step}\n\nThis lecture is about **{topic}**. Take one example you know from your own life and write it down "
        "before you go on: what is known, what is asked, and what a good answer would look like.\n\n"
        "1. State the question in one sentence.\n2. Do the smallest case by hand.\n3. Say what changes in a larger one.\n\n"
        "> If you cannot do the small case, the large one will not help."
    )
    return title, notes


def exam_questions() -> list[Question]:
    """The questions every generated exam asks, a point each."""
    questions = []
    for number in range(EXAM_QUESTIONS):
        left, right = 12 + 7 * number, 3 + number
        question = Question(
            id=f"q{number + 1}",
            prompt=f"What is {left} × {right}?",
            kind=quizzes_pb2.QUESTION_KIND_NUMERIC,
            points=1,
            explanation=f"{left} × {right} = {left * right}.",
        )
        question.answer_key.number = left * right
        questions.append(question)
    return questions


def exam_answers(right: int) -> tuple[list[Answer], list[QuestionResult]]:
    """Answers of which the first `right` are right, and their results."""
    answers, results = [], []
    for number, question in enumerate(exam_questions()):
        good = number < right
        answers.append(Answer(question_id=question.id, number=question.answer_key.number + (0 if good else 1)))
        results.append(QuestionResult(question_id=question.id, points_earned=float(good), points_possible=1, correct=good))
    return answers, results
