"""Lists of courses, and what is kept in the process: shared answers, one query for many, changes seen at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.call import Caller
from core.errors import InvalidArgument, NotAllowed, Unauthenticated
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import (
    Course,
    CreateLectureRequest,
    CreateModuleRequest,
    DeleteLectureRequest,
    ListCoursesRequest,
    Money,
    UnpublishCourseRequest,
    UpdateCourseRequest,
    UpdateLectureRequest,
    UpdateModuleRequest,
)
from tests.support.classroom import Classroom, lecture_ids, open_classroom, questions, refused


@pytest.fixture(scope="module")
async def room(database_url: str, redis_url: str) -> AsyncIterator[Classroom]:
    async with open_classroom(database_url, redis_url) as classroom:
        yield classroom


@pytest.fixture(scope="module")
async def author(room: Classroom) -> Caller:
    return await room.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def student(room: Classroom) -> Caller:
    return await room.person("STUDENT")


async def listed(room: Classroom, who: Caller | None = None, **fields: Any) -> list[str]:
    """The titles of all pages, two a page."""
    titles, token = [], ""
    for _ in range(50):
        page = await room.run(ListCoursesRequest(page_size=2, page_token=token, **fields), who)
        assert len(page.courses) <= 2
        assert all(not course.modules for course in page.courses)
        titles += [course.title for course in page.courses]
        token = page.next_page_token
        if not token:
            return titles
    raise AssertionError("the pages have no end")


@pytest.fixture(scope="module")
async def shelf(room: Classroom) -> tuple[Caller, list[Course]]:
    """An instructor with five published courses and a draft."""
    owner = await room.person("INSTRUCTOR")
    courses = []
    for title, fields in (
        ("Delta Python", {"tags": ["shelf", "code"], "level": 1}),
        ("alpha Rust", {"tags": ["shelf"], "level": 2, "price": Money(amount_minor=100, currency="USD")}),
        ("Charlie python", {"tags": ["shelf", "code"], "level": 1, "description": "Not a snake: zoology"}),
        ("Bravo 机器学习", {"level": 3}),
        ("Echo " + "😀" * 195, {"price": Money(amount_minor=5, currency="USD")}),
    ):
        room.later(seconds=1)
        courses.append(await room.course(owner, (1,), title=title, **fields))
    await room.course(owner, (), publish=False, title="Foxtrot draft", tags=["shelf"])
    for course, count in zip(courses, (5, 7, 5, 0, 9), strict=True):
        await room.db.execute("UPDATE courses SET enrollment_count = %s WHERE id = %s", (count, to_bytes(course.id)))
    return owner, courses


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Echo Bravo Charlie alpha Delta"),
        ({"order_by": courses_pb2.COURSE_ORDER_NEWEST}, "Echo Bravo Charlie alpha Delta"),
        ({"order_by": courses_pb2.COURSE_ORDER_POPULAR}, "Echo alpha Charlie Delta Bravo"),
        ({"order_by": courses_pb2.COURSE_ORDER_TITLE}, "alpha Bravo Charlie Delta Echo"),
        ({"tag": "code"}, "Charlie Delta"),
        ({"tag": "SHELF", "free": False}, "alpha"),
        ({"free": True}, "Bravo Charlie Delta"),
        ({"free": False}, "Echo alpha"),
        ({"level": courses_pb2.COURSE_LEVEL_BEGINNER}, "Charlie Delta"),
        ({"query": "python"}, "Charlie Delta"),
        ({"query": "pyth"}, "Charlie Delta"),
        ({"query": "PYTHON delta"}, "Delta"),
        ({"query": "a snake zoology"}, "Charlie"),
        ({"query": "delta pyt"}, "Delta"),
        ({"query": "del python"}, ""),
        ({"query": "+python -delta"}, "Delta"),
        ({"query": "机器"}, "Bravo"),
        ({"query": "学习 bravo"}, "Bravo"),
        ({"query": "习"}, "Bravo"),
        ({"query": "😀"}, "Echo"),
        ({"query": "code", "order_by": courses_pb2.COURSE_ORDER_TITLE}, "Charlie Delta"),
        ({"query": "code", "level": 1, "tag": "shelf", "free": True}, "Charlie Delta"),
        ({"query": "\"()*~@<> \\ % ' "}, ""),
        ({"query": "nothing like it"}, ""),
        ({"query": "draft"}, ""),
    ],
)
async def test_lists_filter_order_and_page(
    room: Classroom, shelf: tuple[Caller, list[Course]], fields: dict[str, Any], expected: str
) -> None:
    owner, _ = shelf
    titles = await listed(room, instructor_id=to_text(owner.user_id), **fields)
    assert [title.split()[0] for title in titles] == expected.split()


async def test_my_list_has_my_drafts(room: Classroom, shelf: tuple[Caller, list[Course]], student: Caller) -> None:
    owner, _ = shelf
    newest = [title.split()[0] for title in await listed(room, owner, mine=True)]
    assert newest == ["Foxtrot", "Echo", "Bravo", "Charlie", "alpha", "Delta"]
    by_title = [title.split()[0] for title in await listed(room, owner, mine=True, order_by=courses_pb2.COURSE_ORDER_TITLE)]
    assert by_title == ["alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot"]
    assert await listed(room, owner, mine=True, query="draft") == ["Foxtrot draft"]
    await refused(Unauthenticated, "TOKEN_MISSING", listed(room, None, mine=True))
    await refused(NotAllowed, "ROLE_NOT_ALLOWED", listed(room, student, mine=True))


async def test_a_page_token_belongs_to_its_query(room: Classroom, shelf: tuple[Caller, list[Course]], student: Caller) -> None:
    owner, courses = shelf
    mine: dict[str, Any] = {"instructor_id": to_text(owner.user_id), "page_size": 2}
    first = await room.run(ListCoursesRequest(**mine))
    token = first.next_page_token
    again = await room.run(ListCoursesRequest(**mine, page_token=token), student)
    assert again.courses[0].id == courses[2].id
    others: list[dict[str, Any]] = [
        {"page_token": token},
        {**mine, "page_token": token, "order_by": courses_pb2.COURSE_ORDER_TITLE},
        {**mine, "page_token": token[:-2]},
        {**mine, "page_token": "x"},
    ]
    for fields in others:
        await refused(InvalidArgument, "PAGE_TOKEN_INVALID", room.run(ListCoursesRequest(**fields)))


async def test_a_listed_course_is_the_course_without_its_outline(room: Classroom, author: Caller) -> None:
    course = await room.course(author, tags=["b", "a"], title="Whole")
    owner = to_text(author.user_id)
    [found] = [item for item in (await room.run(ListCoursesRequest(instructor_id=owner))).courses if item.id == course.id]
    del course.modules[:]
    assert found == course


# What is kept in the process


async def test_hot_reads_are_shared_and_ask_nothing(room: Classroom, author: Caller, student: Caller) -> None:
    course = await room.course(author)
    first_course, first_page = await room.read(course.id), await room.run(ListCoursesRequest())
    reads = room.db.reads
    for viewer in (None, student):
        assert await room.read(course.id, viewer) is first_course
        assert room.last_call is not None
        assert room.last_call.shared_reply
        assert await room.run(ListCoursesRequest(), viewer) is first_page
        assert room.last_call.shared_reply
    assert room.db.reads == reads
    own = await room.read(course.id, author)
    assert own == first_course
    assert own is not first_course


async def test_many_who_miss_at_once_make_one_query(room: Classroom, author: Caller) -> None:
    course = await room.course(author)
    before = room.db.reads
    replies = await asyncio.gather(*(room.read(course.id) for _ in range(16)))
    assert room.db.reads - before == 3
    assert all(reply is replies[0] for reply in replies)
    before = room.db.reads
    request = ListCoursesRequest(instructor_id=to_text(author.user_id), page_size=7)
    replies = await asyncio.gather(*(room.run(request) for _ in range(16)))
    assert room.db.reads - before == 2
    assert all(reply is replies[0] for reply in replies)


async def test_only_so_many_lists_are_kept(room: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.courses.catalog.MAX_LISTS", 2)
    pages = [await room.run(ListCoursesRequest(tag=f"none {number}")) for number in range(3)]
    again = [await room.run(ListCoursesRequest(tag=f"none {number}")) for number in (2, 1, 0)]
    assert [one is other for one, other in zip(pages, reversed(again), strict=True)] == [False, True, True]


async def test_a_long_list_is_not_kept(room: Classroom, author: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.course(author)
    request = ListCoursesRequest(instructor_id=to_text(author.user_id), page_size=9)
    monkeypatch.setattr("core.courses.catalog.MAX_LIST_BYTES", 10)
    first = await room.run(request)
    again = await room.run(request)
    assert again == first
    assert again is not first


async def test_one_who_gives_up_disturbs_nobody(room: Classroom, author: Caller) -> None:
    course = await room.course(author)
    waiting = [asyncio.create_task(room.read(course.id)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1] is results[2]


async def test_a_failed_load_is_not_kept(room: Classroom, author: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    course = await room.course(author)

    async def broken(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(room.db, "fetch_one", broken)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await room.read(course.id)
    assert (await room.read(course.id)).id == course.id


async def test_every_change_shows_at_once(room: Classroom) -> None:
    owner = await room.person("INSTRUCTOR")
    course = await room.course(owner, (2,))
    mine = ListCoursesRequest(instructor_id=to_text(owner.user_id))
    [module] = course.modules
    (a, b) = lecture_ids(course)

    async def changed(request: Any) -> tuple[Course, Course]:
        await room.run(request, owner)
        [item] = (await room.run(mine)).courses
        return await room.read(course.id), item

    for request, seen in (
        (
            UpdateCourseRequest(course_id=course.id, title="Other", description="x"),
            lambda tree, item: tree.title == item.title == "Other",
        ),
        (CreateModuleRequest(course_id=course.id, title="M2"), lambda tree, _: len(tree.modules) == 2),
        (UpdateModuleRequest(module_id=module.id, title="M1"), lambda tree, _: tree.modules[0].title == "M1"),
        (CreateLectureRequest(module_id=module.id, title="L3"), lambda tree, item: tree.lecture_count == item.lecture_count == 3),
        (DeleteLectureRequest(lecture_id=a), lambda tree, item: tree.lecture_count == item.lecture_count == 2),
        (UpdateLectureRequest(lecture_id=b, title="L2"), lambda tree, _: tree.modules[0].lectures[0].title == "L2"),
        (
            quizzes_pb2.PutLectureQuizRequest(lecture_id=b, title="Q", questions=questions()),
            lambda tree, _: tree.modules[0].lectures[0].quiz_id,
        ),
        (
            quizzes_pb2.PutExamRequest(course_id=course.id, title="E", questions=questions()),
            lambda tree, item: tree.exam_id and tree.exam_id == item.exam_id,
        ),
        (quizzes_pb2.DeleteExamRequest(course_id=course.id), lambda tree, item: not tree.exam_id and not item.exam_id),
        (quizzes_pb2.DeleteLectureQuizRequest(lecture_id=b), lambda tree, _: not tree.modules[0].lectures[0].quiz_id),
    ):
        assert seen(*await changed(request)), request
    await room.run(UnpublishCourseRequest(course_id=course.id), owner)
    assert not (await room.run(mine)).courses


async def test_another_process_sees_a_change_soon(room: Classroom, author: Caller, database_url: str, redis_url: str) -> None:
    course = await room.course(author)
    async with open_classroom(database_url, redis_url) as other:
        request = ListCoursesRequest(instructor_id=to_text(author.user_id))
        assert (await other.read(course.id)).title == course.title
        before = await other.run(request)
        await room.run(UpdateCourseRequest(course_id=course.id, title="News", description="x"), author)
        async with asyncio.timeout(10):
            while (await other.read(course.id)).title != "News" or await other.run(request) is before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await other.run(request)).courses[0].title == "News"


async def test_the_catalog_tells_learners_what_the_course_holds(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (2, 1), publish=False)
    a, b, _ = lecture_ids(course)
    quiz = await room.run(quizzes_pb2.PutLectureQuizRequest(lecture_id=b, title="Q", questions=questions()), author)
    exam = await room.run(quizzes_pb2.PutExamRequest(course_id=course.id, title="E", questions=questions()), author)
    outline = await room.catalog.outline(to_bytes(course.id))
    assert outline is not None
    assert outline is await room.catalog.outline(to_bytes(course.id))
    assert [to_text(item) for item in outline.lecture_ids] == lecture_ids(course)
    assert [len(module.lectures) for module in outline.modules] == [2, 1]
    assert (outline.quiz_ids, outline.exam_id) == ((to_bytes(quiz.id),), to_bytes(exam.id))
    assert (outline.instructor_id, outline.instructor_name, outline.status) == (
        author.user_id,
        author.display_name,
        courses_pb2.COURSE_STATUS_DRAFT,
    )
    assert outline.message == await room.read(course.id, author)
    assert await room.catalog.outline(new_id()) is None
    assert await room.catalog.course_of_lecture(to_bytes(a)) == to_bytes(course.id)
    assert await room.catalog.course_of_lecture(new_id()) is None
