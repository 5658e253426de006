"""Holds answers of the REST door to the OpenAPI document: their statuses, their media types, the shape of their JSON."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
import orjson

from contract.methods import Method, load_methods
from http_gateway.openapi.document import build_document
from http_gateway.openapi.operations import public_path


def check_documented(method: Method, status: int, kind: str, body: bytes) -> None:
    """Fails for an answer that the document does not know; `kind` is its media type."""
    answers = _answers(method)
    assert str(status) in answers, f"{method.name} answered {status}, which is not documented"
    contents = answers[str(status)].get("content", {})
    if body:
        assert kind in contents, f"{method.name} answered {status} with {kind}, which is not documented"
        if kind.endswith("json") and "$ref" in contents[kind]["schema"]:
            faults = [error.message for error in _validator(contents[kind]["schema"]["$ref"]).iter_errors(orjson.loads(body))]
            assert faults == [], f"{method.name} answered {status}: {faults}"


@cache
def _document() -> dict[str, Any]:
    return build_document(load_methods(), (), ())


@cache
def _answers(method: Method) -> dict[str, Any]:
    """The documented answers of a method, by status."""
    route = method.routes[0]
    document = _document()
    answers = document["paths"][public_path(route.template)][route.verb.lower()]["responses"]
    return {
        status: document["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in answers.items()
    }


@cache
def _validator(reference: str) -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": reference, "components": _document()["components"]}, validate_formats=True)
