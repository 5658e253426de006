"""What the door serves beside the contract's methods: CORS, system endpoints, pages, other rooms, streams, draining."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from contract.errors import CallError
from contract.methods import load_methods
from http_gateway import door
from http_gateway.encoded_cache import Encoded, EncodedCache
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import prefers_html
from http_gateway.pages.certificate_views import certificate_page
from skillforge.v1 import certificates_pb2, courses_pb2
from tests.unit.http_gateway.gateways import gateway
from tests.unit.http_gateway.stub_core import StubCore

APP = "https://app.example"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
VERIFY = "/certificates/SF-1/verify"


async def test_cors_for_allowed_origins() -> None:
    async with gateway(StubCore(), GatewayOptions(allowed_origins=frozenset({APP}))) as http:
        allowed = await http("GET", "/courses", headers={"Origin": APP})
        other = await http("GET", "/courses", headers={"Origin": "https://evil.example"})
        refused = await http("GET", "/nowhere", headers={"Origin": APP})
        asked = {"Origin": APP, "Access-Control-Request-Method": "PUT"}
        preflight = await http("OPTIONS", "/courses/c1", headers=asked)
        stranger = await http("OPTIONS", "/courses/c1", headers={**asked, "Origin": "https://evil.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == refused.headers["Access-Control-Allow-Origin"] == APP
    assert "ETag" in allowed.headers["Access-Control-Expose-Headers"]
    assert "Origin" in allowed.headers["Vary"]
    assert "Origin" in other.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert (preflight.status, stranger.status) == (204, 204)
    assert "Access-Control-Allow-Methods" not in stranger.headers


async def test_any_origin() -> None:
    async with gateway(StubCore(), GatewayOptions(allowed_origins=frozenset({"*"}))) as http:
        assert (await http("GET", "/courses")).headers["Access-Control-Allow-Origin"] == "*"


async def test_no_origins_no_cors() -> None:
    async with gateway(StubCore()) as http:
        assert "Access-Control-Allow-Origin" not in (await http("GET", "/courses", headers={"Origin": APP})).headers


async def test_a_target_seen_before_is_read_the_same_and_shared_with_nobody() -> None:
    stub = StubCore()
    async with gateway(stub) as http:
        for _ in range(3):
            assert (await http("GET", "/courses?pageSize=5&query=a%20b")).status == 200
            request = stub.last.request
            assert request == courses_pb2.ListCoursesRequest(page_size=5, query="a b")
            request.page_size = 99  # a core may do with its request what it likes
        for _ in range(2):
            assert (await http("GET", "/courses/c1")).status == 200
            assert stub.last.request == courses_pb2.GetCourseRequest(course_id="c1")
            assert (await http("PUT", "/courses/c1", data=b'{"title":"T"}')).status == 200
            assert stub.last.request == courses_pb2.UpdateCourseRequest(course_id="c1", title="T")
            assert (await http("GET", "/courses?pageSize=x")).status == 400
            assert (await http("POST", "/courses/c1")).status == 405
            assert (await http("GET", "/courses/c1/")).status == 404


async def test_only_so_many_targets_are_kept_and_none_that_is_long() -> None:
    front = door.Door(StubCore(), GatewayOptions())
    targets = [f"/courses/{number}" for number in range(door.MAX_TARGETS + 10)]
    for target in (targets[-1], f"/courses?query={'x' * door.MAX_TARGET_LENGTH}"):
        await front.handle(make_mocked_request("GET", target))
    assert front._recall.cache_info().currsize == 1
    for target in targets:
        front._recall("GET", target)
    assert front._recall.cache_info().currsize == door.MAX_TARGETS


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ({"mysql": "ok"}, 200, {"status": "ok", "parts": {"mysql": "ok"}}),
        ({"mysql": "ok", "redis": "away"}, 503, {"status": "failing", "parts": {"mysql": "ok", "redis": "away"}}),
        (None, 503, {"status": "failing", "parts": {"readiness": "failed with RuntimeError"}}),
    ],
)
async def test_readiness(parts: dict[str, str] | None, status: int, body: object) -> None:
    async def readiness() -> Mapping[str, str]:
        if parts is None:
            raise RuntimeError
        return parts

    async with gateway(StubCore(), GatewayOptions(readiness=readiness)) as http:
        response = await http("GET", "/readyz")
        assert (response.status, response.json) == (status, body)
        assert (await http("GET", "/healthz")).status == 200


async def test_readiness_that_hangs() -> None:
    async def readiness() -> Mapping[str, str]:
        await asyncio.Event().wait()
        return {}

    async with gateway(StubCore(), GatewayOptions(readiness=readiness, readiness_timeout_seconds=0.01)) as http:
        assert (await http("GET", "/readyz")).status == 503


async def test_front_page_for_people_and_programs() -> None:
    async with gateway(StubCore()) as http:
        page, index = await http("GET", "/", headers=BROWSER), await http("GET", "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"/console/app.js" in page.body
    assert {"verb": "GET", "path": "/courses", "rpc": "CoursesService.ListCourses", "access": ["public"]} in index.json["routes"]


async def test_other_rooms_get_their_prefixes() -> None:
    async def dev(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"path": request.path, "body": (await request.read()).decode()})

    options = GatewayOptions(extra_handlers={"/dev": dev}, allowed_origins=frozenset({APP}))
    async with gateway(StubCore(), options) as http:
        response = await http("POST", "/dev/sign-in?x=1", data=b"hello", headers={"Origin": APP})
        assert response.json == {"path": "/dev/sign-in", "body": "hello"}
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert response.headers["X-Request-Id"]
        assert (await http("GET", "/dev")).status == 200
        assert (await http("GET", "/device")).status == 404


def certificate(**more: Any) -> certificates_pb2.VerifyCertificateResponse:
    snapshot = certificates_pb2.CertificateSnapshot(
        student_name="محمد <script>alert(1)</script>\u202e", course_title="A & B", instructor_name="李小龍", score_percent=97.5
    )
    return certificates_pb2.VerifyCertificateResponse(
        certificate_id="SF-1", snapshot=snapshot, issue_time=Timestamp(seconds=1_700_000_000), **more
    )


async def test_a_browser_gets_a_page_and_a_program_json() -> None:
    core = StubCore({"VerifyCertificate": certificate(valid=True, status=1)})
    async with gateway(core) as http:
        page, answer = await http("GET", VERIFY, headers=BROWSER), await http("GET", VERIFY)
    assert page.status == 200
    assert page.headers["Vary"] == answer.headers["Vary"] == "Accept"
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    text = page.body.decode()
    assert "This certificate is valid" in text
    assert "14 November 2023 (UTC)" in text
    assert "محمد &lt;script&gt;" in text
    assert "A &amp; B" in text
    assert "\u202e" not in text
    assert answer.json["snapshot"]["instructorName"] == "李小龍"


def test_a_revoked_certificate_says_so() -> None:
    text = certificate_page(certificate(valid=False, status=2, revoke_time=Timestamp(seconds=1_710_000_000)))
    assert "was revoked" in text
    assert "9 March 2024 (UTC)" in text


@pytest.mark.parametrize(
    ("code", "reason", "status", "words"),
    [
        (code_pb2.NOT_FOUND, "NOT_FOUND", 404, "No such certificate"),
        (code_pb2.INVALID_ARGUMENT, "CERTIFICATE_ID_MALFORMED", 400, "not a certificate number"),
        (code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", 429, "Too many checks"),
        (code_pb2.UNAVAILABLE, "UNAVAILABLE", 503, "cannot check right now"),
        (code_pb2.CANCELLED, "CANCELLED", 499, "cannot check right now"),
    ],
)
async def test_pages_for_refusals(code: int, reason: str, status: int, words: str) -> None:
    core = StubCore({"VerifyCertificate": CallError.build(code, reason, "detail")})
    async with gateway(core) as http:
        page = await http("GET", "/certificates/%3Cb%3E/verify", headers=BROWSER)
        answer = await http("GET", VERIFY)
    assert (page.status, answer.status) == (status, status)
    assert words in page.body.decode()
    assert "&lt;b&gt;" in page.body.decode()
    assert page.headers.get("Retry-After") == answer.headers.get("Retry-After")
    assert answer.json["reason"] == reason


async def test_a_page_for_a_number_that_is_no_text() -> None:
    async with gateway(StubCore()) as http:
        assert (await http("GET", "/certificates/%FF/verify", headers=BROWSER)).status == 400


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False), ("*/*", False), ("application/json", False), ("text/html", True), (BROWSER["Accept"], True),
        ("text/html;q=0.5, application/json", False), ("application/json;q=0.5, text/*", True), ("text/html;q=x", False),
        ("application/json, text/html", False),
    ],
)  # fmt: skip
def test_accept(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract, with GetCourse turned into a server-streaming method."""
    methods = [replace(item, server_streaming=True) if item.name == "GetCourse" else item for item in load_methods()]
    monkeypatch.setattr(door, "load_methods", lambda: tuple(methods))


