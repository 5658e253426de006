"""Two methods behind one path: the Accept header decides; what is produced comes as a file, in pieces."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.rpc import code_pb2

from contract.errors import CallError
from contract.methods import load_methods
from http_gateway import door
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import prefers
from http_gateway.routes import RouteError
from skillforge.v1 import progress_pb2
from tests.unit.http_gateway.gateways import gateway
from tests.unit.http_gateway.stub_core import StubCore

PATH = "/progress/course/c1/students"
PIECES = [HttpBody(content_type="text/csv; charset=utf-8", data=b"a,b\r\n"), HttpBody(data=b"1,2\r\n")]
ROWS = progress_pb2.ListGradesResponse(grades=[progress_pb2.Grade(display_name="Ada")])


def core() -> StubCore:
    return StubCore({"ListGrades": ROWS, "ExportGrades": PIECES})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/csv", True),
        ("TEXT/CSV", True),
        ("text/*, application/json;q=0.5", True),
        ("application/json;q=0.1, text/csv;q=0.2", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/csv;q=0.9", False),
        ("text/csv;q=0", False),
        ("text/html", False),
    ],
)
async def test_accept_decides(accept: str, wanted: bool) -> None:
    assert prefers(accept, "text/csv") == wanted
    async with gateway(core()) as http:
        got = await http("GET", PATH, headers={"Accept": accept})
    assert got.status == 200
    assert got.headers["Vary"] == "Accept"
    if wanted:
        assert got.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert got.headers["Content-Disposition"] == 'attachment; filename="students.csv"'
        assert got.headers["Transfer-Encoding"] == "chunked"
        assert got.body == b"a,b\r\n1,2\r\n"
    else:
        assert got.json["grades"][0]["displayName"] == "Ada"


async def test_each_method_takes_its_own_query() -> None:
    stub = core()
    async with gateway(stub) as http:
        assert (
            await http("GET", f"{PATH}?descending=true&orderBy=GRADEBOOK_ORDER_SCORE", headers={"Accept": "text/csv"})
        ).status == 200
        assert stub.last.request == progress_pb2.ExportGradesRequest(
            course_id="c1", order_by=progress_pb2.GRADEBOOK_ORDER_SCORE, descending=True
        )
        assert (await http("GET", f"{PATH}?pageSize=5", headers={"Accept": "text/csv"})).status == 400
        assert (await http("GET", f"{PATH}?pageSize=5")).status == 200
        assert (await http("HEAD", PATH, headers={"Accept": "text/csv"})).body == b""
        assert stub.last.timeout == GatewayOptions().stream_timeout_seconds


async def test_a_target_seen_before_still_goes_by_accept() -> None:
    stub = core()
    target = f"{PATH}?descending=true"
    async with gateway(stub) as http:
        for _ in range(2):
            await http("GET", target, headers={"Accept": "text/csv"})
            assert stub.last.request == progress_pb2.ExportGradesRequest(course_id="c1", descending=True)
            await http("GET", target)
            assert stub.last.request == progress_pb2.ListGradesRequest(course_id="c1", descending=True)


async def test_a_refusal_is_a_problem_and_a_break_is_no_end() -> None:
    stub = core()
    gone = CallError.build(code_pb2.UNAVAILABLE, "UNAVAILABLE", "Gone.")
    async with gateway(stub) as http:
        stub.answers["ExportGrades"] = gone
        got = await http("GET", PATH, headers={"Accept": "text/csv"})
        assert (got.status, got.headers["Content-Type"]) == (503, "application/problem+json")
        stub.answers["ExportGrades"] = [PIECES[0], gone]  # type: ignore[assignment]
        with pytest.raises(aiohttp.ClientError):
            await http("GET", PATH, headers={"Accept": "text/csv"})


def test_two_that_produce_the_same_stop_the_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    methods = load_methods()
    twin = next(item for item in methods if item.name == "ExportGrades")
    monkeypatch.setattr(door, "load_methods", lambda: (*methods, replace(twin, name="Twin", path="/x.Y/Twin")))
    with pytest.raises(RouteError, match="both serve GET"):
        door.Door(core(), GatewayOptions())
