"""Courses as a service on a real database: authoring, publishing, reading, lists, and what races may not break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.call import Caller
from core.errors import Conflict, FailedPrecondition, InvalidArgument, NotAllowed, NotFound, Unauthenticated
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import courses_pb2, enrollments_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import (
    Course,
    CreateCourseRequest,
    CreateLectureRequest,
    CreateModuleRequest,
    DeleteCourseRequest,
    DeleteLectureRequest,
    DeleteModuleRequest,
    GetCourseRequest,
    GetLectureRequest,
    ModuleOrder,
    Money,
    PublishCourseRequest,
    UnpublishCourseRequest,
    UpdateCourseRequest,
    UpdateLectureRequest,
    UpdateModuleRequest,
    UpdateOutlineRequest,
)
from tests.support.classroom import Classroom, lecture_ids, open_classroom, questions, refused

DRAFT, PUBLISHED, ARCHIVED = (
    courses_pb2.COURSE_STATUS_DRAFT,
    courses_pb2.COURSE_STATUS_PUBLISHED,
    courses_pb2.COURSE_STATUS_ARCHIVED,
)


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


@pytest.fixture(scope="module")
async def admin(room: Classroom) -> Caller:
    return await room.person("ADMIN")


def shape(course: Course) -> list[tuple[str, list[str]]]:
    """The outline's ids; checks that positions are counted from 1 without gaps."""
    for place, module in enumerate(course.modules, 1):
        assert module.position == place
        assert [lecture.position for lecture in module.lectures] == list(range(1, len(module.lectures) + 1))
    assert course.lecture_count == len(lecture_ids(course))
    return [(module.id, [lecture.id for lecture in module.lectures]) for module in course.modules]


async def test_a_draft_holds_what_was_given(room: Classroom, author: Caller) -> None:
    course = await room.run(
        CreateCourseRequest(
            title="Ångström 😀",
            description="李小龙 'quoted' \\ and % _",
            price=Money(amount_minor=4900, currency="EUR"),
            tags=["Physics", "физика", "physics"],
            level=courses_pb2.COURSE_LEVEL_ADVANCED,
            language="zh-Hans",
        ),
        author,
    )
    assert await room.read(course.id, author) == course
    assert (course.title, course.description) == ("Ångström 😀", "李小龙 'quoted' \\ and % _")
    assert (course.price.amount_minor, course.price.currency) == (4900, "EUR")
    assert list(course.tags) == ["Physics", "физика"]
    assert (course.level, course.language, course.status) == (3, "zh-Hans", DRAFT)
    assert (course.instructor.id, course.instructor.display_name) == (to_text(author.user_id), author.display_name)
    assert (course.etag, course.lecture_count, course.enrollment_count, course.exam_id) == ("1", 0, 0, "")
    assert course.create_time.ToDatetime() == room.now
    assert not course.HasField("publish_time")


async def test_left_out_a_price_is_free(room: Classroom, author: Caller) -> None:
    course = await room.run(CreateCourseRequest(title="Free"), author)
    assert (course.price.amount_minor, course.price.currency) == (0, "USD")
    wrong = CreateCourseRequest(title="X", price=Money(amount_minor=1, currency="XYZ"))
    assert await refused(InvalidArgument, "INVALID_ARGUMENT", room.run(wrong, author)) == ["price.currency iso4217"]


async def test_tags_the_database_holds_for_equal_are_merged(room: Classroom, author: Caller) -> None:
    course = await room.run(CreateCourseRequest(title="Tags", tags=["cafe", "café", "tea"]), author)
    assert list(course.tags) == ["cafe", "tea"]


async def test_an_update_replaces_everything(room: Classroom, author: Caller) -> None:
    course = await room.run(CreateCourseRequest(title="Old", description="Old", tags=["a", "b"], language="en"), author)
    room.later(seconds=1)
    updated = await room.run(UpdateCourseRequest(course_id=course.id, title="New", tags=["c"]), author)
    assert (updated.title, updated.description, list(updated.tags), updated.language) == ("New", "", ["c"], "")
    assert updated.etag == "2"
    assert updated.update_time.ToDatetime() == room.now
    assert updated.create_time == course.create_time
    assert await room.read(course.id, author) == updated