@pytest.mark.usefixtures("streaming")
async def test_streams_are_server_sent_events() -> None:
    core = StubCore({"GetCourse": [courses_pb2.Course(id="1"), courses_pb2.Course(id="2")]})  # type: ignore[dict-item]
    async with gateway(core, GatewayOptions(allowed_origins=frozenset({APP}))) as http:
        response = await http("GET", "/courses/c1", headers={"Origin": APP})
    events = response.body.decode().split("\n\n")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert [orjson.loads(event.removeprefix("data: "))["id"] for event in events[:2]] == ["1", "2"]
    assert events[2:] == ["event: end\ndata: {}", ""]
    assert core.last.request.course_id == "c1"


@pytest.mark.usefixtures("streaming")
async def test_streams_that_break() -> None:
    gone = CallError.build(code_pb2.UNAVAILABLE, "UNAVAILABLE", "Gone.")
    core = StubCore({"GetCourse": gone})
    async with gateway(core) as http:
        at_once = await http("GET", "/courses/c1")
        core.answers["GetCourse"] = [courses_pb2.Course(id="1"), gone]  # type: ignore[assignment]
        later = await http("GET", "/courses/c1")
    assert (at_once.status, at_once.json["reason"]) == (503, "UNAVAILABLE")
    assert b'event: error\ndata: {"type":"/problems/unavailable"' in later.body


