"""Says what is wrong with a JSON value that is meant to be a message: one violation a field."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract.errors import Violation
from http_gateway.descriptors import (
    INT64_TYPES,
    INT_TYPES,
    enum_of,
    is_map,
    is_object,
    is_wrapper,
    json_fields,
    message_of,
    value_field,
)

MAX_VIOLATIONS = 20
_NAME_LENGTH = 100  # what is shown of a name nobody knows
_TEXT_FORMS = {
    "google.protobuf.Timestamp": "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "must be a duration such as 1.5s",
    "google.protobuf.FieldMask": "must be field names separated by commas",
}
UNKNOWN_FIELD = "unknown_field"
WRONG_VALUE = "type"


def find_faults(descriptor: Descriptor, value: Any, probe: bool) -> list[Violation]:
    """At most MAX_VIOLATIONS faults: unknown fields and values of the wrong shape; with `probe`, also every
    value that json_format refuses, which takes a try a field."""
    return list(islice(_object(descriptor, value, "", probe), MAX_VIOLATIONS))


def expected(field: FieldDescriptor) -> str:
    """What a single value of the field must be, as a sentence without its subject."""
    kind = field.type
    if kind == FieldDescriptor.TYPE_MESSAGE:
        name = message_of(field).full_name
        if is_wrapper(message_of(field)):
            return expected(message_of(field).fields_by_name["value"])
        return _TEXT_FORMS.get(name, "must be an object")
    if kind == FieldDescriptor.TYPE_ENUM:
        return "must be one of " + ", ".join(value.name for value in enum_of(field).values)
    if kind in INT_TYPES:
        unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
        bits = 64 if kind in INT64_TYPES else 32
        low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return f"must be a whole number from {low} to {high}"
    if kind in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return "must be a number"
    if kind == FieldDescriptor.TYPE_BYTES:
        return "must be base64 text"
    return "must be true or false" if kind == FieldDescriptor.TYPE_BOOL else "must be text"


def shown(name: str) -> str:
    """A caller's own name for something, short enough to be sent back."""
    return name if len(name) <= _NAME_LENGTH else name[:_NAME_LENGTH] + "..."


def _object(descriptor: Descriptor, value: Any, path: str, probe: bool) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield Violation(path, WRONG_VALUE, "must be an object")
        return
    fields = json_fields(descriptor)
    for name, item in value.items():
        field = fields.get(name)
        place = f"{path}.{shown(name)}" if path else shown(name)
        if field is None:
            yield Violation(place, UNKNOWN_FIELD, "there is no such field")
        elif item is not None:
            yield from _field(field, item, place, probe)


def _field(field: FieldDescriptor, value: Any, path: str, probe: bool) -> Iterator[Violation]:
    if is_map(field):
        yield from _map(field, value, path, probe)
    elif not field.is_repeated:
        yield from _single(field, value, path, probe)
    elif not isinstance(value, list):
        yield Violation(path, WRONG_VALUE, "must be a list")
    else:
        for index, item in enumerate(value):
            yield from _single(field, item, f"{path}[{index}]", probe)


def _map(field: FieldDescriptor, value: Any, path: str, probe: bool) -> Iterator[Violation]:
    inner = value_field(field)
    if not isinstance(value, dict):
        yield Violation(path, WRONG_VALUE, "must be an object")
    elif inner.type == FieldDescriptor.TYPE_MESSAGE and is_object(message_of(inner)):
        for key, item in value.items():
            yield from _object(message_of(inner), item, f"{path}[{shown(key)}]", probe)
    elif probe and not _accepted(field, value):
        yield Violation(path, WRONG_VALUE, f"each value {expected(inner)}")


def _single(field: FieldDescriptor, value: Any, path: str, probe: bool) -> Iterator[Violation]:
    if field.type == FieldDescriptor.TYPE_MESSAGE and is_object(message_of(field)):
        # One try of the whole is cheaper than a try of each of its fields.
        if not (probe and _accepted(field, [value] if field.is_repeated else value)):
            yield from _object(message_of(field), value, path, probe)
    elif probe and not _accepted(field, [value] if field.is_repeated else value):
        yield Violation(path, WRONG_VALUE, expected(field))


def _accepted(field: FieldDescriptor, value: Any) -> bool:
    try:
        json_format.ParseDict(
            {field.json_name: value}, message_factory.GetMessageClass(cast(Descriptor, field.containing_type))()
        )
    except Exception:  # json_format lets TypeError and OverflowError through beside its own error
        return False
    return True