async def test_a_stale_write_changes_nothing(room: Classroom, author: Caller) -> None:
    course = await room.course(author, publish=False)
    update = UpdateCourseRequest(course_id=course.id, title="Newer", description="About it")
    assert (await room.run(update, author, if_match=f'"{course.etag}"')).etag == "2"
    stale = UpdateCourseRequest(course_id=course.id, title="Stale", description="About it")
    outline = UpdateOutlineRequest(course_id=course.id, modules=order(shape(course)))
    for request in (
        stale,
        outline,
        PublishCourseRequest(course_id=course.id),
        UnpublishCourseRequest(course_id=course.id),
        DeleteCourseRequest(course_id=course.id),
    ):
        for etag in ('"1"', "1", '"x"', "", '"3"'):
            await refused(Conflict, "ETAG_MISMATCH", room.run(request, author, if_match=etag))
    assert (await room.read(course.id, author)).title == "Newer"
    assert (await room.run(stale, author, if_match="*")).title == "Stale"


async def test_of_simultaneous_writes_with_one_etag_one_wins(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (), publish=False)
    requests = [UpdateCourseRequest(course_id=course.id, title=f"Writer {number}") for number in range(8)]
    results = await asyncio.gather(*(room.run(request, author, if_match='"1"') for request in requests), return_exceptions=True)
    won = [result for result in results if isinstance(result, Course)]
    assert len(won) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not won[0])
    assert (await room.read(course.id, author)).title == won[0].title


async def test_nobody_else_finds_a_draft(room: Classroom, author: Caller, student: Caller, admin: Caller) -> None:
    course = await room.course(author, publish=False)
    other = await room.person("INSTRUCTOR")
    module, lecture = course.modules[0].id, course.modules[0].lectures[0].id
    unknown = to_text(new_id())
    texts = set()
    for course_id, module_id, lecture_id in ((course.id, module, lecture), (unknown, unknown, unknown)):
        for request in (
            UpdateCourseRequest(course_id=course_id, title="Mine"),
            DeleteCourseRequest(course_id=course_id),
            PublishCourseRequest(course_id=course_id),
            UnpublishCourseRequest(course_id=course_id),
            UpdateOutlineRequest(course_id=course_id),
            CreateModuleRequest(course_id=course_id, title="Mine"),
            UpdateModuleRequest(module_id=module_id, title="Mine"),
            DeleteModuleRequest(module_id=module_id),
            CreateLectureRequest(module_id=module_id, title="Mine"),
            UpdateLectureRequest(lecture_id=lecture_id, title="Mine"),
            DeleteLectureRequest(lecture_id=lecture_id),
            GetCourseRequest(course_id=course_id),
            GetLectureRequest(lecture_id=lecture_id),
        ):
            with pytest.raises(NotFound) as caught:
                await room.run(request, other)
            texts.add((type(request), caught.value.detail))
    assert len(texts) == 13  # nothing tells another's from what is not there
    for viewer in (None, student):
        await refused(NotFound, "NOT_FOUND", room.read(course.id, viewer))
        await refused(NotFound, "NOT_FOUND", room.run(GetLectureRequest(lecture_id=lecture), viewer))
    assert await room.read(course.id, admin) == await room.read(course.id, author) == course


