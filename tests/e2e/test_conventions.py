"""What every answer over HTTP keeps to: problems, request ids, methods, bodies, names and times; at both kinds of gateway."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import pytest

from skillforge.v1 import courses_pb2, errors_pb2
from tests.support.world import Person, World

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "reason", "violations"}
NOWHERE = "00000000-0000-0000-0000-000000000007"
JSON = {"Content-Type": "application/json"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")
ORIGIN = "https://app.example.com"


@pytest.fixture(params=["in process", "remote"])
def url(world: World, request: pytest.FixtureRequest) -> str:
    """Each gateway's address in turn."""
    return world.url if request.param == "in process" else world.remote_url


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def course(world: World, teacher: Person) -> courses_pb2.Course:
    return await world.course(teacher, price=4900)  # type: ignore[no-any-return]


class Bad(NamedTuple):
    """A request that is refused, and how. `body` is sent as it is."""

    verb: str
    path: str
    status: int
    code: str
    reason: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    field: str | None = None


COURSE = f"/courses/{NOWHERE}"
BAD = {
    "unknown path": Bad("GET", "/nothing/here", 404, "NOT_FOUND", "ROUTE_NOT_FOUND"),
    "a path that is a prefix": Bad("GET", "/payments/create/x", 404, "NOT_FOUND", "ROUTE_NOT_FOUND"),
    "wrong method": Bad("DELETE", "/courses", 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
    "a method nothing takes": Bad("TRACE", "/courses", 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
    "a method nobody knows": Bad("BREW", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "no such thing": Bad("GET", COURSE, 404, "NOT_FOUND", "NOT_FOUND"),
    "half of a JSON": Bad("POST", "/courses", 400, "INVALID_ARGUMENT", "MALFORMED_JSON", b'{"title": "T"', JSON),
    "not UTF-8": Bad("POST", "/courses", 400, "INVALID_ARGUMENT", "MALFORMED_JSON", b'{"title": "\xff"}', JSON),
    "a list": Bad("POST", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", b"[]", JSON, ""),
    "an unknown field": Bad("POST", "/courses", 400, "INVALID_ARGUMENT", "UNKNOWN_FIELD", b'{"name": "T"}', JSON, "name"),
    "an unknown inner field": Bad(
        "POST", "/courses", 400, "INVALID_ARGUMENT", "UNKNOWN_FIELD",
        b'{"title": "T", "price": {"cents": 1}}', JSON, "price.cents",
    ),
    "text for a number": Bad(
        "POST", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT",
        b'{"title": "T", "price": {"amountMinor": "much", "currency": "USD"}}', JSON, "price.amountMinor",
    ),
    "a number too great": Bad(
        "POST", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT",
        b'{"title": "T", "price": {"amountMinor": 2147483648, "currency": "USD"}}', JSON, "price.amountMinor",
    ),
    "an enum's wrong name": Bad(
        "POST", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", b'{"title": "T", "level": "EASY"}', JSON, "level"
    ),
    "a broken rule": Bad("POST", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", b'{"title": ""}', JSON, "title"),
    "an unknown parameter": Bad("GET", "/courses?size=1", 400, "INVALID_ARGUMENT", "UNKNOWN_FIELD", field="size"),
    "text for a size": Bad("GET", "/courses?pageSize=x", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field="pageSize"),
    "a parameter twice": Bad("GET", "/courses?tag=a&tag=b", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field="tag"),
    "a parameter beside a body": Bad("POST", "/courses?title=T", 400, "INVALID_ARGUMENT", "UNKNOWN_FIELD", b"{}", JSON, "title"),
    "an id that is none": Bad("GET", "/courses/1", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field="courseId"),
    "a form": Bad(
        "POST", "/courses", 415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE", b"title=T",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    "another charset": Bad(
        "POST", "/courses", 415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE", b"{}",
        {"Content-Type": "application/json; charset=utf-16"},
    ),
    "a compressed body": Bad(
        "POST", "/courses", 415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE", b"{}", {**JSON, "Content-Encoding": "gzip"}
    ),
    "a body over the limit": Bad("POST", "/courses", 413, "INVALID_ARGUMENT", "BODY_TOO_LARGE", b" " * (1024 * 1024 + 1), JSON),
    "a bad timeout": Bad("GET", "/courses", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", headers={"X-Request-Timeout": "soon"}),
    "a bad page token": Bad("GET", "/courses?pageToken=x", 400, "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", field="pageToken"),
}  # fmt: skip


def check_problem(status: int, headers: dict[str, str], problem: Any) -> None:
    """It has every member of a problem, in the right form."""
    assert headers["content-type"] == "application/problem+json"
    assert set(problem) == MEMBERS
    assert problem["status"] == status
    assert problem["instance"] == headers["x-request-id"]
    assert re.fullmatch("/problems/[a-z-]+", problem["type"])
    assert problem["title"]
    assert problem["detail"]
    assert f"ERROR_REASON_{problem['reason']}" in reasons()
    assert all(set(item) == {"field", "rule", "description"} for item in problem["violations"])


def reasons() -> set[str]:
    return set(errors_pb2.ErrorReason.keys())


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request_is_a_problem(world: World, url: str, teacher: Person, name: str) -> None:
    bad = BAD[name]
    status, headers, problem = await world.request(
        bad.verb, bad.path, url=url, person=teacher, data=bad.body, headers=dict(bad.headers)
    )
    check_problem(status, headers, problem)
    assert (status, problem["code"], problem["reason"]) == (bad.status, bad.code, bad.reason)
    assert [item["field"] for item in problem["violations"]] == ([] if bad.field is None else [bad.field])
    if status == 405:
        assert headers["allow"].split(", ") == ["GET", "HEAD", "OPTIONS", "POST"]


async def test_checks_come_in_their_order(world: World, url: str, teacher: Person) -> None:
    """Authenticated, allowed, valid, exists: a caller learns nothing about what it may not see."""
    student = await world.person()
    bad: dict[str, Any] = {"json": {"title": ""}}
    assert (await world.request("PUT", COURSE, url=url, **bad))[2]["reason"] == "TOKEN_MISSING"
    assert (await world.request("PUT", COURSE, url=url, person=student, **bad))[2]["reason"] == "ROLE_NOT_ALLOWED"
    assert (await world.request("PUT", COURSE, url=url, person=teacher, **bad))[2]["reason"] == "INVALID_ARGUMENT"
    good: dict[str, Any] = {"json": {"title": "T"}}
    assert (await world.request("PUT", COURSE, url=url, person=teacher, **good))[2]["reason"] == "NOT_FOUND"


async def test_all_wrong_fields_are_told_at_once(world: World, url: str, teacher: Person) -> None:
    body = {"title": " ", "tags": ["ok", " "], "language": "!", "price": {"amountMinor": -1, "currency": "us"}}
    status, _, problem = await world.request("POST", "/courses", url=url, person=teacher, json=body)
    fields = {item["field"] for item in problem["violations"]}
    assert (status, fields) == (400, {"title", "tags[1]", "language", "price.amountMinor", "price.currency"})


async def test_a_request_without_a_good_token_is_asked_to_sign_in(world: World, url: str) -> None:
    expired = world.fakes.clerk.mint("user_x", seconds=-60)
    for value, reason in (
        (None, "TOKEN_MISSING"),
        ("Bearer x", "TOKEN_INVALID"),
        ("Basic eDp5", "TOKEN_INVALID"),
        ("Bearer", "TOKEN_INVALID"),
        (f"Bearer {expired}", "TOKEN_EXPIRED"),
    ):
        headers = {"Authorization": value} if value else {}
        status, answered, problem = await world.request("GET", "/auth/me", url=url, headers=headers)
        assert (status, problem["code"], problem["reason"]) == (401, "UNAUTHENTICATED", reason)
        assert answered["www-authenticate"] == 'Bearer realm="skillforge"'


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123_x.Y", True), ("x" * 128, True), (None, False), ("x" * 129, False), ("a b", False), ("<script>", False)],
)
async def test_request_ids_are_taken_or_made(world: World, url: str, given: str | None, kept: bool) -> None:
    headers = {"X-Request-Id": given} if given is not None else {}
    _, good, _ = await world.request("GET", "/courses", url=url, headers=headers)
    _, bad, problem = await world.request("GET", "/nothing", url=url, headers=headers)
    assert problem["instance"] == bad["x-request-id"]
    for answered in (good, bad):
        assert answered["x-request-id"] == given if kept else re.fullmatch("[0-9a-f]{24}", answered["x-request-id"])


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_an_unexpected_error_tells_nothing_but_its_request_id(
    world: World, door: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("core.courses.queries.lecture", broken)
    request_id = uuid.uuid4().hex
    with caplog.at_level(logging.ERROR):
        outcome = await world.doors[door].call(
            "GetLecture", courses_pb2.GetLectureRequest(lecture_id=NOWHERE), x_request_id=request_id
        )
    assert (outcome.code, outcome.reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in repr(outcome)
    [line] = [record for record in caplog.records if record.name == "skillforge.rpc"]
    assert line.exc_info is not None
    assert "the secret of the house" in str(line.exc_info[1])
    assert line.__dict__["fields"]["request_id"] == request_id


async def test_json_is_the_canonical_mapping(world: World, url: str, teacher: Person, course: courses_pb2.Course) -> None:
    """Lower camel case, enum names, whole numbers for prices, RFC 3339 times; what is empty is printed all the same."""
    status, headers, shown = await world.request("GET", f"/courses/{course.id}", url=url)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert shown["price"] == {"amountMinor": 4900, "currency": "USD"}
    assert (shown["status"], shown["level"]) == ("COURSE_STATUS_PUBLISHED", "COURSE_LEVEL_UNSPECIFIED")
    assert (shown["tags"], shown["language"], shown["enrollmentCount"]) == ([], "", 0)
    assert all(RFC_3339.fullmatch(shown[name]) for name in ("createTime", "updateTime", "publishTime"))
    lecture = shown["modules"][0]["lectures"][0]
    assert (lecture["preview"], lecture["hasNotes"], lecture["quizId"], lecture["durationSeconds"]) == (False, True, "", 100)
    assert not {"video", "notes"} & set(lecture)
    draft = (await world.request("POST", "/courses", url=url, person=teacher, json={"title": "T"}))[2]
    assert "publishTime" not in draft


async def test_names_as_in_the_proto_file_and_enum_numbers_are_taken_too(world: World, url: str, teacher: Person) -> None:
    body = {"title": "T", "price": {"amount_minor": 100, "currency": "EUR"}, "level": 2}
    _, _, made = await world.request("POST", "/courses", url=url, person=teacher, json=body)
    assert (made["price"]["amountMinor"], made["level"]) == (100, "COURSE_LEVEL_INTERMEDIATE")
    status, _, listed = await world.request("GET", "/courses?page_size=1&mine=true", url=url, person=teacher)
    assert (status, len(listed["courses"])) == (200, 1)


async def test_head_is_get_without_a_body(world: World, url: str, course: courses_pb2.Course) -> None:
    path = f"/courses/{course.id}"
    _, got, body = await world.request("GET", path, url=url)
    status, headers, nothing = await world.request("HEAD", path, url=url)
    assert (status, nothing) == (200, b"")
    for name in ("content-type", "content-length", "etag"):
        assert headers[name] == got[name]
    assert body["id"] == course.id
    assert (await world.request("HEAD", COURSE, url=url))[0] == 404


async def test_pages_of_allowed_origins_may_call(world: World, url: str) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    status, headers, _ = await world.request("OPTIONS", "/courses", url=url, headers=asked)
    assert (status, headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert "POST" in headers["access-control-allow-methods"]
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-Id"):
        assert name in headers["access-control-allow-headers"]
    _, headers, _ = await world.request("GET", "/nothing", url=url, headers={"Origin": ORIGIN})
    assert (headers["access-control-allow-origin"], headers["vary"]) == (ORIGIN, "Origin")
    assert "ETag" in headers["access-control-expose-headers"]
    asked["Origin"] = "https://evil.example.com"
    _, headers, _ = await world.request("OPTIONS", "/courses", url=url, headers=asked)
    assert not {"access-control-allow-origin", "access-control-allow-methods"} & set(headers)


async def test_a_body_without_an_end_does_not_hold_the_limit_up(world: World, url: str, teacher: Person) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65536

    headers = {**teacher.headers, **JSON}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/courses", data=endless(), headers=headers) as response:
        assert (response.status, (await response.json(content_type=None))["reason"]) == (413, "BODY_TOO_LARGE")


async def test_it_says_whether_it_lives_and_is_ready(world: World, url: str) -> None:
    assert (await world.request("GET", "/healthz", url=url))[::2] == (200, {"status": "ok"})
    status, _, ready = await world.request("GET", "/readyz", url=url)
    assert (status, ready["status"]) == (200, "ok")
    assert ready["parts"] == {"mysql": "ok", "migrations": "ok", "redis": "ok"}
