"""The conventions of the REST door, over a real socket, in front of a core that answers as it is told."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.protobuf import empty_pb2
from google.rpc import code_pb2

from contract.client import Reply
from contract.errors import CallError
from http_gateway.options import GatewayOptions
from skillforge.v1 import courses_pb2, identity_pb2
from tests.unit.http_gateway.gateways import Caller, gateway
from tests.unit.http_gateway.stub_core import StubCore

LIMIT = 2000
COURSE = courses_pb2.Course(id="c1", title="Ångström", etag="v1")


@pytest.fixture
async def core() -> StubCore:
    return StubCore()


@pytest.fixture
async def http(core: StubCore) -> AsyncIterator[Caller]:
    async with gateway(core, GatewayOptions(max_body_bytes=LIMIT)) as caller:
        yield caller


async def test_get_with_path_and_query(http: Caller, core: StubCore) -> None:
    core.answers["ListCourses"] = courses_pb2.ListCoursesResponse(courses=[COURSE], next_page_token="n")
    response = await http("GET", "/courses?pageSize=5&level=COURSE_LEVEL_BEGINNER&free=false&order_by=COURSE_ORDER_TITLE")
    body = response.json
    assert response.status == 200
    assert body["courses"][0]["title"] == "Ångström"
    assert body["nextPageToken"] == "n"
    assert core.last.request == courses_pb2.ListCoursesRequest(
        page_size=5, level=courses_pb2.COURSE_LEVEL_BEGINNER, free=False, order_by=courses_pb2.COURSE_ORDER_TITLE
    )
    assert core.last.timeout == 30.0


async def test_post_takes_body_and_status_of_the_method(http: Caller, core: StubCore) -> None:
    response = await http(
        "POST", "/courses", data=b'{"title":"x"}', headers={"Idempotency-Key": "k", "Authorization": "Bearer t"}
    )
    assert response.status == 201
    assert core.last.request.title == "x"
    assert core.last.metadata["idempotency-key"] == "k"
    assert core.last.metadata["authorization"] == "Bearer t"
    assert core.last.metadata["x-client-ip"] == "127.0.0.1"


async def test_path_variables_override_the_body_and_are_decoded_whole(http: Caller, core: StubCore) -> None:
    await http("PUT", "/courses/a%2Fb%20c", data=b'{"courseId":"other","title":"x"}')
    assert core.last.request == courses_pb2.UpdateCourseRequest(course_id="a/b c", title="x")


async def test_an_empty_body_is_an_empty_request(http: Caller, core: StubCore) -> None:
    assert (await http("POST", "/courses/c1/publish")).status == 200
    assert core.last.request.course_id == "c1"


async def test_reply_metadata_becomes_status_and_headers(http: Caller, core: StubCore) -> None:
    metadata = {
        "x-http-status": "200",
        "ratelimit": '"u";r=1;t=2',
        "ratelimit-policy": '"u";q=9;w=60',
        "idempotency-replayed": "true",
    }
    core.answers["CreateCourse"] = Reply(COURSE, metadata)
    response = await http("POST", "/courses", data=b"{}")
    assert response.status == 200
    assert response.headers["RateLimit"] == '"u";r=1;t=2'
    assert response.headers["RateLimit-Policy"] == '"u";q=9;w=60'
    assert response.headers["Idempotency-Replayed"] == "true"


async def test_no_content_has_neither_body_nor_type(http: Caller, core: StubCore) -> None:
    core.answers["DeleteCourse"] = empty_pb2.Empty()
    response = await http("DELETE", "/courses/c1")
    assert (response.status, response.body) == (204, b"")
    assert "Content-Type" not in response.headers
    assert "Content-Length" not in response.headers


async def test_shared_replies_are_encoded_once_and_still_right(http: Caller, core: StubCore) -> None:
    core.answers["GetCourse"] = Reply(COURSE, {}, shared=True)
    first, second = await http("GET", "/courses/c1"), await http("GET", "/courses/c1")
    assert first.body == second.body
    other = courses_pb2.Course(id="c2")
    core.answers["GetCourse"] = Reply(other, {}, shared=True)
    assert ((await http("GET", "/courses/c2")).json)["id"] == "c2"


async def test_etag_and_if_none_match(http: Caller, core: StubCore) -> None:
    core.answers["GetCourse"] = COURSE
    tag = (await http("GET", "/courses/c1")).headers["ETag"]
    assert tag.startswith('"v1.')
    for given in (tag, f"W/{tag}", f'"v0", {tag}', "*"):
        response = await http("GET", "/courses/c1", headers={"If-None-Match": given})
        assert (response.status, response.body, response.headers["ETag"]) == (304, b"", tag)
    assert (await http("GET", "/courses/c1", headers={"If-None-Match": '"v0"'})).status == 200


async def test_an_etag_tells_what_changed_beside_the_resource_itself(http: Caller, core: StubCore) -> None:
    tags = []
    for count in (1, 2, 1):
        core.answers["GetCourse"] = courses_pb2.Course(id="c1", etag="v1", enrollment_count=count)
        tags.append((await http("GET", "/courses/c1")).headers["ETag"])
    assert tags[0] == tags[2] != tags[1]


async def test_if_match_goes_to_the_core_and_a_mismatch_is_412(http: Caller, core: StubCore) -> None:
    core.answers["UpdateCourse"] = CallError.build(code_pb2.ABORTED, "ETAG_MISMATCH", "It changed.")
    response = await http("PUT", "/courses/c1", data=b"{}", headers={"If-Match": '"v0"'})
    assert response.status == 412
    assert core.last.metadata["if-match"] == '"v0"'


async def test_head_is_get_without_a_body(http: Caller, core: StubCore) -> None:
    core.answers["GetCourse"] = COURSE
    got, head = await http("GET", "/courses/c1"), await http("HEAD", "/courses/c1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.body))
    assert core.last.method.name == "GetCourse"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_X", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("é", False)]
)
async def test_request_ids(http: Caller, core: StubCore, given: str, kept: bool) -> None:
    response = await http("GET", "/auth/me", headers={"X-Request-Id": given})
    assert (response.headers["X-Request-Id"] == given) is kept
    assert core.last.metadata["x-request-id"] == response.headers["X-Request-Id"]
    failed = await http("GET", "/nowhere", headers={"X-Request-Id": given})
    assert failed.json["instance"] == failed.headers["X-Request-Id"]


async def test_security_and_cache_headers(http: Caller, core: StubCore) -> None:
    public = await http("GET", "/courses")
    private = await http("GET", "/courses", headers={"Authorization": "Bearer t"})
    assert public.headers["Cache-Control"] == "no-cache"
    assert private.headers["Cache-Control"] == "no-store"
    assert (await http("GET", "/auth/me")).headers["Cache-Control"] == "no-store"
    for response in (public, await http("GET", "/nowhere")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Server"] == "skillforge"
        assert response.headers["Date"].endswith("GMT")


@pytest.mark.parametrize(
    ("verb", "path", "status", "reason"),
    [
        ("GET", "/nowhere", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/courses/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/courses/%FF", 400, "INVALID_ARGUMENT"),
        ("GET", "/%FF", 400, "INVALID_ARGUMENT"),
        ("GET", "/courses?nobody=1", 400, "UNKNOWN_FIELD"),
        ("GET", "/courses?pageSize=x", 400, "INVALID_ARGUMENT"),
        ("GET", "/courses/c1?courseId=c2", 400, "UNKNOWN_FIELD"),
        ("POST", "/courses/c1/publish?x=1", 400, "UNKNOWN_FIELD"),
        ("PATCH", "/courses", 405, "METHOD_NOT_ALLOWED"),
        ("PROPFIND", "/courses", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/healthz", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_refusals_before_the_core(http: Caller, core: StubCore, verb: str, path: str, status: int, reason: str) -> None:
    response = await http(verb, path)
    body = response.json
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.status, body["status"], body["reason"]) == (status, status, reason)
    assert {"type", "title", "detail", "instance", "code", "violations"} <= body.keys()
    assert not core.calls


async def test_allow_names_every_verb(http: Caller) -> None:
    refused = await http("PATCH", "/courses/c1")
    options = await http("OPTIONS", "/courses/c1")
    assert refused.headers["Allow"] == options.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert options.status == 204


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201), ("application/json; charset=utf-8", 201), ("Application/JSON; Charset=\"UTF-8\"", 201),
        ("application/json; charset=latin-1", 415), ("text/plain", 415), ("application/xml", 415), ("", 415),
    ],
)  # fmt: skip
async def test_content_types(http: Caller, kind: str, status: int) -> None:
    response = await http("POST", "/courses", data=b'{"title":"x"}', headers={"Content-Type": kind})
    assert response.status == status


async def test_a_compressed_body_is_415(http: Caller) -> None:
    response = await http("POST", "/courses", data=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert response.status == 415


async def test_bad_bodies(http: Caller, core: StubCore) -> None:
    malformed = await http("POST", "/courses", data=b"{")
    assert (malformed.status, malformed.json["reason"]) == (400, "MALFORMED_JSON")
    wrong = (await http("POST", "/courses", data=b'{"price":{"amountMinor":"x"}}')).json
    assert [item["field"] for item in wrong["violations"]] == ["price.amountMinor"]
    assert not core.calls


async def test_an_announced_body_over_the_limit_is_refused_unread(http: Caller) -> None:
    head = b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2001\r\n\r\n"
    answer = await http.first_answer(head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert b"BODY_TOO_LARGE" in answer


async def test_a_chunked_body_over_the_limit_is_413(http: Caller, core: StubCore) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 500

    assert (await http("POST", "/courses", data=chunks())).status == 413
    assert (await http("POST", "/courses", data=b" " * (LIMIT - 2) + b"{}")).status == 201
    assert len(core.calls) == 1


async def test_a_chunked_body_within_the_limit_is_read(http: Caller, core: StubCore) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"ti'
        yield b'tle":"x"}'

    assert (await http("POST", "/courses", data=chunks())).status == 201
    assert core.last.request.title == "x"


async def test_a_large_unusual_body_is_decoded_all_the_same(core: StubCore) -> None:
    async with gateway(core) as http:
        notes = "x" * 20_000
        response = await http("POST", "/modules/m/lectures", data=f'{{"title":null,"notes":"{notes}"}}'.encode())
        assert response.status == 201
        assert core.last.request.notes == notes


async def test_expect_continue_is_honoured(http: Caller, core: StubCore) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(
        b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'{"title":"x"}')
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 201 Created\r\n")
    writer.close()
    assert core.last.request.title == "x"


async def test_a_body_that_stops_coming_is_504(core: StubCore) -> None:
    async with gateway(core, GatewayOptions(body_timeout_seconds=0.05)) as http:
        head = b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        assert (await http.first_answer(head)).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_400_problem(http: Caller, request_bytes: bytes) -> None:
    answer = await http.raw(request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


async def test_a_broken_chunked_body_is_400(http: Caller) -> None:
    head = b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert (await http.raw(head)).startswith(b"HTTP/1.1 400 ")


async def test_http_1_0_and_connection_close(http: Caller) -> None:
    assert b"Connection: close" in await http.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    old = await http.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert old.endswith(b'{"status":"ok"}')


async def test_absolute_targets_and_pipelining(http: Caller) -> None:
    request = b"GET http://example/healthz?x HTTP/1.1\r\nHost: example\r\n\r\n"
    answer = await http.raw(request + b"GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_rate_limited_answers_say_when_to_come_back(http: Caller, core: StubCore) -> None:
    error = CallError.build(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", "Slow down.", retry_after=1.2)
    error.metadata["ratelimit"] = '"ip";r=0;t=2'
    core.answers["GetMe"] = error
    response = await http("GET", "/auth/me")
    assert (response.status, response.headers["Retry-After"], response.headers["RateLimit"]) == (429, "2", '"ip";r=0;t=2')


async def test_an_unexpected_error_tells_nothing_but_its_request_id(
    http: Caller, core: StubCore, caplog: pytest.LogCaptureFixture
) -> None:
    core.answers["GetMe"] = RuntimeError("secret")
    with caplog.at_level(logging.ERROR):
        response = await http("GET", "/auth/me", headers={"X-Request-Id": "r-1"})
    body = response.json
    assert (response.status, body["detail"], body["instance"]) == (500, "", "r-1")
    assert b"secret" not in response.body
    record = next(item for item in caplog.records if item.name == "http_gateway")
    assert vars(record)["fields"] == {"request_id": "r-1"}
    assert record.exc_info is not None


async def test_a_header_that_could_split_the_response_is_a_500(http: Caller, core: StubCore) -> None:
    core.answers["GetCourse"] = courses_pb2.Course(etag="a\r\nSet-Cookie: x=1")
    response = await http("GET", "/courses/c1")
    assert response.status == 500
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("headers", "timeout"),
    [
        ({"X-Request-Timeout": "2.5"}, 2.5), ({"X-Request-Timeout": "1000"}, 30.0), ({"grpc-timeout": "500m"}, 0.5),
        ({"grpc-timeout": "2S"}, 2.0),
    ],
)  # fmt: skip
async def test_callers_may_shorten_the_deadline(http: Caller, core: StubCore, headers: dict[str, str], timeout: float) -> None:
    assert (await http("GET", "/auth/me", headers=headers)).status == 200
    assert core.last.timeout == timeout


@pytest.mark.parametrize("value", ["0", "-1", "x", "1e3", ""])
async def test_a_bad_timeout_is_400(http: Caller, value: str) -> None:
    assert (await http("GET", "/auth/me", headers={"X-Request-Timeout": value})).status == 400


@pytest.mark.parametrize(
    ("hops", "header", "address"),
    [
        (0, "9.9.9.9", "127.0.0.1"),
        (1, "9.9.9.9", "9.9.9.9"),
        (1, "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (2, "6.6.6.6, 9.9.9.9", "6.6.6.6"),
        (2, "9.9.9.9", "127.0.0.1"),
        (1, "nonsense", "127.0.0.1"),
        (1, "[2001:db8::1]:80", "2001:db8::1"),
        (1, "9.9.9.9:80", "9.9.9.9"),
    ],
)
async def test_client_address(core: StubCore, hops: int, header: str, address: str) -> None:
    async with gateway(core, GatewayOptions(trusted_proxy_hops=hops)) as http:
        await http("GET", "/auth/me", headers={"X-Forwarded-For": header})
    assert core.last.metadata["x-client-ip"] == address


async def test_raw_bodies_go_both_ways(http: Caller, core: StubCore) -> None:
    event = b'{"id" : 1, "x": "\xff"}'
    signature = {"SkillForge-Signature": "t=1,v1=ab", "Content-Type": "application/x-event"}
    assert (await http("POST", "/payments/webhook", data=event, headers=signature)).status == 200
    assert core.last.request == httpbody_pb2.HttpBody(content_type="application/x-event", data=event)
    assert core.last.metadata["skillforge-signature"] == "t=1,v1=ab"
    pdf = httpbody_pb2.HttpBody(content_type="application/pdf", data=b"%PDF")
    core.answers["DownloadCertificate"] = Reply(pdf, {"content-disposition": 'attachment; filename="c.pdf"'})
    response = await http("GET", "/certificates/SF-1/download")
    assert (response.body, response.headers["Content-Type"]) == (b"%PDF", "application/pdf")
    assert response.headers["Content-Disposition"] == 'attachment; filename="c.pdf"'


async def test_a_client_that_leaves_cancels_its_call(http: Caller, core: StubCore) -> None:
    core.hold = asyncio.Event()
    _, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(b"GET /auth/me HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(core.entered.wait(), 5)
    writer.close()
    await asyncio.wait_for(core.cancelled.wait(), 5)


async def test_a_large_answer_arrives_whole(http: Caller, core: StubCore) -> None:
    courses: Any = [courses_pb2.Course(id=str(number), description="x" * 1000) for number in range(500)]
    core.answers["ListCourses"] = courses_pb2.ListCoursesResponse(courses=courses)
    assert len(((await http("GET", "/courses")).json)["courses"]) == 500


async def test_non_ascii_headers_reach_the_core_as_ascii(http: Caller, core: StubCore) -> None:
    core.answers["GetMe"] = identity_pb2.User(id="u")
    assert (await http("GET", "/auth/me", headers={"User-Agent": "Brøwser"})).status == 200
    assert core.last.metadata["user-agent"].isascii()