async def test_stopping_finishes_what_is_in_work() -> None:
    core = StubCore(hold=asyncio.Event())
    async with gateway(core) as http:
        request = asyncio.create_task(http("GET", "/auth/me"))
        await asyncio.wait_for(core.entered.wait(), 5)
        stopping = asyncio.create_task(http.gateway.stop(notice_seconds=0))
        await asyncio.sleep(0)
        assert core.hold is not None
        core.hold.set()
        response = await asyncio.wait_for(request, 5)
        await asyncio.wait_for(stopping, 5)
        assert (response.status, response.headers["Connection"]) == (200, "close")
        with pytest.raises(aiohttp.ClientConnectorError):
            await http("GET", "/healthz")


def test_encoded_cache_is_bounded() -> None:
    cache = EncodedCache(max_bytes=10, max_entries=2)

    def kept(body: bytes) -> Encoded:
        return Encoded(body, "")

    messages = [courses_pb2.Course(id=str(number)) for number in range(4)]
    cache.put(messages[0], kept(b"12345"))
    cache.put(messages[1], kept(b"12345"))
    assert cache.get(messages[0]) == kept(b"12345")
    cache.put(messages[2], kept(b"123"))
    assert [cache.get(item) for item in messages] == [kept(b"12345"), None, kept(b"123"), None]
    cache.put(messages[3], kept(b"x" * 11))
    assert cache.get(messages[3]) is None
    cache.put(messages[0], kept(b"1234567890"))
    assert [cache.get(item) for item in messages] == [kept(b"1234567890"), None, None, None]
