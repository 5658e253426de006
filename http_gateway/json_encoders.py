"""Encoders from messages to plain JSON values, written as Python source from the descriptors and compiled once.

The values are the canonical proto3 JSON mapping with fields without presence always printed, equal to
`json_format.MessageToDict(message, always_print_fields_with_no_presence=True)`.
Source: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf import json_format, timestamp_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from http_gateway.descriptors import (
    INT64_TYPES,
    NULL_VALUE,
    enum_of,
    identifier,
    is_fallback,
    is_map,
    is_wrapper,
    key_field,
    message_of,
    reachable,
    value_field,
)

Encoder = Callable[[Message], Any]

_EPOCH = datetime(1970, 1, 1)
_SECONDS_MIN, _SECONDS_MAX = -62135596800, 253402300799  # years 1 to 9999
_PLAIN_TEXT = {"google.protobuf.Duration", "google.protobuf.FieldMask"}


class _EnumNames(dict[int, str]):
    """Numbers to names; a number without a name stands for itself, as open enums want it."""

    def __missing__(self, number: int) -> Any:
        return number


def encode_timestamp(value: timestamp_pb2.Timestamp) -> str:
    """RFC 3339 in UTC with 0, 3, 6 or 9 fraction digits. Raises ValueError outside the years 1 to 9999."""
    seconds, nanos = value.seconds, value.nanos
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos < 1_000_000_000):
        raise ValueError(f"no RFC 3339 time has {seconds} seconds and {nanos} nanoseconds")
    text = _whole_second(seconds)
    if nanos == 0:
        return text + "Z"
    if nanos % 1_000_000 == 0:
        return f"{text}.{nanos // 1_000_000:03d}Z"
    if nanos % 1_000 == 0:
        return f"{text}.{nanos // 1_000:06d}Z"
    return f"{text}.{nanos:09d}Z"


@lru_cache(maxsize=1024)
def _whole_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _single(value: float) -> float | str:
    """The shortest decimal that reads back as the same 32-bit float."""
    if not math.isfinite(value):
        return _double(value)
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.unpack("<f", struct.pack("<f", short))[0] == value:
                return short
        except OverflowError:  # rounded up beyond the largest float
            continue
    return float(f"{value:.9g}")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _by_json_format(message: Message) -> Any:
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def compile_encoders(types: Iterable[Descriptor]) -> dict[str, Encoder]:
    """One encoder for each of `types` and every message type reachable from them, by full name.

    The source of each is one function `encode_<name>(m)`; the functions call each other by name.
    """
    found = reachable(types)
    namespace: dict[str, Any] = {
        "timestamp": encode_timestamp, "double": _double, "single": _single, "base64": _base64, "fallback": _by_json_format,
    }  # fmt: skip
    lines: list[str] = []
    for descriptor in found:
        lines += _function(descriptor)
        for field in descriptor.fields:
            if field.type == FieldDescriptor.TYPE_ENUM:
                namespace[_enum_table(enum_of(field))] = _enum_names(enum_of(field))
    exec(compile("\n".join(lines), "<json encoders>", "exec"), namespace)
    return {descriptor.full_name: namespace[_function_name(descriptor)] for descriptor in found}


def _enum_names(enum: EnumDescriptor) -> _EnumNames:
    # values_by_number holds one name a number, the right one for aliases.
    return _EnumNames({number: value.name for number, value in enum.values_by_number.items()})


def _enum_table(enum: EnumDescriptor) -> str:
    return "names_" + identifier(enum.full_name)


def _function_name(descriptor: Descriptor) -> str:
    return "encode_" + identifier(descriptor.full_name)


def _function(descriptor: Descriptor) -> list[str]:
    head = f"def {_function_name(descriptor)}(m):"
    if _is_special(descriptor):
        return [head, f" return {_message(descriptor, 'm')}"]
    lines = [head]
    first = _leading_plain(descriptor)
    lines.append(f" o = {{{', '.join(_item(field, 'm') for field in first)}}}")
    for field in descriptor.fields[len(first) :]:
        store = f"o[{field.json_name!r}] = {_field(field, f'm.{field.name}')}"
        lines.append(f" if m.HasField({field.name!r}): {store}" if field.has_presence else f" {store}")
    lines.append(" return o")
    return lines


def _leading_plain(descriptor: Descriptor) -> list[FieldDescriptor]:
    """The fields before the first with presence: they go into one dict literal."""
    plain: list[FieldDescriptor] = []
    for field in descriptor.fields:
        if field.has_presence:
            break
        plain.append(field)
    return plain


def _item(field: FieldDescriptor, holder: str) -> str:
    return f"{field.json_name!r}: {_field(field, f'{holder}.{field.name}')}"


def _field(field: FieldDescriptor, source: str) -> str:
    """The expression for a field's JSON value; `source` is evaluated once."""
    if is_map(field):
        key = key_field(field)
        name = "('true' if k else 'false')" if key.type == FieldDescriptor.TYPE_BOOL else "str(k)"
        return f"{{{name}: {_value(value_field(field), 'x')} for k, x in {source}.items()}}"
    if field.is_repeated:
        item = _repeated_item(field)
        return f"[*{source}]" if item == "x" else f"[{item} for x in {source}]"
    return _value(field, source)


def _repeated_item(field: FieldDescriptor) -> str:
    inner = message_of(field) if field.type == FieldDescriptor.TYPE_MESSAGE else None
    if inner is None or _is_special(inner) or not _is_flat(inner):
        return _value(field, "x")
    # A flat message is spelled out in place: that spares a call an item.
    return "{" + ", ".join(_item(part, "x") for part in inner.fields) + "}"


def _is_flat(descriptor: Descriptor) -> bool:
    return all(not field.has_presence and not field.is_repeated for field in descriptor.fields)


def _value(field: FieldDescriptor, source: str) -> str:
    kind = field.type
    if kind == FieldDescriptor.TYPE_MESSAGE:
        return _message(message_of(field), source)
    if kind == FieldDescriptor.TYPE_ENUM:
        return "None" if enum_of(field).full_name == NULL_VALUE else f"{_enum_table(enum_of(field))}[{source}]"
    if kind in INT64_TYPES:
        return f"str({source})"
    if kind == FieldDescriptor.TYPE_DOUBLE:
        return f"double({source})"
    if kind == FieldDescriptor.TYPE_FLOAT:
        return f"single({source})"
    return f"base64({source})" if kind == FieldDescriptor.TYPE_BYTES else source


def _is_special(descriptor: Descriptor) -> bool:
    name = descriptor.full_name
    return name == "google.protobuf.Timestamp" or name in _PLAIN_TEXT or is_wrapper(descriptor) or is_fallback(descriptor)


def _message(descriptor: Descriptor, source: str) -> str:
    if descriptor.full_name == "google.protobuf.Timestamp":
        return f"timestamp({source})"
    if descriptor.full_name in _PLAIN_TEXT:
        return f"{source}.ToJsonString()"
    if is_wrapper(descriptor):
        return _value(descriptor.fields_by_name["value"], f"{source}.value")
    return f"fallback({source})" if is_fallback(descriptor) else f"{_function_name(descriptor)}({source})"
