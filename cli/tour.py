"""`skillforge tour`: the whole student journey, as a plain HTTP client sees it.

An instructor writes a course; a student finds it, pays at the fake checkout, learns, passes the exam and downloads
the certificate, which then verifies.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.markup import escape

from cli.client import TIMEOUT, Api, ApiError

TEST_CARD = "4242424242424242"
UNLOCK_SECONDS = 20.0

QUIZ = {
    "title": "Which step is it?",
    "passPercent": 50,
    "questions": [
        {
            "prompt": "What do you do first when the program misbehaves?",
            "kind": "QUESTION_KIND_SINGLE_CHOICE",
            "choices": [{"id": "reproduce", "text": "Make it happen again"}, {"id": "guess", "text": "Change a line and hope"}],
            "answerKey": {"choiceIds": ["reproduce"]},
            "explanation": "What cannot be repeated cannot be understood.",
        }
    ],
}
EXAM = {
    "title": "Final exam",
    "passPercent": 60,
    "maxAttempts": 3,
    "timeLimitSeconds": 1800,
    "questions": [
        {
            "id": "halves",
            "prompt": "How many halvings find one bad commit among 1024?",
            "kind": "QUESTION_KIND_NUMERIC",
            "points": 2,
            "answerKey": {"number": 10},
        },
        {
            "id": "tools",
            "prompt": "Which of these show what a program really does?",
            "kind": "QUESTION_KIND_MULTIPLE_CHOICE",
            "points": 2,
            "choices": [{"id": "log", "text": "A log"}, {"id": "debugger", "text": "A debugger"}, {"id": "hope", "text": "Hope"}],
            "answerKey": {"choiceIds": ["log", "debugger"]},
        },
        {
            "id": "fixed",
            "prompt": "A bug is fixed when the symptom is gone.",
            "kind": "QUESTION_KIND_TRUE_FALSE",
            "answerKey": {"choiceIds": ["false"]},
        },
    ],
}
ANSWERS = [
    {"questionId": "halves", "number": 10},
    {"questionId": "tools", "choiceIds": ["log", "debugger"]},
    {"questionId": "fixed", "choiceIds": ["false"]},
]


async def run_tour(url: str, output: Path, console: Console) -> None:
    """Walk the journey at `url` and leave the certificate at `output`. Raises ApiError where it breaks."""

    def show(verb: str, path: str, status: int, answer: Any, milliseconds: float) -> None:
        colour = "green" if status < 400 else "red"
        short = path if len(path) <= 58 else path[:55] + "..."
        console.print(f"[{colour}]{status}[/] {verb:4} {escape(short):58} [dim]{milliseconds:6.0f} ms[/]")
        console.print(f"    [dim]{escape(_summary(answer))}[/]", no_wrap=True, overflow="ellipsis")

    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        visitor = Api(session, url, observer=show)
        console.print("\n[bold]An instructor writes a course[/]")
        course_id = await write_course(visitor)
        console.print("\n[bold]A student finds it and pays[/]")
        tag = secrets.token_hex(3)
        student = await visitor.sign_in(f"mina.{tag}@example.com", "Mina Ångström 李小龍", "STUDENT")
        await student.post("/auth/sync-user")
        found = await visitor.get("/courses?query=debugging&pageSize=3")
        if not found["courses"]:
            raise ApiError("GET /courses does not find the course that was just published")
        await buy(student, course_id)
        console.print("\n[bold]The student learns[/]")
        await learn(student, course_id)
        console.print("\n[bold]The certificate is there by itself[/]")
        certificate = (await student.get("/certificates"))["certificates"][0]
        pdf = await student.get(f"/certificates/{certificate['id']}/download")
        await asyncio.to_thread(output.write_bytes, pdf)
        verdict = await visitor.get(f"/certificates/{certificate['id']}/verify")
        if not verdict["valid"]:
            raise ApiError("the certificate does not verify")
    console.print(f"\n[bold green]Done.[/] {output} is the certificate; anybody can check it at")
    console.print(certificate["verifyUrl"], soft_wrap=True)


async def write_course(visitor: Api) -> str:
    """An instructor signs in, writes a small course and publishes it; returns its id."""
    tag = secrets.token_hex(3)
    teacher = await visitor.sign_in(f"ada.{tag}@example.com", "Ada Lovelace", "INSTRUCTOR")
    await teacher.post("/auth/sync-user")
    course = await teacher.post(
        "/courses",
        {
            "title": "Debugging, calmly",
            "description": "Find the cause, not the symptom: a short course in debugging for people who write programs.",
            "price": {"amountMinor": 4900, "currency": "USD"},
            "tags": ["debugging", "craft"],
            "level": "COURSE_LEVEL_BEGINNER",
            "language": "en",
        },
    )
    lectures = []
    for number, title in enumerate(("See it fail", "Halve the search"), 1):
        module = await teacher.post(f"/courses/{course['id']}/modules", {"title": f"Part {number}"})
        lecture = {
            "title": title,
            "video": {"url": f"https://videos.example.com/debugging-{number}.mp4", "durationSeconds": 300},
            "notes": f"# {title}\n\nWrite down what you expect *before* you look.",
            "preview": number == 1,
        }
        lectures.append(await teacher.post(f"/modules/{module['id']}/lectures", lecture))
    await teacher.put(f"/lectures/{lectures[0]['id']}/quiz", QUIZ)
    await teacher.put(f"/courses/{course['id']}/exam", EXAM)
    await teacher.post(f"/courses/{course['id']}/publish")
    return str(course["id"])


async def buy(student: Api, course_id: str) -> None:
    """Pay at the fake checkout and wait until its webhook has unlocked the course."""
    payment = await student.post("/payments/create", {"courseId": course_id})
    await student.post(payment["checkoutUrl"], {"card": TEST_CARD})
    pause = 0.05
    deadline = asyncio.get_running_loop().time() + UNLOCK_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        paid = await student.get(f"/payments/{payment['id']}")
        if paid["status"] == "PAYMENT_STATUS_SUCCEEDED":
            await student.get("/enrollments")
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)
    raise ApiError(f"the payment was not confirmed within {UNLOCK_SECONDS:.0f} s: did the webhook reach /payments/webhook?")


async def learn(student: Api, course_id: str) -> None:
    """Watch every lecture and pass the final exam."""
    course = await student.get(f"/courses/{course_id}")
    for module in course["modules"]:
        for lecture in module["lectures"]:
            await student.get(f"/lectures/{lecture['id']}")
            await student.post("/progress/lecture", {"lectureId": lecture["id"], "completed": True})
    attempt = await student.post(f"/quizzes/{course['examId']}/attempts")
    await student.put(f"/attempts/{attempt['id']}/answers", {"answers": ANSWERS[:1]})
    graded = await student.post(f"/attempts/{attempt['id']}/submit", {"answers": ANSWERS})
    if not graded["passed"]:
        raise ApiError("the exam was answered rightly and not passed")
    await student.get(f"/progress/course/{course_id}")


def _summary(answer: Any) -> str:
    """What an answer says, in one line."""
    if isinstance(answer, bytes):
        return f"{len(answer):,} bytes"
    if not isinstance(answer, dict):
        return ""
    shown = []
    for name, value in answer.items():
        if name == "token":
            value = "..."
        elif isinstance(value, list):
            value = f"[{len(value)}]"
        elif isinstance(value, dict):
            value = "{...}"
        shown.append(f"{name}={value}")
    return " ".join(", ".join(shown).split())
