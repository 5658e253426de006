"""One operation for each binding of a method."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty

from contract.comments import comment_of
from contract.methods import HttpRoute, Method
from http_gateway.descriptors import descriptor_of, is_map, is_object, message_of
from http_gateway.event_streams import EVENT_STREAM
from http_gateway.openapi.examples import Examples
from http_gateway.openapi.failures import failure_reference, failure_statuses
from http_gateway.openapi.rules import Schema, must_be_given
from http_gateway.openapi.schemas import Schemas
from http_gateway.openapi.system_paths import BEARER
from http_gateway.outgoing import JSON
from http_gateway.problems import phrase
from skillforge.options.v1 import options_pb2

_PATH_VARIABLE = re.compile(r"\{(\w+)[^}]*\}")
_SENTENCE_END = re.compile(r"(?<=[.:])\s+")
_OPEN = {options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_SIGNED}
_WHO = {
    options_pb2.ACCESS_PUBLIC: "anyone",
    options_pb2.ACCESS_TOKEN: "whoever holds a valid token, also without an account",
    options_pb2.ACCESS_ANY: "every signed-in user",
    options_pb2.ACCESS_ADMIN: "admins",
    options_pb2.ACCESS_INSTRUCTOR: "instructors",
    options_pb2.ACCESS_STUDENT: "students",
    options_pb2.ACCESS_PARENT: "parents",
    options_pb2.ACCESS_SIGNED: "whoever signs the body",
}
_RAW: Schema = {"type": "string", "format": "binary"}


def summary_of(method: Method) -> str:
    """The first sentence of the method's comment, without its full stop."""
    return " ".join(_SENTENCE_END.split(comment_of(full_name(method)), 1)[0].split()).rstrip(".:")


def _text_of(method: Method) -> str:
    """What the method's comment says beyond its summary."""
    first, *rest = _SENTENCE_END.split(comment_of(full_name(method)), 1)
    return comment_of(full_name(method)) if first.endswith(":") else "".join(rest)


def full_name(method: Method) -> str:
    """The method's name in the contract, such as "skillforge.v1.CoursesService.GetCourse"."""
    return f"{method.service}.{method.name}"


def tag_of(method: Method) -> str:
    """The name of the method's group: its service's."""
    return method.service.rpartition(".")[2].removesuffix("Service")


def who(method: Method) -> str:
    """Who may call a method, in words: "admins and instructors"."""
    names = [text for access, text in _WHO.items() if access in method.access]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def public_path(template: str) -> str:
    """A route's path with its variables as JSON names them."""
    return _PATH_VARIABLE.sub(lambda found: "{" + _json_name(found[1]) + "}", template)