async def test_publishing_names_everything_missing(room: Classroom, author: Caller) -> None:
    course = await room.run(CreateCourseRequest(title="Bare"), author)
    publish = PublishCourseRequest(course_id=course.id)
    reason = "COURSE_NOT_PUBLISHABLE"
    assert await refused(FailedPrecondition, reason, room.run(publish, author)) == ["description required", "modules required"]
    await room.run(UpdateCourseRequest(course_id=course.id, title="Bare", description="Yes"), author)
    full, _ = [await room.run(CreateModuleRequest(course_id=course.id, title=title), author) for title in ("One", "Two")]
    empty = await room.run(CreateLectureRequest(module_id=full.id, title="Empty", notes=" \n"), author)
    await room.lecture(author, full.id)
    await room.run(quizzes_pb2.PutLectureQuizRequest(lecture_id=empty.id, title="Empty"), author)
    await room.run(quizzes_pb2.PutExamRequest(course_id=course.id, title="Empty"), author)
    assert await refused(FailedPrecondition, reason, room.run(publish, author)) == [
        "modules[0].lectures[0] content",
        "modules[0].lectures[0].quizId questions",
        "modules[1].lectures required",
        "examId questions",
    ]
    assert (await room.read(course.id, author)).status == DRAFT


async def test_a_course_is_published_taken_back_and_archived(room: Classroom, author: Caller) -> None:
    course = await room.course(author)
    assert (course.status, course.etag, course.publish_time.ToDatetime()) == (PUBLISHED, "2", room.now)
    assert (await room.run(PublishCourseRequest(course_id=course.id), author)).etag == "2"
    assert await room.read(course.id) == course
    draft = await room.run(UnpublishCourseRequest(course_id=course.id), author)
    assert (draft.status, draft.etag, draft.HasField("publish_time")) == (DRAFT, "3", False)
    await refused(NotFound, "NOT_FOUND", room.read(course.id))
    assert (await room.run(UnpublishCourseRequest(course_id=course.id), author)).etag == "3"
    for _ in range(2):
        await room.run(DeleteCourseRequest(course_id=course.id), author)
    archived = await room.read(course.id, author)
    assert (archived.status, archived.etag) == (ARCHIVED, "4")
    for request in (PublishCourseRequest(course_id=course.id), UnpublishCourseRequest(course_id=course.id)):
        await refused(FailedPrecondition, "COURSE_ARCHIVED", room.run(request, author))


async def test_enrolled_students_keep_their_access(room: Classroom, author: Caller) -> None:
    course = await room.course(author)
    enrolled, ended = await room.person(), await room.person()
    await room.enroll(enrolled, course.id)
    await room.enroll(ended, course.id, enrollments_pb2.ENROLLMENT_STATUS_ENDED)
    lecture = GetLectureRequest(lecture_id=lecture_ids(course)[0])
    await refused(NotAllowed, "NOT_ENROLLED", room.run(lecture, ended))
    for change in (UnpublishCourseRequest(course_id=course.id), DeleteCourseRequest(course_id=course.id)):
        await room.run(change, author)
        assert (await room.read(course.id, enrolled)).id == course.id
        assert (await room.run(lecture, enrolled)).notes == "Read this."
        await refused(NotFound, "NOT_FOUND", room.read(course.id, ended))
        await refused(NotFound, "NOT_FOUND", room.run(lecture, ended))


async def test_who_may_read_a_lecture(room: Classroom, author: Caller, student: Caller, admin: Caller) -> None:
    course = await room.course(author, (2,), publish=False)
    open_one = await room.lecture(author, course.modules[0].id, title="Trailer", preview=True)
    closed = GetLectureRequest(lecture_id=lecture_ids(course)[0])
    preview = GetLectureRequest(lecture_id=open_one.id)
    await refused(NotFound, "NOT_FOUND", room.run(preview))  # nothing of a draft is open
    await room.run(PublishCourseRequest(course_id=course.id), author)
    assert await room.run(preview) == await room.run(preview, student) == open_one
    await refused(Unauthenticated, "TOKEN_MISSING", room.run(closed))
    await refused(NotAllowed, "NOT_ENROLLED", room.run(closed, student))
    for viewer in (author, admin):
        lecture = await room.run(closed, viewer)
        assert (lecture.video.url, lecture.notes, lecture.position) == ("https://videos.example.com/1.mp4", "Read this.", 1)


