"""Examples made from schemas: valid by them, with values that people would send."""

from __future__ import annotations

from typing import Any

from http_gateway.openapi.rules import Schema

_ID = "0198f7a2-6d3c-7b1e-9a54-2f8c1d0e4b67"
_CERTIFICATE = "SF-7Q2M9XKD4T1RZB6VWC3HNJ8PYE5"
_TIME = "2026-01-31T12:00:00Z"
# By the property's name, where the schema allows them.
_VALUES: dict[str, Any] = {
    "accentColor": "#1a56c4",
    "action": "course.update",
    "amountMinor": 4900,
    "body": "Hello Bob",
    "certificateId": _CERTIFICATE,
    "checkoutUrl": "https://pay.example.com/checkout/1",
    "clientMessageId": "m1",
    "code": "SPRING-26",
    "couponCode": "SPRING-26",
    "courseTitle": "Searching by halves",
    "currency": "EUR",
    "date": "2026-01-31",
    "description": "Halve it, and halve it again.",
    "displayName": "Ada Lovelace",
    "durationSeconds": 300,
    "email": "ada@example.com",
    "etag": "7",
    "explanation": "Six by seven.",
    "instance": "4f1c0f4cbe0a4f7f8e1d2c3b",
    "instructorName": "Grace Hopper",
    "language": "en",
    "nextPageToken": "",
    "notes": "# Read this",
    "pageSize": 20,
    "passPercent": 70,
    "percent": 50,
    "prompt": "What is six times seven?",
    "query": "search",
    "sdp": "v=0\r\n",
    "studentName": "Ada Lovelace",
    "subtitle": "With distinction",
    "tags": ["algorithms"],
    "tag": "algorithms",
    "targetType": "course",
    "timeLimitSeconds": 1800,
    "title": "Searching by halves",
    "url": "https://videos.example.com/1.mp4",
    "maxWords": 100,
    "verifyUrl": f"https://skillforge.example.com/certificates/{_CERTIFICATE}/verify",
}
_FORMATS: dict[str, Any] = {
    "byte": "iVBORw0KGgo=", "date-time": _TIME, "email": "ada@example.com", "int64": "42", "uuid": _ID, "uri": "https://example.com/",
}  # fmt: skip
_MAX_DEPTH = 12


class Examples:
    """Makes examples of schemas that may refer to `components`."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        """An example; `name` is the property's that holds it."""
        if "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        if "enum" in schema:
            return next((item for item in schema["enum"] if not item.endswith("_UNSPECIFIED")), schema["enum"][0])
        kind = schema["type"]
        if kind == "object":
            return self._object(schema, depth)
        if name in _VALUES and _fits(schema, _VALUES[name]):
            return _VALUES[name]
        if kind == "array":
            return [] if depth > _MAX_DEPTH else [self.of(schema["items"], name.removesuffix("s"), depth + 1)]
        return _scalar(schema, kind, name)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        bad = [set(item["required"]) for item in schema.get("not", {}).get("anyOf", ()) if "required" in item]
        made: dict[str, Any] = {}
        for name, item in schema.get("properties", {}).items():
            if not any(name in pair and pair & made.keys() for pair in bad):
                made[name] = self.of(item, name, depth + 1)
        return made


def _scalar(schema: Schema, kind: str, name: str) -> Any:
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return max(1, int(schema.get("minimum", 0)))
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if name == "id" or name.endswith("Id"):
        return _ID
    return ("a" * schema["minLength"]) if schema.get("minLength", 0) > len("text") else "text"


def _fits(schema: Schema, value: Any) -> bool:
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "array": list, "boolean": bool}
    return isinstance(value, kinds[schema["type"]]) and schema.get("format") != "uuid"
