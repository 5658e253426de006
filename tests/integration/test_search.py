"""Finding courses on a real database: words of every script, kept in step with every write, filled in when missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from core.call import Caller
from core.courses import indexing, search
from core.db import Transaction
from core.ids import to_bytes, to_text
from skillforge.v1 import courses_pb2
from skillforge.v1.courses_pb2 import (
    Course,
    DeleteCourseRequest,
    ListCoursesRequest,
    Money,
    PublishCourseRequest,
    UpdateCourseRequest,
)
from tests.support.classroom import Classroom, open_classroom

NEWEST, POPULAR, TITLE = (
    courses_pb2.COURSE_ORDER_NEWEST,
    courses_pb2.COURSE_ORDER_POPULAR,
    courses_pb2.COURSE_ORDER_TITLE,
)


@pytest.fixture(scope="module")
async def room(database_url: str, redis_url: str) -> AsyncIterator[Classroom]:
    async with open_classroom(database_url, redis_url) as classroom:
        yield classroom


@pytest.fixture
async def author(room: Classroom) -> Caller:
    return await room.person("INSTRUCTOR")


async def found(room: Classroom, author: Caller, query: str, **fields: Any) -> list[str]:
    """The titles of this author's published courses that the query finds."""
    reply = await room.run(ListCoursesRequest(instructor_id=to_text(author.user_id), query=query, **fields))
    return [course.title for course in reply.courses]


async def test_words_of_every_script(room: Classroom, author: Caller) -> None:
    shelf = {
        "机器学习导论": "从零开始。",
        "データの見方": "グラフと平均だけで、数字の裏にある話を読み取ります。",
        "학교에서 배우는 수학": "초급",
        "การเรียนรู้ภาษาไทย": "สำหรับผู้เริ่มต้น",
        "Введение в алгоритмы": "Сортировка и поиск",
        "مقدمة في البرمجة": "للمبتدئين",
        "Ångström & Café": "À la carte, in a C# or C++ kitchen",
        "The Go of it": "A to Z",
    }
    for title, description in shelf.items():
        await room.course(author, (1,), title=title, description=description)
    for query, title in {
        "学习": "机器学习导论",
        "机器学习 从零": "机器学习导论",
        "平均": "データの見方",
        "ﾃﾞｰﾀ 数字": "データの見方",
        "학교": "학교에서 배우는 수학",
        "ภาษา": "การเรียนรู้ภาษาไทย",
        "алгор": "Введение в алгоритмы",
        "البرمجة": "مقدمة في البرمجة",
        "cafe angstrom": "Ångström & Café",
        "c#": "Ångström & Café",
        "the go of it": "The Go of it",
        "z a": "The Go of it",
    }.items():
        assert await found(room, author, query) == [title], query
    assert await found(room, author, "学机") == []
    assert await found(room, author, "go rust") == []
    assert await found(room, author, "+++") == []


async def test_every_write_is_found_at_once(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,), title="Alpha", description="bravo", tags=["charlie"])
    for word in ("alpha", "bravo", "charlie", author.display_name):
        assert await found(room, author, word) == ["Alpha"], word
    update = UpdateCourseRequest(course_id=course.id, title="Delta", description="echo", tags=["foxtrot"])
    await room.run(update, author)
    for word in ("alpha", "bravo", "charlie"):
        assert await found(room, author, word) == []
    for word in ("delta echo foxtrot", author.display_name):
        assert await found(room, author, word) == ["Delta"], word
    await room.run(DeleteCourseRequest(course_id=course.id), author)
    assert await found(room, author, "delta") == []


async def test_a_new_name_finds_the_courses(room: Classroom, author: Caller) -> None:
    await room.course(author, (1,), title="Mine")

    async def rename(tx: Transaction) -> None:
        await tx.execute("UPDATE users SET display_name = 'Émilie 居礼' WHERE id = %s", (author.user_id,))
        await indexing.renamed(tx, author.user_id, "Émilie 居礼")

    await room.db.transact(rename)
    assert await found(room, author, "emilie mine") == ["Mine"]
    assert await found(room, author, "居礼") == ["Mine"]
    assert await found(room, author, author.display_name) == []


