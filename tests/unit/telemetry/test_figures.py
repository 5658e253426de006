"""Figures: counted, put into families, and read again by Prometheus' own parser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from contract.client import Reply
from contract.errors import CallError
from contract.methods import Method, load_methods
from telemetry import calls
from telemetry.calls import CallCounts, CountedClient
from telemetry.exposition import families_of, render
from telemetry.figures import CALL_SECONDS, Figure, Histogram
from tests.support.scrapes import Scrape

METHODS = {method.name: method for method in load_methods()}
GET_COURSE, CONNECT, CSV = METHODS["GetCourse"], METHODS["Connect"], METHODS["ExportGrades"]


class StubCore:
    """Answers, fails or waits as it is told."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.waiting = asyncio.Event()

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        if self.error is not None:
            raise self.error
        if timeout is None:
            await self.waiting.wait()
        return Reply(method.reply_type(), {})

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        if self.error is not None:
            raise self.error
        for _ in range(3):
            yield method.reply_type()


def counted(core: StubCore) -> tuple[CountedClient, CallCounts]:
    counts = CallCounts("rest")
    return CountedClient(core, counts), counts


def told(counts: CallCounts) -> Scrape:
    return Scrape(render({"0": families_of(counts.figures())}, ()).decode())


def call(client: CountedClient, method: Method = GET_COURSE, timeout: float | None = 1.0) -> Any:
    return client.call(method, method.request_type(), {"x-request-id": "r-1"}, timeout)


async def test_calls_are_counted_by_method_door_and_code() -> None:
    core = StubCore()
    client, counts = counted(core)
    for _ in range(3):
        await call(client)
    core.error = CallError.build(code_pb2.NOT_FOUND, "NOT_FOUND", "gone")
    for _ in range(2):
        with pytest.raises(CallError):
            await call(client)
    found = told(counts)
    labels = {"method": "skillforge.v1.CoursesService/GetCourse", "door": "rest"}
    assert found.value("skillforge_calls_total", **labels, code="OK") == 3
    assert found.value("skillforge_calls_total", **labels, code="NOT_FOUND") == 2
    assert found.value("skillforge_calls_total") == found.value("skillforge_call_seconds_count", **labels) == 5
    assert found.value("skillforge_call_seconds_bucket", **labels, le="+Inf") == 5
    assert found.value("skillforge_calls_running") == 0


async def test_running_and_abandoned_calls() -> None:
    client, counts = counted(StubCore())
    task = asyncio.ensure_future(call(client, timeout=None))
    await asyncio.sleep(0)
    assert told(counts).value("skillforge_calls_running", door="rest") == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = told(counts)
    assert (found.value("skillforge_calls_running"), found.value("skillforge_calls_total", code="CANCELLED")) == (0, 1)


async def test_streams() -> None:
    core = StubCore()
    client, counts = counted(core)
    assert len([one async for one in client.stream(CSV, CSV.request_type(), {}, 1.0)]) == 3
    assert len([one async for one in client.stream(CONNECT, CONNECT.request_type(), {}, None)]) == 3
    core.error = CallError.build(code_pb2.UNAUTHENTICATED, "TOKEN_INVALID", "no")
    for method in (CSV, CONNECT):
        with pytest.raises(CallError):
            [one async for one in client.stream(method, method.request_type(), {}, 1.0)]
    found = told(counts)
    assert found.value("skillforge_call_seconds_count", method=CSV.path[1:]) == 2
    assert not found.has("skillforge_call_seconds_count", method=CONNECT.path[1:])
    assert found.value("skillforge_streams_begun_total", method=CONNECT.path[1:]) == 2
    assert found.value("skillforge_calls_total", code="UNAUTHENTICATED") == 2
    assert found.value("skillforge_calls_total", code="OK") == 1
    assert found.value("skillforge_calls_running") == 0


async def test_a_reader_who_had_enough_is_no_failure() -> None:
    client, counts = counted(StubCore())
    stream = client.stream(CSV, CSV.request_type(), {}, 1.0)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert told(counts).value("skillforge_calls_total", code="CANCELLED") == 1


async def test_a_slow_call_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    client, _ = counted(StubCore())
    await call(client)
    assert not caplog.records
    monkeypatch.setattr(calls, "SLOW_SECONDS", -1.0)
    for _ in range(3):
        await call(client)
    [record] = caplog.records  # the others came within the same second
    fields = vars(record)["fields"]
    assert (record.levelname, record.getMessage(), fields["request_id"], fields["door"]) == (
        "WARNING", "GetCourse was slow", "r-1", "rest",
    )  # fmt: skip


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_is_what_prometheus_says_it_is(values: list[float]) -> None:
    histogram = Histogram(CALL_SECONDS)
    for value in values:
        histogram.observe(value)
    found = Scrape(render({}, [histogram.spread("x_seconds", "X.", ("of", 'a"b\\c\nd'))]).decode())
    for bound in CALL_SECONDS:
        assert found.value("x_seconds_bucket", le=str(bound)) == sum(value <= bound for value in values)
    assert found.value("x_seconds_count") == found.value("x_seconds_bucket", le="+Inf") == len(values)
    assert found.value("x_seconds_sum") == pytest.approx(sum(values))
    assert all(dict(labels)["of"] == 'a"b\\c\nd' for _, labels in found)


def test_families_of_several_workers_stand_together() -> None:
    one, two = ([Figure("x_total", "X.", count, (("k", "v"),)), Figure("y", "Y.", count)] for count in (1.0, 2.0))
    text = render({"0": families_of(one), "1": families_of(two)}, [Figure("z", "Z.", 9)]).decode()
    assert text.count("# TYPE x_total counter") == text.count("# TYPE y gauge") == 1
    found = Scrape(text)
    assert [found.value("x_total", worker=worker, k="v") for worker in ("0", "1")] == [1, 2]
    assert found[("z", frozenset())] == 9


def test_a_process_tells_of_itself() -> None:
    found = Scrape(render({"0": families_of((), process=True)}, ()).decode())
    assert found.value("process_resident_memory_bytes") > 1_000_000
    assert found.has("process_cpu_seconds_total")
    assert found.has("python_gc_collections_total", generation="2")
