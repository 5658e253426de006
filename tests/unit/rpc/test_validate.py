"""Broken input rules: where and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from buf.validate import validate_pb2
from contract.errors import Violation
from contract.methods import load_methods
from core.errors import InvalidArgument
from core.rpc import validate
from core.rpc.validate import _PATTERN_WORDS, MAX_VALID_BYTES, KnownValid, check_rules
from skillforge.v1 import courses_pb2, identity_pb2, payments_pb2, quizzes_pb2

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def violations(request: Message) -> dict[str, Violation]:
    with pytest.raises(InvalidArgument) as caught:
        check_rules(request)
    assert caught.value.reason == "INVALID_ARGUMENT"
    first = caught.value.violations[0]
    assert caught.value.detail.startswith(f"{first.field}: {first.description}")
    return {item.field: item for item in caught.value.violations}


def test_a_valid_request_passes() -> None:
    check_rules(identity_pb2.UpdateUserRequest(user_id=ID, role=identity_pb2.ROLE_STUDENT))


def test_names_are_json_s() -> None:
    found = violations(identity_pb2.UpdateUserRequest(user_id="x"))
    assert found == {"userId": Violation("userId", "string.uuid", "must be a valid UUID")}


def test_nested_fields() -> None:
    price = courses_pb2.Money(amount_minor=-1, currency="usd")
    found = violations(courses_pb2.CreateCourseRequest(title="A", price=price))
    assert set(found) == {"price.amountMinor", "price.currency"}
    assert found["price.currency"].description == "must be an ISO 4217 code of three capital letters"


def test_repeated_fields_name_the_index() -> None:
    found = violations(courses_pb2.CreateCourseRequest(title=" ", tags=["good", " bad", "x" * 51], language="?"))
    assert set(found) == {"title", "tags[1]", "tags[2]", "language"}
    assert found["title"].description == "must not be blank, nor have line breaks or control characters"
    assert found["tags[1]"].rule == "string.pattern"
    assert found["tags[1]"].description.startswith("must not be blank, nor begin or end with a space")
    assert found["tags[2]"].description == "must be at most 50 characters"
    assert found["language"].description == 'must be a BCP 47 language tag such as "en"'


def test_nested_in_repeated_fields() -> None:
    good = quizzes_pb2.Question(prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=1)
    found = violations(quizzes_pb2.PutExamRequest(course_id=ID, title="Exam", questions=[good, quizzes_pb2.Question(id="a b")]))
    assert {"questions[1].id", "questions[1].prompt", "questions[1].kind"} <= set(found)
    assert not any(path.startswith("questions[0]") for path in found)
    assert found["questions[1].kind"].description == "must be set"


def test_enums_in_words() -> None:
    found = violations(identity_pb2.UpdateUserRequest(user_id=ID, role=99, status=identity_pb2.USER_STATUS_DELETED))  # type: ignore[arg-type]
    assert found["role"].description == "must be one of ROLE_ADMIN, ROLE_INSTRUCTOR, ROLE_STUDENT, ROLE_PARENT"
    assert found["status"].description == "must be one of USER_STATUS_ACTIVE, USER_STATUS_SUSPENDED"


def test_the_detail_counts_the_rest() -> None:
    with pytest.raises(InvalidArgument, match=r"^userId: must be a valid UUID \(and 1 more\)$"):
        check_rules(identity_pb2.UpdateUserRequest(user_id="x", role=99))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"^pageSize: must be greater than or equal to 0$"):
        check_rules(payments_pb2.ListPaymentsRequest(page_size=-1))


def fields(message: Any, seen: set[str]) -> Iterator[Any]:
    if message.full_name not in seen:
        seen.add(message.full_name)
        for field in message.fields:
            yield field
            if field.message_type is not None:
                yield from fields(field.message_type, seen)


def patterns() -> set[str]:
    """Every pattern that a request of the contract is checked with."""
    found: set[str] = set()
    seen: set[str] = set()
    for method in load_methods():
        for field in fields(method.request_type.DESCRIPTOR, seen):
            rules = field.GetOptions().Extensions[validate_pb2.field]
            found |= {rules.string.pattern, rules.repeated.items.string.pattern}
    return found - {""}


def test_every_pattern_of_the_contract_is_put_into_words() -> None:
    assert patterns() == set(_PATTERN_WORDS)


class Counting:
    """Counts how often the rules themselves are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        monkeypatch.setattr(validate, "check_rules", self.check)

    def check(self, request: Message) -> None:
        self.times += 1
        check_rules(request)


def test_the_same_valid_bytes_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, known = Counting(monkeypatch), KnownValid()
    for _ in range(3):
        known.check_rules(courses_pb2.GetCourseRequest(course_id=ID))
    assert counting.times == 1
    # The same bytes mean something else to another type.
    known.check_rules(courses_pb2.GetLectureRequest(lecture_id=ID))
    assert counting.times == 2


def test_a_refused_request_is_refused_each_time() -> None:
    known, request = KnownValid(), courses_pb2.GetCourseRequest(course_id=ID)
    known.check_rules(request)
    request.course_id = "x"
    for _ in range(2):
        with pytest.raises(InvalidArgument):
            known.check_rules(request)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, known = Counting(monkeypatch), KnownValid()
    monkeypatch.setattr(validate, "MAX_VALID", 3)
    for size in (1, 2, 3, 4, 5, 1):
        known.check_rules(payments_pb2.ListPaymentsRequest(page_size=size))
    assert counting.times == 6
    long = courses_pb2.ListCoursesRequest(page_token="x" * MAX_VALID_BYTES)
    for _ in range(2):
        known.check_rules(long)
    assert counting.times == 8


def test_no_rule_looks_at_the_clock() -> None:
    """Or a request that was valid once could not be taken for valid again."""
    seen: set[str] = set()
    found = [field for method in load_methods() for field in fields(method.request_type.DESCRIPTOR, seen)]
    rules = [f"{field.GetOptions()} {field.containing_type.GetOptions()}" for field in found]
    assert any("max_len" in rule for rule in rules)
    assert [rule for rule in rules if re.search(r"\b(lt_now|gt_now|within|now)\b", rule)] == []
