"""Query parameters become request fields."""

from __future__ import annotations

from typing import Any

import pytest

from contract.errors import CallError
from http_gateway.descriptors import descriptor_of
from http_gateway.query_strings import MAX_PARAMETERS, QueryReader
from skillforge.v1 import courses_pb2
from tests.unit.http_gateway.everything import Everything

READER = QueryReader(descriptor_of(Everything), "", ["a_uint32"])


def read(query: str) -> Any:
    message = Everything()
    READER.read(query, message)
    return message


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("aInt32=-5", {"a_int32": -5}),
        ("a_int32=7", {"a_int32": 7}),
        ("aUint64=18446744073709551615", {"a_uint64": 2**64 - 1}),
        ("aBool=true", {"a_bool": True}),
        ("aString=a%20b%2B+c", {"a_string": "a b+ c"}),
        ("aString=", {"a_string": ""}),
        ("aBytes=-_8%3D", {"a_bytes": b"\xfb\xff"}),
        ("aBytes=-_8", {"a_bytes": b"\xfb\xff"}),
        ("aDouble=1e3", {"a_double": 1000.0}),
        ("aDouble=-Infinity", {"a_double": float("-inf")}),
        ("color=COLOR_BLUE", {"color": 2}),
        ("color=7", {"color": 7}),
        ("manyString=a&manyString=b&many_string=c", {"many_string": ["a", "b", "c"]}),
        ("colors=COLOR_RED&colors=2", {"colors": [1, 2]}),
        ("maybeBool=false", {"maybe_bool": False}),
        ("aInt64Value=12", {"a_int64_value": {"value": 12}}),
        ("part.partName=x&part.count=3", {"part": {"part_name": "x", "count": 3}}),
        ("self.self.part.count=3", {"self": {"self": {"part": {"count": 3}}}}),
        ("choiceString=a", {"choice_string": "a"}),
        ("", {}),
    ],
)  # fmt: skip
def test_sets(query: str, fields: dict[str, Any]) -> None:
    assert read(query) == Everything(**fields)


def test_sets_times_and_durations() -> None:
    message = read("aTimestamp=2026-01-02T03:04:05.5Z&aDuration=1.5s&aMask=aB,c&listOfTimestamp=1970-01-01T00:00:01Z")
    assert message.a_timestamp.ToJsonString() == "2026-01-02T03:04:05.500Z"
    assert message.a_duration.ToMilliseconds() == 1500
    assert list(message.a_mask.paths) == ["a_b", "c"]
    assert message.list_of_timestamp[0].seconds == 1


@pytest.mark.parametrize(
    ("query", "reason", "field", "rule"),
    [
        ("nobody=1", "UNKNOWN_FIELD", "nobody", "unknown_field"),
        ("part=1", "UNKNOWN_FIELD", "part", "unknown_field"),
        ("parts.count=1", "UNKNOWN_FIELD", "parts.count", "unknown_field"),
        ("part.nobody=1", "UNKNOWN_FIELD", "part.nobody", "unknown_field"),
        ("part.count.x=1", "UNKNOWN_FIELD", "part.count.x", "unknown_field"),
        ("byName=1", "UNKNOWN_FIELD", "byName", "unknown_field"),
        ("aStruct=1", "UNKNOWN_FIELD", "aStruct", "unknown_field"),
        ("aUint32=1", "UNKNOWN_FIELD", "aUint32", "unknown_field"),
        ("=1", "UNKNOWN_FIELD", "", "unknown_field"),
        ("aInt32=", "INVALID_ARGUMENT", "aInt32", "type"),
        ("aInt32=1.0", "INVALID_ARGUMENT", "aInt32", "type"),
        ("aInt32=%D9%A1", "INVALID_ARGUMENT", "aInt32", "type"),
        ("aInt32=2147483648", "INVALID_ARGUMENT", "aInt32", "type"),
        ("aUint64=-1", "INVALID_ARGUMENT", "aUint64", "type"),
        ("aInt32=" + "9" * 5000, "INVALID_ARGUMENT", "aInt32", "type"),
        ("aBool=1", "INVALID_ARGUMENT", "aBool", "type"),
        ("aBytes=%C3%A9", "INVALID_ARGUMENT", "aBytes", "type"),
        ("aDouble=1e999", "INVALID_ARGUMENT", "aDouble", "type"),
        ("aDouble=nan", "INVALID_ARGUMENT", "aDouble", "type"),
        ("color=BLUE", "INVALID_ARGUMENT", "color", "type"),
        ("color=9999999999", "INVALID_ARGUMENT", "color", "type"),
        ("aTimestamp=yesterday", "INVALID_ARGUMENT", "aTimestamp", "type"),
        ("aInt32=1&a_int32=1", "INVALID_ARGUMENT", "aInt32", "repeated"),
        ("choiceString=a&choiceInt64=1", "INVALID_ARGUMENT", "choiceInt64", "repeated"),
    ],
)
def test_refuses(query: str, reason: str, field: str, rule: str) -> None:
    with pytest.raises(CallError) as refusal:
        read(query)
    assert refusal.value.reason == reason
    assert [(item.field, item.rule) for item in refusal.value.violations] == [(field, rule)]


@pytest.mark.parametrize("query", ["aString=%FF", "&".join(["manyString=a"] * (MAX_PARAMETERS + 1))])
def test_refuses_without_a_field(query: str) -> None:
    with pytest.raises(CallError) as refusal:
        read(query)
    assert refusal.value.reason == "INVALID_ARGUMENT"


def test_names_every_fault_at_once() -> None:
    with pytest.raises(CallError) as refusal:
        read("aInt32=x&aBool=y&nobody=1&aString=fine")
    assert [item.field for item in refusal.value.violations] == ["aInt32", "aBool", "nobody"]


def test_a_whole_body_leaves_no_parameters() -> None:
    reader = QueryReader(courses_pb2.CreateCourseRequest.DESCRIPTOR, "*", [])
    with pytest.raises(CallError):
        reader.read("title=x", courses_pb2.CreateCourseRequest())


def test_a_body_field_is_no_parameter_but_the_others_are() -> None:
    reader = QueryReader(courses_pb2.CreateCourseRequest.DESCRIPTOR, "price", [])
    request = courses_pb2.CreateCourseRequest()
    reader.read("title=x", request)
    assert request.title == "x"
    with pytest.raises(CallError):
        reader.read("price.currency=USD", request)
