"""Courses as Markdown files: `courses/*.md`.

A file begins with `name: value` lines and a description. Then come modules (`# Title`) and lectures (`## Title [5:30]`,
minutes and seconds of the video, and `preview` if it is one) with their notes. A line `@quiz Title | pass 60` begins the
lecture's quiz, `@exam Title | pass 60 | attempts 3 | minutes 30` the final exam. Its questions are lines:

    ? the prompt
    * a right choice          - a wrong choice        (several right ones: several may be picked)
    = 42   = 3.14 ± 0.01      = true                  (a number, perhaps with a tolerance; or true or false)
    ~ one text | another                              (short texts that are accepted)
    ! the explanation
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "courses"
_LECTURE = re.compile(r"## (?P<title>.+) \[(?P<minutes>\d+):(?P<seconds>\d\d)\](?P<preview> preview)?")
_PRICE = re.compile(r"(?P<whole>\d+)(?:\.(?P<cents>\d\d))? (?P<currency>[A-Z]{3})")
_NUMBER = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)(?: ± (?P<tolerance>\d+(?:\.\d+)?))?")
_LETTERS = "abcdefgh"
_HEAD = {"title", "instructor", "language", "level", "price", "tags", "status"}

# A message's fields by name, as protobuf's constructors take them.
Fields = dict[str, Any]


class CourseFileError(ValueError):
    """A course file that cannot be read; the message says where and why."""


@dataclass
class Quiz:
    """A quiz or exam: its own fields, and questions with ids q1, q2, ... and choices a, b, ..."""

    fields: Fields
    questions: list[Fields] = field(default_factory=list)


@dataclass
class Lecture:
    """A lecture and perhaps a quiz."""

    title: str
    seconds: int
    preview: bool
    notes: str = ""
    quiz: Quiz | None = None


@dataclass
class Module:
    """A module with its lectures."""

    title: str
    lectures: list[Lecture] = field(default_factory=list)


@dataclass
class Course:
    """A course; `status` is what it is in the end: draft, published or archived."""

    slug: str
    instructor: str
    status: str
    fields: Fields
    modules: list[Module] = field(default_factory=list)
    exam: Quiz | None = None

    @property
    def title(self) -> str:
        return str(self.fields["title"])

    @property
    def is_free(self) -> bool:
        return bool(self.fields["price"]["amount_minor"] == 0)

    @property
    def lectures(self) -> list[Lecture]:
        return [lecture for module in self.modules for lecture in module.lectures]


@cache
def load_courses() -> tuple[Course, ...]:
    """Every course of the demo school, in the order of the files' names. Raises CourseFileError."""
    return tuple(read_course(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.md")))


def read_course(slug: str, text: str) -> Course:
    """A course from its file's text. Raises CourseFileError."""
    head, _, body = text.partition("\n\n")
    values = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    if values.keys() != _HEAD or values["status"] not in ("draft", "published", "archived"):
        raise CourseFileError(f"{slug}: the file must begin with {', '.join(sorted(_HEAD))}")
    description, *blocks = re.split(r"^(?=# |## |@quiz |@exam )", body, flags=re.MULTILINE)
    fields: Fields = {
        "title": values["title"],
        "description": _unwrapped(description),
        "price": _price(slug, values["price"]),
        "tags": [tag.strip() for tag in values["tags"].split(",")],
        "level": f"COURSE_LEVEL_{values['level'].upper()}",
        "language": values["language"],
    }
    course = Course(slug, values["instructor"], values["status"], fields)
    for block in blocks:
        first, _, rest = block.partition("\n")
        try:
            _add(course, first, rest)
        except (ValueError, IndexError) as error:
            raise CourseFileError(f"{slug}: {first}: {error}") from error
    return course


def _add(course: Course, first: str, rest: str) -> None:
    """Add what a heading begins to what came before it."""
    if first.startswith("# "):
        course.modules.append(Module(first.removeprefix("# ")))
    elif first.startswith("## "):
        found = _LECTURE.fullmatch(first)
        if found is None:
            raise ValueError("a lecture reads `## Title [5:30]`")
        seconds = int(found["minutes"]) * 60 + int(found["seconds"])
        course.modules[-1].lectures.append(Lecture(found["title"], seconds, bool(found["preview"]), rest.strip()))
    elif first.startswith("@quiz "):
        course.modules[-1].lectures[-1].quiz = _quiz(first.removeprefix("@quiz "), rest)
    else:
        course.exam = _quiz(first.removeprefix("@exam "), rest)


def _quiz(first: str, rest: str) -> Quiz:
    title, *settings = (part.strip() for part in first.split("|"))
    numbers = {name: int(number) for name, number in (setting.split(" ") for setting in settings)}
    quiz = Quiz(
        {
            "title": title,
            "pass_percent": numbers.get("pass", 0),
            "max_attempts": numbers.get("attempts", 0),
            "time_limit_seconds": 60 * numbers.get("minutes", 0),
            "shuffle": True,
        }
    )
    for block in re.split(r"^(?=\? )", rest, flags=re.MULTILINE):
        if block.strip():
            quiz.questions.append(_question(f"q{len(quiz.questions) + 1}", block.strip().splitlines()))
    return quiz


def _question(question_id: str, lines: list[str]) -> Fields:
    parts: dict[str, list[str]] = {}
    for line in lines:
        parts.setdefault(line[0], []).append(line[2:].strip())
    question: Fields = {"id": question_id, "prompt": parts["?"][0], "points": 1, "explanation": parts["!"][0]}
    choices = [(line[0] == "*", line[2:].strip()) for line in lines if line[0] in "*-"]
    if choices:
        right = [_LETTERS[place] for place, (is_right, _) in enumerate(choices) if is_right]
        kind = "SINGLE" if len(right) == 1 else "MULTIPLE"
        question["choices"] = [{"id": _LETTERS[place], "text": text} for place, (_, text) in enumerate(choices)]
        return question | {"kind": f"QUESTION_KIND_{kind}_CHOICE", "answer_key": {"choice_ids": right}}
    if "~" in parts:
        texts = [text.strip() for text in parts["~"][0].split("|")]
        return question | {"kind": "QUESTION_KIND_SHORT_TEXT", "answer_key": {"accepted_texts": texts}}
    answer = parts.get("=", [""])[0]
    if answer in ("true", "false"):
        return question | {"kind": "QUESTION_KIND_TRUE_FALSE", "answer_key": {"choice_ids": [answer]}}
    number = _NUMBER.fullmatch(answer)
    if number is None:
        raise ValueError(f"the question has no answer: {question['prompt']}")
    key = {"number": float(number["number"]), "tolerance": float(number["tolerance"] or 0)}
    return question | {"kind": "QUESTION_KIND_NUMERIC", "answer_key": key}


def answers(quiz: Quiz, right: int) -> Iterator[Fields]:
    """Answers to a quiz of which the first `right` are right."""
    for place, question in enumerate(quiz.questions):
        key, good = question["answer_key"], place < right
        answer: Fields = {"question_id": question["id"]}
        if "number" in key:
            answer["number"] = key["number"] if good else key["number"] + 1 + key["tolerance"]
        elif "accepted_texts" in key:
            answer["text"] = key["accepted_texts"][0] if good else "?"
        elif good:
            answer["choice_ids"] = key["choice_ids"]
        else:
            offered = [choice["id"] for choice in question.get("choices", ())] or ["true", "false"]
            answer["choice_ids"] = [next(item for item in offered if item not in key["choice_ids"])]
        yield answer


def _price(slug: str, text: str) -> Fields:
    found = _PRICE.fullmatch(text)
    if found is None:
        raise CourseFileError(f"{slug}: a price reads `24.00 EUR`, or `3000 JPY` where there are no cents")
    return {"amount_minor": int(found["whole"] + (found["cents"] or "")), "currency": found["currency"]}


def _unwrapped(text: str) -> str:
    """A paragraph in one line; between Chinese and Japanese characters a line's end is no space."""
    joined = re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])", "", text.strip())
    return " ".join(joined.split())
