"""What the JSON decoder says about bodies it does not take, and its fast path."""

from __future__ import annotations

import pytest

from contract.errors import CallError
from http_gateway.descriptors import descriptor_of
from http_gateway.json_codec import JsonCodec
from skillforge.v1 import courses_pb2, progress_pb2, quizzes_pb2
from tests.unit.http_gateway.everything import Everything

REQUESTS = [courses_pb2.CreateCourseRequest, progress_pb2.MarkLectureRequest, quizzes_pb2.PutExamRequest]
CODEC = JsonCodec(descriptor_of(item) for item in [*REQUESTS, Everything])
CREATE = CODEC.decoder(courses_pb2.CreateCourseRequest)
ANYTHING = CODEC.decoder(Everything)

INT32 = "must be a whole number from -2147483648 to 2147483647"
LEVEL = "must be one of " + ", ".join(courses_pb2.CourseLevel.keys())


def refusal(body: bytes, decoder: object = CREATE) -> CallError:
    with pytest.raises(CallError) as error:
        decoder.decode(body)  # type: ignore[attr-defined]
    return error.value


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"\xff", b'{"title": "\\ud800"}', b'{"title": NaN}', b'{"a":1,}', b'{"title":"\x01"}',
        b"\xef\xbb\xbf{}",
        b'{"title":"a","title":"b"}', b'{"price":{"currency":"USD","currency":"EUR"}}', b"1" * 5000,
        b"[" * 100_000, b"[" * 65 + b"]" * 65, b'{"a":' * 1000 + b"1" + b"}" * 1000,
    ],
)  # fmt: skip
def test_malformed(body: bytes) -> None:
    assert refusal(body).reason == "MALFORMED_JSON"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"nobody":1}', ["nobody"]),
        (b'{"title":"x","price":{"amount":1}}', ["price.amount"]),
        (b'{"title":7,"nobody":1}', ["nobody"]),
        (b'{"[x.y]":1}', ["[x.y]"]),
    ],
)
def test_unknown_fields_are_named_by_path(body: bytes, fields: list[str]) -> None:
    error = refusal(body)
    assert error.reason == "UNKNOWN_FIELD"
    assert [item.field for item in error.violations] == fields


@pytest.mark.parametrize(
    ("body", "violations"),
    [
        (b'{"title":7}', [("title", "must be text")]),
        (b'{"tags":["a",7,null]}', [("tags[1]", "must be text"), ("tags[2]", "must be text")]),
        (b'{"tags":"a"}', [("tags", "must be a list")]),
        (b'{"price":[]}', [("price", "must be an object")]),
        (b'{"price":""}', [("price", "must be an object")]),
        (b'{"price":{"amountMinor":1.5}}', [("price.amountMinor", INT32)]),
        (b'{"price":{"amountMinor":99999999999999999999999}}', [("price.amountMinor", INT32)]),
        (b'{"level":"EASY"}', [("level", LEVEL)]),
        (b"[]", [("", "must be an object")]),
        (b"7", [("", "must be an object")]),
    ],
)  # fmt: skip
def test_bad_values_are_named_by_path(body: bytes, violations: list[tuple[str, str]]) -> None:
    error = refusal(body)
    assert error.reason == "INVALID_ARGUMENT"
    assert [(item.field, item.description) for item in error.violations] == violations


def test_two_members_of_a_oneof_are_refused() -> None:
    assert refusal(b'{"choiceString":"a","choiceInt64":"1"}', ANYTHING).reason == "INVALID_ARGUMENT"


def test_violations_are_bounded() -> None:
    body = b"{" + b",".join(b'"x%d":1' % number for number in range(1000)) + b"}"
    error = refusal(body)
    assert len(error.violations) == 20
    assert len(refusal(b'{"' + b"x" * 100_000 + b'":1}').violations[0].field) < 200


def test_deep_nesting_within_a_message_that_contains_itself_is_refused() -> None:
    assert ANYTHING.decode(b'{"self":' * 63 + b"{}" + b"}" * 63)
    assert refusal(b'{"self":' * 64 + b"{}" + b"}" * 64, ANYTHING).reason == "MALFORMED_JSON"


@pytest.mark.parametrize(
    ("index", "body"),
    [
        (0, b'{"title":"a: b","price":{"amountMinor":5,"currency":"USD"},"tags":["x"],"level":"COURSE_LEVEL_ADVANCED"}'),
        (1, b'{"lectureId":"x","completed":false,"positionSeconds":3}'),
        (2, b'{"courseId":"x","questions":[{"answerKey":{"number":1.5,"choiceIds":["a"]},"choices":[{"id":"a"}]}]}'),
    ],
)
def test_canonical_bodies_take_the_fast_path(index: int, body: bytes) -> None:
    decoder = CODEC.decoder(REQUESTS[index])
    message = decoder.fast(body)
    assert message is not None
    assert message == decoder.exact(body)
