"""Lists longer than their input rules allow, cut behind the first item too many.

A mebibyte of JSON holds hundreds of thousands of items, which take seconds to become messages. What is cut is refused all
the same: the rules, which every request meets next, see one item too many.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from http_gateway.descriptors import is_map, is_object, json_fields, max_items, message_of


def cut(descriptor: Descriptor, value: Any) -> Any:
    """The JSON value of a message with the lists in it cut; changed in place."""
    if isinstance(value, dict):
        for name, (field, most) in _lists(descriptor).items():
            if name in value:
                value[name] = _cut_field(field, most, value[name])
    return value


def _cut_field(field: FieldDescriptor, most: int, value: Any) -> Any:
    inner = message_of(field) if field.type == FieldDescriptor.TYPE_MESSAGE else None
    if not field.is_repeated:
        return cut(inner, value) if inner is not None else value
    if isinstance(value, list):
        if 0 < most < len(value):
            value = value[: most + 1]
        if inner is not None and _lists(inner):
            for item in value:
                cut(inner, item)
    return value


@cache
def _lists(descriptor: Descriptor) -> dict[str, tuple[FieldDescriptor, int]]:
    """By their names in JSON, the fields that are lists or objects that may hold some, and how many items they may have."""
    if not is_object(descriptor):
        return {}
    return {
        name: (field, max_items(field))
        for name, field in json_fields(descriptor).items()
        if not is_map(field) and (field.is_repeated or field.type == FieldDescriptor.TYPE_MESSAGE)
    }
