"""The OpenAPI 3.1 document of the whole REST interface.

Source: https://spec.openapis.org/oas/v3.1.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import metadata, resources
from typing import Any

from contract.comments import comment_of
from contract.methods import HttpRoute, Method
from http_gateway.descriptors import descriptor_of, is_object
from http_gateway.openapi.failures import failure_responses, failure_schemas
from http_gateway.openapi.operations import Operations, public_path, tag_of
from http_gateway.openapi.rules import Schema
from http_gateway.openapi.schemas import Schemas
from http_gateway.openapi.system_paths import BEARER, SYSTEM, SYSTEM_TEXT, system_paths

_TEXT: Schema = {"type": "string"}
_HEADERS = {
    "X-Request-Id": "The request's id: the caller's own if it sent a sane one.",
    "RateLimit": 'What is left of the limit that is nearest, such as `"user";r=598;t=1`.',
    "RateLimit-Policy": 'That limit, such as `"user";q=600;w=60`: 600 calls in 60 seconds.',
    "ETag": "The entity tag: send it back as `If-Match` or `If-None-Match`.",
    "Idempotency-Replayed": "`true` where the answer is the first one, given again.",
    "Content-Disposition": "The name to keep the file under.",
    "Content-Range": "How many bytes there are.",
    "Retry-After": "After how many seconds a repeat may succeed.",
    "WWW-Authenticate": "How to sign in (RFC 6750).",
}
_NUMBERS = {"Retry-After"}
_ALWAYS_SENT = {"X-Request-Id", "Retry-After", "WWW-Authenticate"}
_PARAMETERS = {
    "IdempotencyKey": (
        "Idempotency-Key",
        "Made by the client, anew for each thing to be created. A repeat within a day gets the first answer and creates nothing.",
        {**_TEXT, "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    ),
    "IfMatch": (
        "If-Match",
        "The `ETag`, or the `etag`, that the change is based on: a later state is refused (412).",
        _TEXT,
    ),
    "IfNoneMatch": ("If-None-Match", "The `ETag` of the answer that the caller has.", _TEXT),
    "Range": ("Range", "The bytes wanted (RFC 9110), such as `bytes=0-1023`.", _TEXT),
}


def build_document(methods: Iterable[Method], pages: Collection[str], served: Collection[str]) -> dict[str, Any]:
    """The document. `pages`: paths of methods that browsers get a page of; `served`: the door's own paths.

    Raises RuleError for an input rule that has no constraint.
    """
    bound = [(method, route) for method in methods for route in method.routes]
    replies = [descriptor_of(method.reply_type) for method, _ in bound]
    schemas = Schemas(item for item in replies if is_object(item))
    operations = Operations(schemas, pages)
    paths: dict[str, dict[str, Schema]] = {}
    for method, route in bound:
        verbs = paths.setdefault(public_path(route.template), {})
        verb = route.verb.lower()
        operation = operations.describe(method, route)
        verbs[verb] = _merged(verbs[verb], operation) if verb in verbs else operation
    for path, own in system_paths(served).items():
        paths[path] = {**own, **paths.get(path, {})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SkillForge LMS",
            "version": metadata.version("skillforge-lms"),
            "description": resources.files("http_gateway.openapi").joinpath("introduction.md").read_text(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": _tags(bound),
        "paths": paths,
        "components": _components(schemas, bound),
    }


def _merged(usual: Schema, other: Schema) -> Schema:
    """One operation for two methods at one verb and path, chosen by Accept: what the second produces, and its words."""
    merged = {**usual, "responses": dict(usual["responses"])}
    merged["description"] = f"{usual['description']}\n\n{other['description']}"
    for status, response in other["responses"].items():
        mine = usual["responses"].get(status, {})
        if "content" in response and "content" in mine:
            headers = {**mine["headers"], **response["headers"]}
            response = {**mine, "headers": headers, "content": {**mine["content"], **response["content"]}}
        merged["responses"][status] = response
    return merged


def _tags(bound: Iterable[tuple[Method, HttpRoute]]) -> list[Schema]:
    texts = {tag_of(method): comment_of(method.service) for method, _ in bound} | {SYSTEM: SYSTEM_TEXT}
    return [{"name": name, "description": text} for name, text in texts.items()]


def _components(schemas: Schemas, bound: Iterable[tuple[Method, HttpRoute]]) -> Schema:
    signatures = {name for method, _ in bound for name in method.signature_headers if "signature" in name.lower()}
    return {
        "schemas": dict(sorted((schemas.components | failure_schemas()).items())),
        "responses": failure_responses(),
        "headers": {name: _header(name, text) for name, text in _HEADERS.items()},
        "parameters": {
            key: {"name": name, "in": "header", "description": text, "schema": schema}
            for key, (name, text, schema) in _PARAMETERS.items()
        },
        "securitySchemes": {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A session token of Clerk's: `Authorization: Bearer <token>`.",
            },
            **{name: {"type": "apiKey", "in": "header", "name": name} for name in sorted(signatures)},
        },
    }


def _header(name: str, text: str) -> Schema:
    schema = {"type": "integer"} if name in _NUMBERS else _TEXT
    return {"description": text, "schema": schema, **({"required": True} if name in _ALWAYS_SENT else {})}