async def test_no_course_ever_shows_videos_or_notes(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (), publish=False)
    module = await room.run(CreateModuleRequest(course_id=course.id, title="M"), author)
    video = courses_pb2.Video(url="https://secret.example.com/v", duration_seconds=5)
    await room.lecture(author, module.id, video=video, notes="secret notes")
    course = await room.run(PublishCourseRequest(course_id=course.id), author)
    assert b"secret" not in course.SerializeToString()
    [lecture] = course.modules[0].lectures
    assert (lecture.duration_seconds, lecture.has_notes, lecture.preview, lecture.quiz_id) == (5, True, False, "")


async def test_a_lecture_is_replaced_under_its_own_etag(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    before = await room.run(GetLectureRequest(lecture_id=lecture_id), author)
    await room.read(course.id)
    update = UpdateLectureRequest(lecture_id=lecture_id, title="Renamed", notes="# New")
    after = await room.run(update, author, if_match='"1"')
    assert (after.title, after.notes, after.HasField("video"), after.etag) == ("Renamed", "# New", False, "2")
    assert (after.position, after.module_id) == (before.position, before.module_id)
    for request in (update, DeleteLectureRequest(lecture_id=lecture_id)):
        await refused(Conflict, "ETAG_MISMATCH", room.run(request, author, if_match='"1"'))
    seen = await room.read(course.id)
    assert (seen.modules[0].lectures[0].title, seen.etag) == ("Renamed", course.etag)


async def test_deleting_leaves_no_gaps_and_no_history_behind(room: Classroom, author: Caller, student: Caller) -> None:
    course = await room.course(author, (3, 1, 2))
    await room.enroll(student, course.id)
    await room.complete(student, course)
    (first, [a, b, c]), (second, [d]), (third, [e, f]) = shape(course)
    quiz = await room.run(quizzes_pb2.PutLectureQuizRequest(lecture_id=b, title="Q", questions=questions()), author)
    assert await room.catalog.course_of_lecture(to_bytes(b)) == to_bytes(course.id)
    await room.run(DeleteLectureRequest(lecture_id=b), author)
    await room.run(DeleteModuleRequest(module_id=second), author)
    after = await room.read(course.id)
    assert shape(after) == [(first, [a, c]), (third, [e, f])]
    assert await room.catalog.course_of_lecture(to_bytes(b)) is None
    await refused(NotFound, "NOT_FOUND", room.run(GetLectureRequest(lecture_id=d), author))
    await refused(NotFound, "NOT_FOUND", room.run(quizzes_pb2.GetQuizRequest(quiz_id=quiz.id), author))
    assert await room.value("SELECT COUNT(*) FROM quiz_versions WHERE quiz_id = %s", to_bytes(quiz.id)) == 1
    assert await room.value("SELECT COUNT(*) FROM lecture_progress WHERE course_id = %s", to_bytes(course.id)) == 6
    stored = await room.db.fetch_all("SELECT position FROM lectures WHERE module_id = %s ORDER BY position", (to_bytes(first),))
    assert [row[0] for row in stored] == [1, 2]
    stored = await room.db.fetch_all(
        "SELECT position FROM modules WHERE course_id = %s ORDER BY position", (to_bytes(course.id),)
    )
    assert [row[0] for row in stored] == [1, 2]


async def test_modules_are_renamed_and_read_their_place(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (), publish=False)
    one, two = [await room.run(CreateModuleRequest(course_id=course.id, title=title), author) for title in ("One", "Two")]
    assert (one.course_id, one.title, one.position, two.position) == (course.id, "One", 1, 2)
    renamed = await room.run(UpdateModuleRequest(module_id=two.id, title="Zwei"), author)
    assert (renamed.id, renamed.title, renamed.position) == (two.id, "Zwei", 2)


def order(modules: list[tuple[str, list[str]]]) -> list[ModuleOrder]:
    return [ModuleOrder(module_id=module_id, lecture_ids=ids) for module_id, ids in modules]


async def test_the_outline_is_reordered_across_modules(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (3, 1, 2))
    (first, [a, b, c]), (second, [d]), (third, [e, f]) = shape(course)
    wanted = [(third, [c, a]), (first, []), (second, [f, d, b, e])]
    after = await room.run(UpdateOutlineRequest(course_id=course.id, modules=order(wanted)), author)
    assert shape(after) == wanted
    assert after.etag == "3"
    assert await room.read(course.id) == after
    new = await room.lecture(author, second)
    assert new.position == 5


async def test_an_outline_that_is_no_permutation_is_refused(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (2, 1))
    (first, [a, b]), (second, [c]) = shape(course)
    other = to_text(new_id())
    wrong = order([(first, [a, other]), (first, [a])])
    request = UpdateOutlineRequest(course_id=course.id, modules=wrong)
    assert await refused(InvalidArgument, "OUTLINE_NOT_A_PERMUTATION", room.run(request, author)) == [
        "modules[1].moduleId repeated",
        "modules missing",
        "modules[0].lectureIds[1] extra",
        "modules[1].lectureIds[0] repeated",
        "modules missing",
        "modules missing",
    ]
    assert shape(await room.read(course.id, author)) == [(first, [a, b]), (second, [c])]


async def test_limits(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,), publish=False)
    module_id = course.modules[0].id
    rows = [(new_id(), to_bytes(course.id), "Many", position, room.now) for position in range(2, 101)]
    await room.db.transact(lambda tx: tx.insert_many("INSERT INTO modules VALUES (%s, %s, %s, %s, %s)", rows))
    create_module = CreateModuleRequest(course_id=course.id, title="Too many")
    await refused(FailedPrecondition, "LIMIT_REACHED", room.run(create_module, author))
    await room.db.execute("UPDATE courses SET lecture_count = 500 WHERE id = %s", (to_bytes(course.id),))
    create_lecture = CreateLectureRequest(module_id=module_id, title="Too many")
    await refused(FailedPrecondition, "LIMIT_REACHED", room.run(create_lecture, author))


