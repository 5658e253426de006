"""Traces, at a collector's stand-in: through both doors and both processes, to statements, Redis and the outside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from cli.addresses import listen
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2, progress_pb2
from telemetry import tracing
from telemetry.outside import watched
from tests.support.collector import Collector, Seen, collecting
from tests.support.sockets import socket_of
from tests.support.world import World, running_world

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
async def seen(world: World) -> AsyncIterator[Collector]:
    """What a second process over the world's database sent, when it made these calls."""
    async with collecting() as collector:
        tracing.start(collector.url, "the tests")
        try:
            async with running_world(world.settings.database_url, world.settings.redis_url) as traced:
                await _calls(traced)
        finally:
            await tracing.stop()
        yield collector


async def _calls(traced: World) -> None:
    parent = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
    teacher = await traced.person("INSTRUCTOR", "Ada Private")
    student = await traced.person(name="Mina Private")
    course = await traced.course(teacher, lectures=3)
    await traced.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    outcome = await traced.doors["remote"].call("GetMe", identity_pb2.GetMeRequest(), student.token, **parent, x_request_id="r-1")
    assert outcome.ok
    progress = progress_pb2.GetCourseProgressRequest(course_id=course.id)
    assert (await traced.doors["grpc"].call("GetCourseProgress", progress, student.token, **parent)).ok
    missing = courses_pb2.GetCourseRequest(course_id="01900000-0000-7000-8000-000000000000")
    assert not (await traced.doors["rest"].call("GetCourse", missing, **parent)).ok
    marks = [
        progress_pb2.MarkLectureRequest(lecture_id=lecture.id, completed=True)
        for module in course.modules
        for lecture in module.lectures
    ]
    await asyncio.gather(*(traced.call("MarkLecture", mark, student) for mark in marks))
    async with socket_of(traced.session, traced.url, student.token) as socket:
        await socket.call("presence.watch", {"userIds": [teacher.id]})
    assert (await traced.doors["rest"].call("ExportMyData", identity_pb2.ExportMyDataRequest(), student.token)).ok


def one(seen: Collector, name: str, **attributes: str) -> Seen:
    """The first span of a name whose attributes, their names behind their last dot, are these."""
    wanted = attributes.items()
    found = [span for span in seen.named(name) if wanted <= {k.rpartition(".")[2]: v for k, v in span.attributes.items()}.items()]
    assert found, sorted({span.name for span in seen.spans})
    return found[0]


async def test_a_caller_s_trace_goes_through_the_gateway_to_the_core(seen: Collector) -> None:
    name = "skillforge.v1.IdentityService/GetMe"
    gateway, core = one(seen, name, door="rest", request_id="r-1"), one(seen, name, door="grpc", request_id="r-1")
    assert (gateway.trace_id, gateway.parent_id, gateway.kind) == (TRACE, SPAN, SERVER)
    assert (core.trace_id, core.parent_id) == (TRACE, gateway.span_id)
    assert seen.services == {"the tests"}


async def test_statements_and_redis_stand_below_their_call(seen: Collector) -> None:
    call = one(seen, "skillforge.v1.ProgressService/GetCourseProgress", door="grpc")
    assert (call.trace_id, call.parent_id) == (TRACE, SPAN)
    [batch] = [span for span in seen.below(call) if span.name == "batch"]
    statements = seen.below(batch)
    assert {(span.kind, span.attributes["db.system.name"]) for span in statements} == {(CLIENT, "mysql")}
    assert "SELECT lecture_progress" in {span.name for span in statements}
    joined = one(seen, "skillforge.v1.EnrollmentsService/EnrollInCourse", door="rest")
    names = {span.name for span in seen.spans if span.trace_id == joined.trace_id}
    assert {"SELECT enrollments", "COMMIT"} <= names
    assert any("INSERT enrollments, INSERT entitlements" in name for name in names)
    redis = {span.name for span in seen.spans if span.attributes.get("db.system.name") == "redis"}
    assert "GET" in redis
    assert "EVALSHA publish_events" in redis


async def test_a_batch_is_linked_with_every_call_in_it(seen: Collector) -> None:
    calls = {span.span_id for span in seen.named("skillforge.v1.ProgressService/MarkLecture")}
    batches = [span for span in seen.named("batch") if set(span.links) & calls]
    assert {link for batch in batches for link in batch.links} == calls
    assert any(len(batch.links) > 1 for batch in batches)
    assert all(batch.parent_id == batch.links[0] for batch in batches)
    assert all(seen.below(batch) for batch in batches)


async def test_calls_to_the_outside(seen: Collector) -> None:
    call = one(seen, "skillforge.v1.IdentityService/SyncUser", door="rest")
    asked = one(seen, "GET clerk", status_code=200)  # type: ignore[arg-type]
    assert (asked.kind, asked.trace_id) == (CLIENT, call.trace_id)


async def test_failures_tell_their_code(seen: Collector) -> None:
    call = one(seen, "skillforge.v1.CoursesService/GetCourse", code="NOT_FOUND")
    assert not call.failed, "the caller's fault is no failure of ours"


async def test_streams_and_frames(seen: Collector) -> None:
    assert one(seen, "skillforge.v1.RealtimeService/Connect", door="ws")
    assert one(seen, "skillforge.v1.IdentityService/ExportMyData", door="rest")
    assert one(seen, "skillforge.v1.RealtimeService/WatchPresence", door="ws")


async def test_spans_tell_nothing_of_people(seen: Collector) -> None:
    for private in (b"Private", b"@example.com", b"eyJ"):
        assert private not in seen.raw


async def test_the_outside_gets_the_traceparent() -> None:
    got: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        got.append(request.headers.get("traceparent", ""))
        return web.Response()

    async with collecting() as collector:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        listener = listen("127.0.0.1", 0, reuse_port=False)
        await web.SockSite(runner, listener).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        async with aiohttp.ClientSession(trace_configs=watched("ai")) as session:
            await session.get(url)
            tracing.start(collector.url, "x")
            await session.get(url)
            await tracing.stop()
        await runner.cleanup()
    [span] = collector.spans
    assert [item.rpartition("-")[0] for item in got] == ["", f"00-{span.trace_id}-{span.span_id}"]


@pytest.mark.parametrize("status", [0, 503, 400])
async def test_a_collector_that_is_away_or_refuses_harms_no_call(
    world: World, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("telemetry.spans.CLOSE_SECONDS", 0.2)
    async with collecting() as collector:
        collector.status = status
        tracing.start(collector.url if status else "http://127.0.0.1:9", "x")
        spans = tracing.spans()
        assert spans is not None
        with caplog.at_level(logging.WARNING):
            began = time.perf_counter()
            for _ in range(4000):  # more than the queue takes
                with spans.within("SELECT courses"):
                    pass
            seconds = time.perf_counter() - began
            stopping = time.perf_counter()
            await tracing.stop()
            assert time.perf_counter() - stopping < 2
    assert seconds < 4
    complaints = [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len(complaints) <= 2, "one line of each that complains"
