"""Bytes with an entity tag: whole, in parts, or not again. RFC 9110, 13 and 14."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from hypothesis import given
from hypothesis import strategies as st

from contract.client import Reply
from http_gateway.ranges import MAX_RANGES, Part, read_ranges
from tests.unit.http_gateway.gateways import Caller, gateway
from tests.unit.http_gateway.stub_core import StubCore

DATA = bytes(range(256)) * 4
PATH = "/certificates/SF-1/download"
TAG = '"abc"'
METADATA = {"etag": "abc", "content-disposition": 'attachment; filename="a.pdf"'}


@pytest.fixture
async def get() -> AsyncIterator[Caller]:
    reply = Reply(HttpBody(content_type="application/pdf", data=DATA), METADATA)
    async with gateway(StubCore({"DownloadCertificate": reply})) as caller:
        yield caller


async def test_whole(get: Caller) -> None:
    got = await get("GET", PATH)
    assert (got.status, got.body) == (200, DATA)
    assert (got.headers["ETag"], got.headers["Accept-Ranges"]) == (TAG, "bytes")
    assert (got.headers["Content-Type"], got.headers["Content-Length"]) == ("application/pdf", "1024")
    assert got.headers["Cache-Control"] == "private, no-cache"
    assert got.headers["Content-Disposition"] == METADATA["content-disposition"]
    head = await get("HEAD", PATH, headers={"Range": "bytes=0-9"})
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "1024")


@pytest.mark.parametrize("sent", [TAG, "*", f'"x", W/{TAG}', f'W/"y",{TAG}'])
async def test_not_again(get: Caller, sent: str) -> None:
    got = await get("GET", PATH, headers={"If-None-Match": sent, "Range": "bytes=0-9"})
    assert (got.status, got.body, got.headers["ETag"]) == (304, b"", TAG)
    assert (await get("GET", PATH, headers={"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    ("sent", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, 1024),
        ("bytes=-5", 1019, 1024),
        ("bytes=1000-9999", 1000, 1024),
        ("BYTES = 3-3", 3, 4),
    ],
)
async def test_one_part(get: Caller, sent: str, start: int, end: int) -> None:
    got = await get("GET", PATH, headers={"Range": sent})
    assert (got.status, got.body) == (206, DATA[start:end])
    assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"
    assert (got.headers["ETag"], got.headers["Content-Type"]) == (TAG, "application/pdf")


async def test_several_parts(get: Caller) -> None:
    got = await get("GET", PATH, headers={"Range": "bytes=0-1, 100-102,-2, 9999-"})
    assert got.status == 206
    assert "Content-Range" not in got.headers
    whole = message_from_bytes(b"Content-Type: " + got.headers["Content-Type"].encode() + b"\r\n\r\n" + got.body)
    assert whole.is_multipart()
    parts: list[Any] = whole.get_payload()  # type: ignore[assignment]  # of messages, as it has several
    assert [part["Content-Range"] for part in parts] == ["bytes 0-1/1024", "bytes 100-102/1024", "bytes 1022-1023/1024"]
    assert {part.get_content_type() for part in parts} == {"application/pdf"}
    for sent in (DATA[:2], DATA[100:103], DATA[-2:]):
        assert b"\r\n\r\n" + sent + b"\r\n--" in got.body


@pytest.mark.parametrize("sent", ["bytes=1024-", "bytes=5000-6000", "bytes=-0", "bytes=2000-,-0"])
async def test_none_of_it(get: Caller, sent: str) -> None:
    got = await get("GET", PATH, headers={"Range": sent})
    assert (got.status, got.headers["Content-Range"]) == (416, "bytes */1024")
    assert got.json["reason"] == "RANGE_NOT_SATISFIABLE"
    assert got.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "sent",
    [
        "items=0-1",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=9-3",
        "bytes=0-1-2",
        "bytes=0-5,3-9",
        "bytes=+1-2",
        "bytes=0-1,x",
        "bytes=" + ",".join(f"{number}-{number}" for number in range(MAX_RANGES + 1)),
    ],
)
async def test_what_is_no_range_is_ignored(get: Caller, sent: str) -> None:
    got = await get("GET", PATH, headers={"Range": sent})
    assert (got.status, got.body) == (200, DATA)


@pytest.mark.parametrize(
    ("sent", "status"), [(TAG, 206), ('"other"', 200), (f"W/{TAG}", 200), ("Sun, 22 Nov 2026 10:00:00 GMT", 200)]
)
async def test_only_of_the_same_thing(get: Caller, sent: str, status: int) -> None:
    assert (await get("GET", PATH, headers={"Range": "bytes=0-9", "If-Range": sent})).status == status


async def test_without_a_tag_it_is_whole_and_kept_by_nobody() -> None:
    reply = Reply(HttpBody(content_type="application/pdf", data=DATA), {})
    async with gateway(StubCore({"DownloadCertificate": reply})) as get:
        got = await get("GET", PATH, headers={"Range": "bytes=0-9", "If-None-Match": "*"})
        assert (got.status, got.body, got.headers["Cache-Control"]) == (200, DATA, "no-store")
        assert "Accept-Ranges" not in got.headers


@given(st.text("bytes=0123456789-, ", max_size=30), st.integers(0, 50))
def test_parts_lie_inside(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        for part in read_ranges(header, length) or []:
            assert 0 <= part.start < part.end <= length


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=4), st.integers(0, 50))
def test_parts_are_those_asked_for(wanted: list[tuple[int, int]], length: int) -> None:
    """Against the plainest model: sets of positions."""
    found = read_ranges("bytes=" + ",".join(f"{start}-{end}" for start, end in wanted), length)
    if any(end < start for start, end in wanted):
        assert found is None
        return
    positions = [{at for at in range(start, end + 1) if at < length} for start, end in wanted]
    overlap = sum(map(len, positions)) > len(set().union(*positions))
    if overlap:
        assert found is None
    else:
        assert found == [Part(min(part), max(part) + 1) for part in positions if part]
