"""Questions about descriptors that the codec and the query mapping both ask."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2

NULL_VALUE = "google.protobuf.NullValue"
INT64_TYPES = frozenset({
    FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64,
})  # fmt: skip
INT_TYPES = INT64_TYPES | {
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_SINT32,
    FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32,
}  # fmt: skip
# Messages whose JSON form is a string.
TEXT_MESSAGES = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"})
_FREE_FORM = frozenset({
    "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue",
})  # fmt: skip


def descriptor_of(message_type: type[Message]) -> Descriptor:
    """The descriptor of a message type (stubs name its two implementations)."""
    return cast(Descriptor, message_type.DESCRIPTOR)


def message_of(field: FieldDescriptor) -> Descriptor:
    """The type of a message field."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The type of an enum field."""
    assert field.enum_type is not None
    return field.enum_type


def identifier(full_name: str) -> str:
    """A message's full name as part of a Python identifier."""
    return full_name.replace("_", "__").replace(".", "_")


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map (protobuf stores it as repeated entry messages)."""
    return field.type == FieldDescriptor.TYPE_MESSAGE and message_of(field).GetOptions().map_entry


def key_field(field: FieldDescriptor) -> FieldDescriptor:
    """The key of a map field's entries."""
    return message_of(field).fields_by_name["key"]


def value_field(field: FieldDescriptor) -> FieldDescriptor:
    """The value of a map field's entries."""
    return message_of(field).fields_by_name["value"]


def is_wrapper(descriptor: Descriptor) -> bool:
    """Whether it is one of google/protobuf/wrappers.proto, whose JSON form is the bare value."""
    return descriptor.file.name == "google/protobuf/wrappers.proto"


def is_fallback(descriptor: Descriptor) -> bool:
    """Whether its JSON form depends on the content, so that json_format handles it at run time."""
    return descriptor.full_name in _FREE_FORM or descriptor.is_extendable


def is_object(descriptor: Descriptor) -> bool:
    """Whether its JSON form is an object of its fields."""
    return not (descriptor.full_name in TEXT_MESSAGES or is_wrapper(descriptor) or is_fallback(descriptor))


def max_items(field: Any) -> int:
    """How many items the input rule of a list allows; 0: there is no such rule."""
    return int(field.GetOptions().Extensions[validate_pb2.field].repeated.max_items)


@cache
def json_fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by the names JSON may use: lowerCamelCase and, as the mapping allows, the original one."""
    names = {field.name: field for field in descriptor.fields}
    names.update({field.json_name: field for field in descriptor.fields})
    return names


def reachable(types: Iterable[Descriptor]) -> list[Descriptor]:
    """`types` and every message type below them, without map entries; each once."""
    found: dict[str, Descriptor] = {}
    waiting = list(types)
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in found:
            continue
        found[descriptor.full_name] = descriptor
        for field in descriptor.fields if not is_fallback(descriptor) else ():
            inner = _inner(field)
            if inner.type == FieldDescriptor.TYPE_MESSAGE:
                waiting.append(message_of(inner))
    return list(found.values())


def is_recursive(descriptor: Descriptor) -> bool:
    """Whether some message type within it can contain itself."""
    return any(
        item in reachable(message_of(inner) for inner in map(_inner, item.fields) if inner.type == FieldDescriptor.TYPE_MESSAGE)
        for item in reachable([descriptor])
    )


def _inner(field: FieldDescriptor) -> FieldDescriptor:
    return value_field(field) if is_map(field) else field
