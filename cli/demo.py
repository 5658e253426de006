"""The demo data of `skillforge up`: a few people and courses, made through the same REST calls everybody uses."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from cli.client import TIMEOUT, Api
from cli.tour import EXAM, QUIZ

ADMIN = ("admin@skillforge.example", "Grace Hopper", "ADMIN")
INSTRUCTORS = (
    ("ada@skillforge.example", "Ada Lovelace", "INSTRUCTOR"),
    ("omar@skillforge.example", "Omar Khayyam عمر", "INSTRUCTOR"),
)
STUDENTS = (
    ("li@skillforge.example", "李小龍", "STUDENT"),
    ("olga@skillforge.example", "Ольга Петрова", "STUDENT"),
    ("sam@skillforge.example", "Sam Ångström", "STUDENT"),
)
COURSES = (
    (
        0,
        {
            "title": "Thinking in algorithms",
            "description": "Sorting, searching and counting, one small program at a time. No mathematics beyond school.",
            "price": {"amountMinor": 0, "currency": "USD"},
            "tags": ["programming", "beginner"],
            "level": "COURSE_LEVEL_BEGINNER",
            "language": "en",
        },
        (
            ("What is an algorithm?", ("Recipes for machines", "Counting steps")),
            ("Searching", ("Halving", "When halving fails")),
        ),
    ),
    (
        1,
        {
            "title": "Algebra from the beginning",
            "description": "Solve equations by completing and balancing, the way al-Khwarizmi taught it.",
            "price": {"amountMinor": 2900, "currency": "EUR"},
            "tags": ["mathematics"],
            "level": "COURSE_LEVEL_INTERMEDIATE",
            "language": "en",
        },
        (("Equations", ("Balance", "Completion")), ("Geometry of squares", ("Drawing a root",))),
    ),
    (
        0,
        {
            "title": "データの見方",
            "description": "グラフと平均だけで、数字の裏にある話を読み取ります。",
            "price": {"amountMinor": 3000, "currency": "JPY"},
            "tags": ["statistics", "日本語"],
            "level": "COURSE_LEVEL_BEGINNER",
            "language": "ja",
        },
        (("平均と中央値", ("平均とは何か", "中央値が役に立つとき")),),
    ),
)


async def make_demo(url: str) -> None:
    """Make the demo data at `url` unless its first course is there already. Raises ApiError where a call fails."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        visitor = Api(session, url)
        if (await visitor.get("/courses?pageSize=1"))["courses"]:
            return
        admin = await _person(visitor, ADMIN)
        teachers = [await _person(visitor, person) for person in INSTRUCTORS]
        courses = [await _course(teachers[owner], course, modules) for owner, course, modules in COURSES]
        for email, name, role in STUDENTS:
            student = await _person(visitor, (email, name, role))
            me = await student.get("/auth/me")
            await student.post(f"/courses/{courses[0]}/enroll")
            await admin.post(f"/courses/{courses[1]}/enroll", {"studentId": me["id"]})
        first = await visitor.sign_in(*STUDENTS[0])
        outline = await first.get(f"/courses/{courses[0]}")
        for lecture in outline["modules"][0]["lectures"]:
            await first.post("/progress/lecture", {"lectureId": lecture["id"], "completed": True})


async def _person(visitor: Api, person: tuple[str, str, str]) -> Api:
    api = await visitor.sign_in(*person)
    await api.post("/auth/sync-user")
    return api


async def _course(teacher: Api, course: Mapping[str, object], modules: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    course_id = str((await teacher.post("/courses", course))["id"])
    for module_title, lectures in modules:
        module = await teacher.post(f"/courses/{course_id}/modules", {"title": module_title})
        for number, title in enumerate(lectures, 1):
            lecture = {
                "title": title,
                "video": {"url": f"https://videos.example.com/{module['id']}-{number}.mp4", "durationSeconds": 240 + 60 * number},
                "notes": f"# {title}\n\nTake a sheet of paper and follow along.",
                "preview": number == 1,
            }
            await teacher.post(f"/modules/{module['id']}/lectures", lecture)
    first = (await teacher.get(f"/courses/{course_id}"))["modules"][0]["lectures"][0]["id"]
    await teacher.put(f"/lectures/{first}/quiz", QUIZ)
    await teacher.put(f"/courses/{course_id}/exam", EXAM)
    await teacher.post(f"/courses/{course_id}/publish")
    return course_id
