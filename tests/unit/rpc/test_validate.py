"""Broken input rules: where and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from buf.validate import validate_pb2
from contract.errors import Violation
from contract.methods import load_methods
from core.errors import InvalidArgument
from core.rpc.validate import _PATTERN_WORDS, check_rules
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