async def stored(room: Classroom, course: Course) -> tuple[Any, ...] | None:
    sql = "SELECT format, content, instructor FROM course_search WHERE course_id = %s"
    return await room.db.fetch_one(sql, (to_bytes(course.id),))


async def test_what_is_missing_or_old_is_filled_in(room: Classroom, author: Caller) -> None:
    courses = [await room.course(author, (1,), title=f"Filled {number}", tags=["tagged"]) for number in range(3)]
    before = [await stored(room, course) for course in courses]
    await room.db.execute("DELETE FROM course_search WHERE course_id = %s", (to_bytes(courses[0].id),))
    old = "UPDATE course_search SET format = 0, content = 'zwold', instructor = 'zwold' WHERE course_id = %s"
    await room.db.execute(old, (to_bytes(courses[1].id),))
    assert await found(room, author, "filled") == ["Filled 2"]
    counts = await asyncio.gather(*(indexing.fill(room.db) for _ in range(3)))
    assert sum(counts) >= 2
    assert [await stored(room, course) for course in courses] == before
    assert await indexing.fill(room.db) == 0
    await room.run(UpdateCourseRequest(course_id=courses[2].id, title="Else"), author)  # the kept list is dropped
    assert await found(room, author, "filled tagged") == ["Filled 1", "Filled 0"]


async def test_filling_in_never_puts_old_terms_back(room: Classroom, author: Caller) -> None:
    """However the filling and an author's write interleave, the author's words are what remains."""
    course = await room.course(author, (1,), title="Before", publish=False)
    for number in range(10):
        await room.db.execute("DELETE FROM course_search WHERE course_id = %s", (to_bytes(course.id),))
        update = UpdateCourseRequest(course_id=course.id, title=f"After {number}")
        await asyncio.gather(indexing.fill(room.db), room.run(update, author))
        assert await stored(room, course) == (search.FORMAT, f"zwafter zw{number}", search.document([author.display_name]))


# Filters and orders together


@pytest.fixture(scope="module")
async def library(room: Classroom) -> tuple[list[Caller], list[Course]]:
    """Forty courses of two authors; equal times, counts and titles among them. A try before this one is found no more."""
    await room.db.execute("DELETE FROM course_search WHERE content LIKE 'zwlibrary%'")
    chance, authors, courses = Random(5), [await room.person("INSTRUCTOR") for _ in range(2)], []
    for number in range(40):
        course = await room.course(
            authors[number % 2],
            (1,),
            title=f"{chance.choice(('library alpha', 'library beta', 'Library 学习'))} {chance.randint(0, 3)}",
            tags=chance.sample(["red", "green", "blue"], chance.randint(0, 2)),
            level=chance.randint(0, 2),
            price=Money(amount_minor=chance.choice((0, 500)), currency="USD"),
        )
        course.enrollment_count = chance.randint(0, 3)
        sql = "UPDATE courses SET enrollment_count = %s WHERE id = %s"
        await room.db.execute(sql, (course.enrollment_count, to_bytes(course.id)))
        courses.append(course)
        room.later(seconds=chance.randint(0, 1))
    return authors, courses


def wishes(authors: list[Caller], count: int) -> Iterator[dict[str, Any]]:
    chance = Random(6)
    choices: dict[str, list[Any]] = {
        "query": ["library", "library", "library alpha", "学习 library", "library bet"],
        "tag": ["", "", "red", "GREEN"],
        "level": [0, 0, 1, 2],
        "free": [None, None, True, False],
        "instructor_id": ["", to_text(authors[0].user_id)],
        "order_by": [0, NEWEST, POPULAR, TITLE],
        "page_size": [1, 2, 3, 7, 100],
    }
    for _ in range(count):
        yield {name: chance.choice(values) for name, values in choices.items()}