async def test_simultaneous_changes_keep_the_outline_whole(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (4, 4), publish=False)
    (first, [a, b, *_]), (second, _) = shape(course)
    changes = [
        *(CreateLectureRequest(module_id=module_id, title="New") for module_id in (first, second) for _ in range(4)),
        *(CreateModuleRequest(course_id=course.id, title="New") for _ in range(4)),
        DeleteLectureRequest(lecture_id=a),
        DeleteLectureRequest(lecture_id=b),
        UpdateOutlineRequest(course_id=course.id, modules=order(shape(course))),
    ]
    results = await asyncio.gather(*(room.run(change, author) for change in changes), return_exceptions=True)
    unexpected = [result for result in results if isinstance(result, BaseException) and not isinstance(result, InvalidArgument)]
    assert not unexpected
    after = await room.read(course.id, author)
    assert len(lecture_ids(after)) == 14
    assert len(shape(after)) == 6
    for table, parent, parent_id in (("lectures", "module_id", first), ("modules", "course_id", course.id)):
        sql = f"SELECT position FROM {table} WHERE {parent} = %s ORDER BY position"
        positions = [row[0] for row in await room.db.fetch_all(sql, (to_bytes(parent_id),))]
        assert positions == list(range(1, len(positions) + 1))


async def test_a_deleted_module_takes_no_lectures(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1, 1), publish=False)
    module_id = course.modules[0].id
    results = await asyncio.gather(
        room.run(DeleteModuleRequest(module_id=module_id), author),
        *(room.run(CreateLectureRequest(module_id=module_id, title="Late"), author) for _ in range(4)),
        return_exceptions=True,
    )
    assert all(isinstance(item, NotFound | courses_pb2.Lecture) for item in results[1:])
    after = await room.read(course.id, author)
    assert len(shape(after)) == 1
