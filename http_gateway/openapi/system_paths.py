"""The door's own paths, which are no methods of the contract."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from http_gateway.openapi.failures import failure_reference
from http_gateway.openapi.rules import Schema
from http_gateway.outgoing import JSON

BEARER = "bearer"
SYSTEM = "System"
SYSTEM_TEXT = "Whether the service is well, and what it says about itself."
_TEXT: Schema = {"type": "string"}
_PARTS: Schema = {
    "type": "object",
    "properties": {"status": _TEXT, "parts": {"type": "object", "additionalProperties": _TEXT}},
    "required": ["status", "parts"],
}
_TOLD = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
_BUSY = {**_TOLD, "Retry-After": {"$ref": "#/components/headers/Retry-After"}}


def system_paths(served: Collection[str]) -> dict[str, Any]:
    """What is known of the paths that are served."""
    return {path: {"get": operation} for path, operation in _operations().items() if path in served}


def _operations() -> dict[str, Schema]:
    status: Schema = {"type": "object", "properties": {"status": _TEXT}, "required": ["status"]}
    upgrade = _answer("The connection is a WebSocket now.", {})
    return {
        "/": _operation("index", "What this service is: a page for browsers, the routes as JSON for programs", {
            "200": _answer("OK", {JSON: {"type": "object", "additionalProperties": True}, "text/html": _TEXT}),
        }),
        "/healthz": _operation("healthz", "Whether this process is alive", {"200": _answer("OK", {JSON: status})}),
        "/readyz": _operation("readyz", "Whether requests can be served: MySQL, Redis, migrations", {
            "200": _answer("Ready", {JSON: _PARTS}),
            "503": {**_answer("Not ready: `parts` tells which part is missing.", {JSON: _PARTS}), "headers": _BUSY},
        }),
        "/metrics": _operation("metrics", "Figures for Prometheus, for whoever sends `METRICS_TOKEN` as a bearer token", {
            "200": _answer("OK", {"text/plain": _TEXT}), "401": failure_reference(401), "403": failure_reference(403),
        }) | {"security": [{BEARER: []}]},
        "/openapi.json": _operation("openApi", "This document", {
            "200": _answer("OK", {JSON: {"type": "object", "additionalProperties": True}}), "304": _answer("Unchanged", {}),
        }),
        "/docs": _operation("docs", "This document as a page", {
            "200": _answer("OK", {"text/html": _TEXT}), "304": _answer("Unchanged", {}),
        }),
        "/docs/realtime": _operation("realtimeDocs", "The guide to the WebSocket, as a page", {
            "200": _answer("OK", {"text/html": _TEXT}), "304": _answer("Unchanged", {}),
        }),
        "/certificates/verify": _operation("verifyStart", "A page that takes a certificate's number or file", {
            "200": _answer("OK", {"text/html": _TEXT}), "303": _answer("To the page of the number that was typed.", {}),
        }),
        "/ws": _operation("connect", "Upgrades to a WebSocket, which carries what happens to a user, chat and calls", {
            "101": upgrade, "400": failure_reference(400), "403": failure_reference(403), "503": failure_reference(503),
        }),
    }  # fmt: skip


def _operation(name: str, summary: str, responses: Schema) -> Schema:
    return {"operationId": name, "tags": [SYSTEM], "summary": summary, "security": [], "responses": responses}


def _answer(text: str, content: dict[str, Schema]) -> Schema:
    found: Schema = {"description": text, "headers": _TOLD}
    return {**found, "content": {kind: {"schema": schema} for kind, schema in content.items()}} if content else found
