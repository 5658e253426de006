"""Errors as the document states them: one shape, and the statuses that each operation can answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.rpc import code_pb2

from contract.comments import comment_of
from contract.methods import HttpRoute, Method
from http_gateway.openapi.rules import Schema, rules_of
from http_gateway.problems import CONTENT_TYPE, phrase
from skillforge.v1 import errors_pb2

PROBLEM = "Problem"
_REASONS = errors_pb2.ErrorReason.DESCRIPTOR
_ALWAYS = (400, 401, 403, 429, 500, 503, 504)
_SAID = {
    400: "The request is wrong, or cannot be done as things stand; `violations` tells what is wrong where.",
    401: "Nobody is signed in, or the token is not valid any more.",
    403: "The caller may not do this.",
    404: "It is not there, or the caller may not know that it is.",
    409: "It is there already, or somebody is changing it at the same time: read it again.",
    412: "`If-Match` names a state that is not the present one: read it again. Nothing was changed.",
    413: "The body is too large.",
    415: "The body is of another media type, or compressed.",
    416: "None of the bytes asked for are there.",
    422: "The `Idempotency-Key` was used for another request.",
    429: "Too many calls: wait for `Retry-After` seconds.",
    500: "Something went wrong here. Quote the request id (`instance`) when you report it.",
    503: "Something this depends on is away: try again after `Retry-After` seconds.",
    504: "It took too long. Nothing may be assumed done: try again, with the same `Idempotency-Key`.",
}
_HEADERS = {401: ("WWW-Authenticate",), 416: ("Content-Range",), 429: ("Retry-After",), 503: ("Retry-After",)}


def failure_statuses(method: Method, route: HttpRoute) -> list[int]:
    """The error statuses a binding can answer."""
    found = set(_ALWAYS)
    found |= {404} if "{" in route.template or _names_something(method) else set()
    found |= {409} if route.verb != "GET" else set()
    found |= {412} if method.if_match else set()
    found |= {413, 415} if route.body else set()
    found |= {416} if method.ranges else set()
    found |= {422} if method.idempotency_key else set()
    return sorted(found)


def _names_something(method: Method) -> bool:
    """Whether the request names things by their ids."""
    return any(rules_of(field).string.uuid or field.name.endswith("_id") for field in method.request_type.DESCRIPTOR.fields)


def failure_reference(status: int) -> Schema:
    """A reference to the answer with an error status."""
    return {"$ref": f"#/components/responses/{_name(status)}"}


def failure_responses() -> dict[str, Schema]:
    """The answers with errors, to be referred to."""
    return {_name(status): _response(status, text) for status, text in _SAID.items()}


def failure_schemas() -> dict[str, Schema]:
    """The schemas of errors, by name."""
    text = {"type": "string"}
    violation = {
        "field": text | {"description": "The path of the field, such as `price.amountMinor` or `modules[2].title`."},
        "rule": text | {"description": "The rule's name."},
        "description": text | {"description": "What is wrong, for people."},
    }
    members: dict[str, Any] = {
        "type": text | {"format": "uri-reference"},
        "title": text,
        "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
        "detail": text | {"description": "What to do, for people."},
        "instance": text | {"description": "The request's id, as logs carry it."},
        "code": text | {"enum": [value.name for value in code_pb2.Code.DESCRIPTOR.values if value.number]},
        "reason": text | {"description": "Why, for programs: one of ErrorReason, which may grow."},
        "violations": {"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
    }
    return {
        PROBLEM: _object("An error (RFC 9457).", members),
        "Violation": _object("One thing that is wrong with a request.", violation),
        "ErrorReason": {"type": "string", "enum": [name for name, _ in reasons()], "description": comment_of(_REASONS.full_name)},
    }


def reasons() -> Iterable[tuple[str, str]]:
    """Every reason with its comment."""
    for value in _REASONS.values:
        if value.number:
            yield value.name.removeprefix("ERROR_REASON_"), comment_of(f"{_REASONS.full_name}.{value.name}")


def _name(status: int) -> str:
    return phrase(status).replace(" ", "").replace("-", "")


def _response(status: int, text: str) -> Schema:
    names = ("X-Request-Id", *_HEADERS.get(status, ()))
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {CONTENT_TYPE: {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}},
    }


def _object(text: str, members: dict[str, Any]) -> Schema:
    return {"type": "object", "description": text, "properties": members, "required": [*members]}
