"""The contract itself: every RPC is complete, and every documented route is there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from contract.methods import ContractError, Method, load_methods
from core.rpc.dispatcher import Dispatcher
from skillforge.v1 import errors_pb2

METHODS = load_methods()
IDS = [method.name for method in METHODS]

# The documented routes of the features that exist, as the API's documentation writes them.
DOCUMENTED = """
POST /auth/sync-user
GET /auth/me
POST /auth/sign-out
POST /auth/webhooks/clerk
GET /users
GET /users/{userId}
PATCH /users/{userId}
GET /users/me/export
POST /users/me/erase
GET /admin/audit-events
POST /courses
GET /courses
GET /courses/{courseId}
PUT /courses/{courseId}
DELETE /courses/{courseId}
POST /courses/{courseId}/publish
POST /courses/{courseId}/unpublish
POST /courses/{courseId}/modules
PUT /modules/{moduleId}
DELETE /modules/{moduleId}
POST /modules/{moduleId}/lectures
PUT /lectures/{lectureId}
DELETE /lectures/{lectureId}
PUT /courses/{courseId}/outline
GET /lectures/{lectureId}
PUT /lectures/{lectureId}/quiz
GET /lectures/{lectureId}/quiz
DELETE /lectures/{lectureId}/quiz
PUT /courses/{courseId}/exam
GET /courses/{courseId}/exam
DELETE /courses/{courseId}/exam
GET /quizzes/{quizId}
POST /quizzes/{quizId}/attempts
PUT /attempts/{attemptId}/answers
POST /attempts/{attemptId}/submit
GET /attempts/{attemptId}
GET /quizzes/{quizId}/attempts
POST /payments/create
POST /payments/webhook
POST /payments/{paymentId}/refund
POST /coupons
GET /coupons
GET /coupons/{couponId}
DELETE /coupons/{couponId}
GET /payments/{paymentId}
GET /payments
POST /courses/{courseId}/enroll
GET /enrollments
GET /courses/{courseId}/students
POST /progress/lecture
GET /progress/course/{courseId}
GET /progress/course/{courseId}/students
GET /analytics/courses/{courseId}
GET /analytics/overview
POST /families/link-codes
POST /families/children
GET /families/children
DELETE /families/children/{childId}
GET /families/parents
DELETE /families/parents/{parentId}
POST /friends/request
POST /friends/{userId}/accept
POST /friends/{userId}/decline
POST /friends/{userId}/block
POST /friends/{userId}/unblock
DELETE /friends/{userId}
GET /friends
GET /friends/requests
GET /chat/history/{userId}
GET /chat/conversations
POST /chat/messages
POST /chat/read
GET /calls
GET /calls/ice-servers
POST /realtime/ticket
GET /families/children/{childId}/progress
GET /families/children/{childId}/certificates
GET /families/children/{childId}/attempts
POST /certificates/generate
GET /certificates
GET /certificates/{certificateId}/download
GET /courses/{courseId}/certificate-template
PUT /courses/{courseId}/certificate-template
DELETE /courses/{courseId}/certificate-template
GET /courses/{courseId}/certificate-template/preview
GET /certificates/{certificateId}/verify
POST /certificates/verify
GET /certificates/{certificateId}/badge
GET /certificates/{certificateId}/badge/status
GET /certificates/issuer
GET /certificates/keys/{keyId}
GET /.well-known/jwks.json
POST /certificates/{certificateId}/revoke
POST /certificates/{certificateId}/reissue
POST /ai/summarize
POST /ai/summarize/stream
POST /ai/quiz
POST /ai/quiz/stream
POST /ai/feedback
POST /ai/feedback/stream
"""


def documented_form(method: Method) -> set[str]:
    """A method's routes with their variables in camel case."""
    return {f"{route.verb} " + re.sub(r"_(\w)", lambda match: match[1].upper(), route.template) for route in method.routes}


def test_exactly_the_documented_routes_are_there() -> None:
    present = set().union(*(documented_form(method) for method in METHODS))
    assert present == set(DOCUMENTED.strip().splitlines())


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_method_has_a_route_an_access_rule_and_a_success_status(method: Method) -> None:
    assert method.routes or method.frame or method.lasting  # a frame or an internal stream needs none
    assert method.access
    assert method.success_status in (200, 201, 202, 204)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_path_variable_is_a_field_with_an_input_rule(method: Method) -> None:
    for route in method.routes:
        for name in re.findall(r"\{(\w+)\}", route.template):
            assert _has_rule(method.request_type.DESCRIPTOR.fields_by_name[name]), name


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_string_or_list_that_a_caller_sends_has_a_limit(method: Method) -> None:
    unlimited = [field for field in _sent_fields(method.request_type.DESCRIPTOR, set()) if not _has_rule(field)]
    assert [field.full_name for field in unlimited] == []


READS = [method for method in METHODS if method.routes and method.routes[0].verb == "GET"]
LISTS = [method for method in METHODS if method.name.startswith("List")]


@pytest.mark.parametrize("method", READS, ids=lambda method: str(method.name))
def test_a_read_has_no_body_and_is_not_audited(method: Method) -> None:
    assert method.routes[0].body == ""
    assert method.audit == ""


@pytest.mark.parametrize("method", LISTS, ids=lambda method: str(method.name))
def test_a_list_has_pages(method: Method) -> None:
    assert {"page_size", "page_token"} <= set(method.request_type.DESCRIPTOR.fields_by_name)
    assert "next_page_token" in method.reply_type.DESCRIPTOR.fields_by_name


def test_a_201_post_honours_idempotency_keys() -> None:
    creating = [method for method in METHODS if method.success_status == 201 and method.name != "SyncUser"]
    assert [method.name for method in creating if not method.idempotency_key] == []


def test_every_reason_has_its_prefix() -> None:
    assert all(name.startswith("ERROR_REASON_") for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name)


def test_a_method_without_a_handler_stops_the_start_up() -> None:
    with pytest.raises(ContractError, match="has no handler"):
        Dispatcher(METHODS, {}, authenticator=None, quotas=None, idempotency=None, clock=None)  # type: ignore[arg-type]


def _has_rule(field: Any) -> bool:
    return bool(field.GetOptions().HasExtension(validate_pb2.field))


def _sent_fields(message: Any, seen: set[str]) -> list[Any]:
    """The string, bytes and repeated fields of a request and of the messages in it."""
    if message.full_name in seen or message.full_name.startswith("google."):
        return []
    seen.add(message.full_name)
    found = []
    for field in message.fields:
        if field.is_repeated or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            found.append(field)
        if field.message_type is not None:
            found += _sent_fields(field.message_type, seen)
    return found
