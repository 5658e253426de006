"""Lists longer than their rules allow: decoded no further than the rules need to refuse them, quickly whatever is in them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from contract.errors import CallError
from contract.methods import load_methods
from core.errors import InvalidArgument
from core.rpc.validate import check_rules
from http_gateway.descriptors import descriptor_of, max_items, message_of
from http_gateway.json_codec import JsonCodec, JsonDecoder
from http_gateway.json_limits import cut
from skillforge.v1 import courses_pb2, quizzes_pb2

REQUESTS: dict[str, type[Message]] = {
    method.request_type.DESCRIPTOR.full_name: method.request_type
    for method in load_methods()
    if any(route.body for route in method.routes)
}
CODEC = JsonCodec(descriptor_of(item) for item in REQUESTS.values())
MIB = 1 << 20

# From a request to a list in it: fields, the last of which has a rule.
Path = tuple[FieldDescriptor, ...]


def limited(descriptor: Descriptor, above: Path = ()) -> Iterator[Path]:
    for field in descriptor.fields:
        if field.is_repeated and max_items(field):
            yield (*above, field)
        if field.type == FieldDescriptor.TYPE_MESSAGE and len(above) < 4:
            yield from limited(message_of(field), (*above, field))


LISTS = [(name, path) for name, kind in REQUESTS.items() for path in limited(descriptor_of(kind))]


def item_of(field: FieldDescriptor, number: int) -> Any:
    return {} if field.type == FieldDescriptor.TYPE_MESSAGE else f"item {number}"


def body_of(path: Path, count: int) -> dict[str, Any]:
    """JSON whose innermost list has so many items."""
    field, *rest = path
    inner: Any = body_of(tuple(rest), count) if rest else [item_of(field, number) for number in range(count)]
    return {field.json_name: [inner] if rest and field.is_repeated else inner}


def list_in(message: Any, path: Path) -> Any:
    for field in path:
        value = getattr(message, field.name)
        message = value[0] if field.is_repeated and field is not path[-1] else value
    return message


def test_lists_are_found() -> None:
    names = {".".join([name, *(field.name for field in path)]) for name, path in LISTS}
    assert {
        "skillforge.v1.PutExamRequest.questions.choices",
        "skillforge.v1.SaveAnswersRequest.answers.choice_ids",
        "skillforge.v1.UpdateOutlineRequest.modules.lecture_ids",
        "skillforge.v1.CreateCourseRequest.tags",
    } <= names


@pytest.mark.parametrize(("name", "path"), LISTS, ids=lambda item: item if isinstance(item, str) else item[-1].name)
def test_one_item_too_many_is_kept_for_the_rules(name: str, path: Path) -> None:
    decoder, most = CODEC.decoder(REQUESTS[name]), max_items(path[-1])
    for count in (0, 1, most, most + 1, most + 2, 3 * most + 10):
        body = json.dumps(body_of(path, count)).encode()
        fast = decoder.fast(body)
        assert fast is not None
        assert fast == decoder.exact(body)
        kept = list_in(fast, path)
        assert len(kept) == min(count, most + 1)
        if count > most:
            with pytest.raises(InvalidArgument) as refused:
                check_rules(fast)
            assert "repeated.max_items" in {item.rule for item in refused.value.violations}


OTHER_VALUES: list[Any] = [
    None,
    [],
    "x",
    5,
    {"questions": None},
    {"questions": {"choices": 5}},
    {"questions": [5, None, {"choices": "x"}]},
]


@pytest.mark.parametrize("value", OTHER_VALUES, ids=json.dumps)
def test_other_values_stay_as_they_are(value: Any) -> None:
    assert cut(descriptor_of(quizzes_pb2.PutExamRequest), json.loads(json.dumps(value))) == value


def filled(head: bytes, item: bytes, tail: bytes) -> bytes:
    return head + b",".join([item] * ((MIB - len(head) - len(tail)) // (len(item) + 1))) + tail


EXAM = CODEC.decoder(quizzes_pb2.PutExamRequest)
ANSWERS = CODEC.decoder(quizzes_pb2.SaveAnswersRequest)
OUTLINE = CODEC.decoder(courses_pb2.UpdateOutlineRequest)
QUESTION = b'{"kind":1,"choices":[' + b",".join([b"{}"] * 60) + b"]}"
HEAVY: list[tuple[str, JsonDecoder, bytes]] = [
    ("empty items", EXAM, filled(b'{"questions":[', b"{}", b"]}")),
    ("numbers for names", EXAM, filled(b'{"questions":[', b'{"kind":1}', b"]}")),
    ("names of the proto file", EXAM, filled(b'{"questions":[', b'{"answer_key":{}}', b"]}")),
    ("nulls", EXAM, filled(b'{"questions":[', b'{"id":null}', b"]}")),
    ("lists in lists", EXAM, filled(b'{"questions":[', QUESTION, b"]}")),
    ("lists in lists, one wrong", EXAM, b'{"questions":[{"kind":[]},' + b",".join([QUESTION] * 5000) + b"]}"),
    ("wrong everywhere", EXAM, filled(b'{"questions":[', b'{"kind":"X"}', b"]}")),
    ("unknown fields", EXAM, filled(b'{"questions":[', b'{"a":1}', b"]}")),
    ("texts for numbers", ANSWERS, filled(b'{"answers":[', b'{"number":"5"}', b"]}")),
    ("colons", EXAM, filled(b'{"questions":[', b'{"id":":"}', b"]}")),
    ("many ids", OUTLINE, filled(b'{"modules":[{"module_id":"x","lectureIds":[', b'"a"', b"]}]}")),
]


@pytest.mark.parametrize(("decoder", "body"), [item[1:] for item in HEAVY], ids=[item[0] for item in HEAVY])
def test_a_mebibyte_is_read_or_refused_soon(decoder: JsonDecoder, body: bytes) -> None:
    """Most of it away from the event loop; what stays on it is short."""
    begun = time.thread_time()
    message = decoder.fast(body)
    on_the_loop = time.thread_time() - begun
    if message is None:
        with suppress(CallError):
            message = decoder.exact(body)
    assert on_the_loop < 1.0
    assert time.thread_time() - begun < 3.0
    if message is not None:
        with pytest.raises(InvalidArgument):
            check_rules(message)
    assert time.thread_time() - begun < 1.5