class Operations:
    """Describes methods. `pages`: paths of methods that browsers get a page of."""

    def __init__(self, schemas: Schemas, pages: Collection[str]) -> None:
        self._schemas = schemas
        self._examples = Examples(schemas.components)
        self._pages = pages

    def describe(self, method: Method, route: HttpRoute) -> Schema:
        """The operation of a binding."""
        operation: Schema = {
            "operationId": method.name[0].lower() + method.name[1:],
            "tags": [tag_of(method)],
            "summary": summary_of(method),
            "description": "\n\n".join(filter(None, [_text_of(method), *self._notes(method)])),
            "security": _security(method),
        }
        parameters = [*self._parameters(method, route), *_headers(method, route)]
        if parameters:
            operation["parameters"] = parameters
        body = self._body(method, route)
        if body is not None:
            operation["requestBody"] = body
        failures = {str(status): failure_reference(status) for status in failure_statuses(method, route)}
        operation["responses"] = {**self._successes(method, route), **failures}
        return operation

    def _notes(self, method: Method) -> Iterator[str]:
        yield f"**Who:** {who(method)}."
        if method.limit:
            name = options_pb2.Limit.Name(method.limit)  # type: ignore[arg-type]
            yield f"**Limit:** calls count as `{name.removeprefix('LIMIT_').lower().replace('_', '-')}`, too."
        if method.max_body_bytes:
            yield f"**Body:** at most {method.max_body_bytes} bytes."
        if method.path in self._pages:
            yield "**Browsers** get a page instead (`Accept: text/html`)."

    def _parameters(self, method: Method, route: HttpRoute) -> Iterator[Schema]:
        fields = descriptor_of(method.request_type).fields_by_name
        bound = _PATH_VARIABLE.findall(route.template)
        for name in bound:
            schema = self._schemas.field(fields[name], sent=True)
            text = schema.pop("description", "")
            if schema["type"] == "string" and "format" not in schema:
                schema.setdefault("minLength", 1)
            yield {"name": _json_name(name), "in": "path", "required": True, **_text(text), "schema": schema}
        if route.body != "*":
            rest = [field for name, field in fields.items() if name not in bound and name != route.body]
            for field in rest:
                yield from self._query(field, "")

    def _query(self, field: FieldDescriptor, prefix: str) -> Iterator[Schema]:
        if is_map(field):
            return
        if field.type == FieldDescriptor.TYPE_MESSAGE and is_object(message_of(field)):
            for inner in message_of(field).fields if not field.is_repeated else ():
                yield from self._query(inner, f"{prefix}{field.json_name}.")
            return
        schema = self._schemas.field(field, sent=True)
        text = schema.pop("description", "")
        found = {"name": prefix + field.json_name, "in": "query", **_text(text), "schema": schema}
        yield {**found, "required": True} if must_be_given(field) else found

    def _body(self, method: Method, route: HttpRoute) -> Schema | None:
        if method.request_type is HttpBody:
            kinds = method.consumes or ("application/octet-stream",)
            return {"required": True, "content": {kind: {"schema": _raw_schema(kind)} for kind in kinds}}
        if not route.body:
            return None
        descriptor, without = _sent(method, route)
        reference = self._schemas.request(descriptor, without)
        if reference is None:
            return None
        schema = self._schemas.components[descriptor.name]
        content = {JSON: {"schema": reference, "example": self._examples.of(schema)}}
        return {"required": bool(schema.get("required") or "not" in schema), "content": content}

    def _successes(self, method: Method, route: HttpRoute) -> dict[str, Schema]:
        content = self._content(method)
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _answer_headers(method)}
        found: dict[str, Schema] = {}
        for status in sorted({method.success_status, *method.other_status}):
            body = {"content": content} if content and status != 204 else {}
            found[str(status)] = {"description": phrase(status), "headers": headers, **body}
        if method.ranges:
            parts = {kind: {"schema": _RAW} for kind in (method.produces, "multipart/byteranges")}
            found["206"] = {"description": "The bytes asked for by `Range`.", "headers": headers, "content": parts}
        if route.verb == "GET" and "ETag" in headers:
            found["304"] = {"description": "What the caller has (`If-None-Match`) is up to date.", "headers": headers}
        return found

    def _content(self, method: Method) -> dict[str, Schema]:
        if method.reply_type is Empty:
            return {}
        if method.reply_type is HttpBody:
            return {method.produces or "application/octet-stream": {"schema": _raw_schema(method.produces)}}
        reference = self._schemas.answer(descriptor_of(method.reply_type))
        if method.server_streaming:
            return {EVENT_STREAM: {"schema": _event(reference)}}
        return {JSON: {"schema": reference, "example": self._examples.of(reference)}}


def _sent(method: Method, route: HttpRoute) -> tuple[Descriptor, list[str]]:
    """The type of a JSON body, and its fields that the path gives instead."""
    if route.body == "*":
        return descriptor_of(method.request_type), _PATH_VARIABLE.findall(route.template)
    return message_of(descriptor_of(method.request_type).fields_by_name[route.body]), []


def _raw_schema(kind: str) -> Schema:
    if kind.startswith("text/") or kind.endswith("jwt"):
        return {"type": "string"}
    return {"type": "object", "additionalProperties": True} if kind.endswith("json") else _RAW


def _event(reference: Schema) -> Schema:
    """One event of a stream, as OpenAPI 3.2 writes them."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": reference}
    return {
        "type": "object",
        "description": "Server-sent events. The event `end` closes a complete answer, the event `error` with a `Problem` one "
        "that broke.",
        "properties": {"event": {"type": "string", "enum": ["message", "end", "error"]}, "data": data},
        "required": ["data"],
    }


def _headers(method: Method, route: HttpRoute) -> Iterator[Schema]:
    """The request headers that change what a method does."""
    names = ["IdempotencyKey"] if method.idempotency_key else []
    names += ["IfMatch"] if method.if_match else []
    names += ["IfNoneMatch"] if route.verb == "GET" and "ETag" in _answer_headers(method) else []
    names += ["Range"] if method.ranges else []
    for name in names:
        yield {"$ref": f"#/components/parameters/{name}"}


def _answer_headers(method: Method) -> list[str]:
    etag = method.reply_type.DESCRIPTOR.fields_by_name.get("etag")
    found = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    found += ["ETag"] if etag is not None or method.ranges else []
    found += ["Idempotency-Replayed"] if method.idempotency_key else []
    found += ["Content-Disposition"] if method.produces in ("application/pdf", "text/csv") else []
    return found


def _security(method: Method) -> list[dict[str, list[str]]]:
    if method.signature_headers:
        return [{name: []} for name in method.signature_headers if "signature" in name.lower()]
    return [{}, {BEARER: []}] if method.access & _OPEN else [{BEARER: []}]


def _text(text: str) -> dict[str, Any]:
    return {"description": text} if text else {}


def _json_name(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
