"""Families through every door: a code, a link, what a parent sees, and its end; and that guessing codes is slow."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cli.servers import LocalServers
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, families_pb2, identity_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World, right_answers, running_world

DOORS = ["grpc", "rest", "remote"]


async def link(world: World, parent: Person, child: Person) -> families_pb2.FamilyLink:
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), child)
    return await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), parent)  # type: ignore[no-any-return]


@pytest.mark.parametrize("door", DOORS)
async def test_a_family(world: World, door: str) -> None:
    teacher, child, parent = await world.person("INSTRUCTOR"), await world.person(), await world.person("PARENT")
    course = await world.course(teacher, lectures=1)
    lecture_id = course.modules[0].lectures[0].id
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), child)
    await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture_id), child)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), child)
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    await world.call("SubmitAttempt", submit, child)
    gate = world.doors[door]

    code = (await gate.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), child.token)).message.code
    linked = await gate.call("LinkChild", families_pb2.LinkChildRequest(code=code), parent.token)
    assert linked.ok, linked
    assert (linked.message.child_id, linked.message.parent_id) == (child.id, parent.id)
    again = await gate.call("LinkChild", families_pb2.LinkChildRequest(code=code), parent.token)
    assert (again.code, again.reason, again.fields) == ("INVALID_ARGUMENT", "LINK_CODE_INVALID", ["code"])
    children = (await gate.call("ListChildren", families_pb2.ListChildrenRequest(), parent.token)).message.children
    parents = (await gate.call("ListParents", families_pb2.ListParentsRequest(), child.token)).message.parents
    assert list(children) == list(parents) == [linked.message]

    request = families_pb2.ListChildProgressRequest(child_id=child.id)
    [item] = (await gate.call("ListChildProgress", request, parent.token)).message.courses
    assert (item.course_id, item.percent, bool(item.certificate_id)) == (course.id, 100, True)
    download = certificates_pb2.DownloadCertificateRequest(certificate_id=item.certificate_id)
    assert (await gate.call("DownloadCertificate", download, parent.token)).message.data.startswith(b"%PDF")
    seen = await gate.call("GetAttempt", quizzes_pb2.GetAttemptRequest(attempt_id=attempt.id), parent.token)
    assert (seen.message.student_id, seen.message.percent) == (child.id, 100)
    lecture = courses_pb2.GetLectureRequest(lecture_id=lecture_id)
    assert (await gate.call("GetLecture", lecture, parent.token)).message.notes == "Read this."

    ended = await gate.call("UnlinkParent", families_pb2.UnlinkParentRequest(parent_id=parent.id), child.token)
    assert ended.ok, ended
    assert (await gate.call("ListChildProgress", request, parent.token)).code == "NOT_FOUND"
    assert (await gate.call("DownloadCertificate", download, parent.token)).code == "NOT_FOUND"
    assert (await gate.call("GetLecture", lecture, parent.token)).reason == "NOT_ENROLLED"


async def test_routes_and_statuses(world: World) -> None:
    child, parent = await world.person(), await world.person("PARENT")
    status, _, code = await world.request("POST", "/families/link-codes", person=child, json={})
    assert (status, sorted(code)) == (200, ["code", "expireTime"])
    key = {"Idempotency-Key": "families-1"}
    for replayed in (None, "true"):
        status, headers, linked = await world.request(
            "POST", "/families/children", person=parent, json={"code": code["code"]}, headers=key
        )
        assert (status, linked["childId"], headers.get("idempotency-replayed")) == (201, child.id, replayed)
    status, _, listed = await world.request("GET", "/families/children", person=parent)
    assert (status, listed) == (200, {"children": [linked], "nextPageToken": ""})
    for path in ("progress", "certificates", "attempts"):
        status, _, _ = await world.request("GET", f"/families/children/{child.id}/{path}", person=parent)
        assert status == 200
    assert (await world.request("DELETE", f"/families/children/{child.id}", person=parent))[0] == 204
    assert (await world.request("DELETE", f"/families/children/{child.id}", person=parent))[0] == 404
    assert (await world.request("DELETE", f"/families/parents/{parent.id}", person=child))[0] == 404
    status, _, listed = await world.request("GET", "/families/parents", person=child)
    assert (status, listed) == (200, {"parents": [], "nextPageToken": ""})


async def test_a_suspended_parent_sees_nothing(world: World) -> None:
    child, parent, admin = await world.person(), await world.person("PARENT"), await world.person("ADMIN")
    await link(world, parent, child)
    path = f"/families/children/{child.id}/progress"
    assert (await world.request("GET", path, person=parent))[0] == 200
    suspended = identity_pb2.UpdateUserRequest(user_id=parent.id, status=identity_pb2.USER_STATUS_SUSPENDED)
    await world.call("UpdateUser", suspended, admin)
    assert (await world.request("GET", path, person=parent))[0] == 403


async def test_guesses_are_limited(database_url: str, servers: LocalServers, worker_number: int) -> None:
    """Right and wrong ones count alike, through all doors together."""
    own_redis_url = servers.redis_url(40 + worker_number)
    async with running_world(database_url, own_redis_url, RATE_LIMIT_GUESSES="10/900") as world:
        child, parent = await world.person(), await world.person("PARENT")
        await link(world, parent, child)
        guesses = [families_pb2.LinkChildRequest(code=f"AAAA-{number:04}") for number in range(20)]
        answers = await asyncio.gather(
            *(world.doors[DOORS[number % 3]].call("LinkChild", guess, parent.token) for number, guess in enumerate(guesses))
        )
        assert Counter(answer.reason for answer in answers) == {"LINK_CODE_INVALID": 9, "RATE_LIMITED": 11}
        code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), child)
        status, headers, _ = await world.request("POST", "/families/children", person=parent, json={"code": code.code})
        assert (status, headers["ratelimit-policy"]) == (429, '"guesses";q=10;w=900')
        assert 0 < int(headers["retry-after"]) <= 90
        assert (await world.request("GET", "/families/children", person=parent))[0] == 200
        other = await world.person("PARENT")
        assert (await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), other)).parent_id == other.id