def wanted(course: Course, wish: dict[str, Any]) -> bool:
    words = wish["query"].split()
    title = course.title.casefold()
    return (
        all(word in title for word in words)
        and (not wish["tag"] or wish["tag"].lower() in course.tags)
        and (not wish["level"] or course.level == wish["level"])
        and (wish["free"] is None or (course.price.amount_minor == 0) == wish["free"])
        and (not wish["instructor_id"] or course.instructor.id == wish["instructor_id"])
    )


def sort_key(order: int) -> Callable[[Course], Any]:
    if order == POPULAR:
        return lambda course: (-course.enrollment_count, -int(course.id.replace("-", ""), 16))
    if order == TITLE:
        return lambda course: (course.title.casefold(), int(course.id.replace("-", ""), 16))
    return lambda course: (-course.publish_time.ToMicroseconds(), -int(course.id.replace("-", ""), 16))


async def walk(room: Classroom, wish: dict[str, Any], between: Callable[[], Any] | None = None) -> list[Course]:
    fields = {name: value for name, value in wish.items() if value is not None}
    seen: list[Course] = []
    token = ""
    for _ in range(200):
        page = await room.run(ListCoursesRequest(**fields, page_token=token))
        seen += page.courses
        token = page.next_page_token
        if not token:
            return seen
        if between:
            await between()
    raise AssertionError("the pages have no end")


async def test_any_filters_and_order_walk_exactly_what_matches(
    room: Classroom, library: tuple[list[Caller], list[Course]]
) -> None:
    authors, courses = library
    for wish in wishes(authors, 120):
        expected = sorted((course for course in courses if wanted(course, wish)), key=sort_key(wish["order_by"]))
        assert [course.id for course in await walk(room, wish)] == [course.id for course in expected], wish


async def test_what_is_published_meanwhile_makes_no_repeats(room: Classroom, library: tuple[list[Caller], list[Course]]) -> None:
    authors, courses = library
    chance = Random(7)
    for order in (NEWEST, POPULAR, TITLE):
        wish: dict[str, Any] = {"query": "library", "order_by": order, "page_size": 6}
        added = [await room.course(authors[0], (1,), title=f"Library new {number}", publish=False) for number in range(6)]
        waiting = list(added)

        async def publish(waiting: list[Course] = waiting) -> None:
            """Publish one more, and rename one of those already seen or still to come."""
            if waiting:
                room.later(seconds=1)
                await room.run(PublishCourseRequest(course_id=waiting.pop().id), authors[0])

        seen = [course.id for course in await walk(room, wish, publish)]
        assert len(seen) == len(set(seen))
        assert {course.id for course in courses} <= set(seen)
        keys = [sort_key(order)(course) for course in await walk(room, wish)]
        assert all(one < other for one, other in pairwise(keys))
        for course in added:
            await room.run(DeleteCourseRequest(course_id=course.id), authors[0])
        chance.shuffle(added)


async def test_a_walk_by_title_goes_on_where_it_stood(room: Classroom, author: Caller) -> None:
    """Also when the last course seen has another title by then."""
    courses = [await room.course(author, (1,), title=title) for title in ("a", "b", "c", "d", "e")]
    fields: dict[str, Any] = {"instructor_id": to_text(author.user_id), "order_by": TITLE, "page_size": 2}
    first = await room.run(ListCoursesRequest(**fields))
    await room.run(UpdateCourseRequest(course_id=courses[1].id, title="zz", description="x"), author)
    second = await room.run(ListCoursesRequest(**fields, page_token=first.next_page_token))
    assert [course.title for course in (*first.courses, *second.courses)] == ["a", "b", "c", "d"]


async def test_a_token_takes_the_longest_title(room: Classroom, author: Caller) -> None:
    for _ in range(2):
        await room.course(author, (1,), title="😀" * 200)
    fields: dict[str, Any] = {"instructor_id": to_text(author.user_id), "order_by": TITLE, "page_size": 1}
    first = await room.run(ListCoursesRequest(**fields))
    assert len((await room.run(ListCoursesRequest(**fields, page_token=first.next_page_token))).courses) == 1
