"""Input rules (buf.validate) as constraints of JSON Schema 2020-12.

Source: buf/validate/validate.proto; https://json-schema.org/draft/2020-12/json-schema-validation.
"""

from __future__ import annotations

import math
import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from http_gateway.descriptors import INT64_TYPES, INT_TYPES, enum_of
from http_gateway.openapi.patterns import portable

Schema = dict[str, Any]

_RANGES = {"gt": "exclusiveMinimum", "gte": "minimum", "lt": "exclusiveMaximum", "lte": "maximum"}
_TEXTS = {"min_len": "minLength", "max_len": "maxLength", "max_bytes": "maxLength"}
_FORMATS = {"uuid": "uuid", "email": "email", "uri": "uri", "hostname": "hostname"}
_INT32 = (-(2**31), 2**31 - 1)
_UINT32 = (0, 2**32 - 1)


class RuleError(Exception):
    """An input rule that nobody has said how to write as a constraint."""


def rules_of(field: Any) -> validate_pb2.FieldRules:
    """The input rules of a field; empty where it has none."""
    return field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[no-any-return]


def message_rules(descriptor: Any) -> validate_pb2.MessageRules:
    """The input rules of a message as a whole."""
    return descriptor.GetOptions().Extensions[validate_pb2.message]  # type: ignore[no-any-return]


def value_rules(rules: validate_pb2.FieldRules, field: FieldDescriptor) -> Schema:
    """What a single value may be. Raises RuleError."""
    kind = rules.WhichOneof("type")
    given = {name.name: value for name, value in getattr(rules, kind).ListFields()} if kind else {}
    if field.type in INT64_TYPES:
        return {"pattern": _digits(given)}
    if field.type in INT_TYPES:
        return _whole(field, given)
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return {_RANGES[name]: value for name, value in given.items() if name != "finite"}
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(field, given)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"maxLength": 4 * math.ceil(given.pop("max_len") / 3)} if given else {}
    if field.type == FieldDescriptor.TYPE_STRING:
        return dict(_text(name, value) for name, value in given.items())
    if given:
        raise RuleError(f"{field.full_name} has rules of {kind}")
    return {}


def list_rules(rules: validate_pb2.FieldRules) -> Schema:
    """What a list as a whole may be."""
    found: Schema = {}
    if rules.repeated.min_items:
        found["minItems"] = rules.repeated.min_items
    if rules.repeated.max_items:
        found["maxItems"] = rules.repeated.max_items
    if rules.repeated.unique:
        found["uniqueItems"] = True
    return found


def sentences(rules: Any) -> list[str]:
    """What rules written as expressions (CEL) ask for, as sentences."""
    found = [rule.message for rule in rules.cel if rule.message]
    return [text[0].upper() + text[1:].rstrip(".") + "." for text in found]


def needs_one(oneof: Any) -> bool:
    """Whether one of the fields of a oneof must be given."""
    return bool(oneof.GetOptions().Extensions[validate_pb2.oneof].required)


def must_be_given(field: FieldDescriptor) -> bool:
    """Whether a request without the field is refused by the field's rules."""
    rules = rules_of(field)
    if rules.required:
        return True
    if field.has_presence or rules.ignore != validate_pb2.IGNORE_UNSPECIFIED:
        return False
    if field.is_repeated:
        return bool(rules.repeated.min_items)
    return not _allows_default(field, value_rules(rules, field))


def _allows_default(field: FieldDescriptor, schema: Schema) -> bool:
    """Whether a field's value may be what it is when it is left out."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum_of(field).values[0].name in schema.get("enum", [enum_of(field).values[0].name])
    if field.type in INT64_TYPES:
        return _matches(schema["pattern"], "0")
    if field.type == FieldDescriptor.TYPE_STRING:
        return not (
            schema.get("minLength")
            or "format" in schema
            or "" not in schema.get("enum", [""])
            or not _matches(schema.get("pattern", ""), "")
        )
    return bool(schema.get("minimum", 0) <= 0 and schema.get("exclusiveMinimum", -1) < 0)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _digits(given: dict[str, Any]) -> str:
    """64-bit numbers are texts in JSON: up to 18 digits, which always fit."""
    lowest = given.pop("gte", None)
    if given or lowest not in (None, 0, 1):
        raise RuleError(f"a 64-bit number with the rules {given} or from {lowest} on")
    return {None: "^-?[0-9]{1,18}$", 0: "^[0-9]{1,18}$", 1: "^[1-9][0-9]{0,17}$"}[lowest]


def _whole(field: FieldDescriptor, given: dict[str, Any]) -> Schema:
    low, high = _UINT32 if field.cpp_type == FieldDescriptor.CPPTYPE_UINT32 else _INT32
    found: Schema = {_RANGES[name]: value for name, value in given.items()}
    if "exclusiveMinimum" not in found:
        found.setdefault("minimum", low)
    if "exclusiveMaximum" not in found:
        found.setdefault("maximum", high)
    return found


def _enum(field: FieldDescriptor, given: dict[str, Any]) -> Schema:
    allowed, refused = given.get("in"), given.get("not_in", ())
    if allowed is None and not refused:
        return {}
    values = [value for value in enum_of(field).values if value.number not in refused]
    return {"enum": [value.name for value in values if allowed is None or value.number in allowed]}


def _text(name: str, value: Any) -> tuple[str, Any]:
    if name in _TEXTS:
        return _TEXTS[name], value
    if name in _FORMATS:
        return "format", _FORMATS[name]
    if name == "pattern":
        return "pattern", portable(value)
    if name in ("in", "const"):
        return "enum", list(value) if name == "in" else [value]
    raise RuleError(f"the rule string.{name}")
