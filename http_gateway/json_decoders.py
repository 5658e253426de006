"""Decoders from plain JSON values to messages, written as Python source from the descriptors and compiled once.

They take the canonical forms of the proto3 JSON mapping (lowerCamelCase names, enum names, int64 as strings or
numbers, no nulls) and raise `Unusual` for everything else, right or wrong: that is for the exact decoder to decide. Lists
longer than their input rules allow are cut as in `json_limits`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from http_gateway.descriptors import (
    INT64_TYPES,
    INT_TYPES,
    TEXT_MESSAGES,
    enum_of,
    identifier,
    is_fallback,
    is_map,
    is_wrapper,
    max_items,
    message_of,
    reachable,
)

# Fills a message from a JSON value; returns how many keys the JSON objects in it held, a negative number if it cut a list.
Decoder = Callable[[Any, Message], int]

_CUT = -(1 << 62)

_FLOAT_MAX = 3.4028234663852886e38
_PLAIN_CHECKS = {
    FieldDescriptor.TYPE_STRING: "type({v}) is str",
    FieldDescriptor.TYPE_BOOL: "type({v}) is bool",
    FieldDescriptor.TYPE_DOUBLE: "type({v}) is float or type({v}) is int",
    FieldDescriptor.TYPE_FLOAT: "type({v}) is float and -FLOAT_MAX <= {v} <= FLOAT_MAX or type({v}) is int",
}


class Unusual(Exception):
    """Not the canonical form; it may still be valid."""


def _int64(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is str and len(value) < 21 and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    raise Unusual


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise Unusual
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise Unusual from None


def compile_decoders(types: Iterable[Descriptor]) -> dict[str, Decoder]:
    """One decoder for each of `types` and every message type reachable from them, by full name.

    A decoder raises Unusual, ValueError or TypeError for whatever it does not take.
    """
    found = reachable(types)
    namespace: dict[str, Any] = {"Unusual": Unusual, "int64": _int64, "base64": _bytes, "FLOAT_MAX": _FLOAT_MAX}
    lines: list[str] = []
    for descriptor in found:
        lines += _function(descriptor)
        for field in descriptor.fields:
            if field.type == FieldDescriptor.TYPE_ENUM:
                numbers = {value.name: value.number for value in enum_of(field).values}
                namespace[_enum_table(enum_of(field))] = numbers
    exec(compile("\n".join(lines), "<json decoders>", "exec"), namespace)
    return {descriptor.full_name: namespace[_function_name(descriptor)] for descriptor in found}


def _enum_table(enum: EnumDescriptor) -> str:
    return "numbers_" + identifier(enum.full_name)


def _function_name(descriptor: Descriptor) -> str:
    return "decode_" + identifier(descriptor.full_name)


def _function(descriptor: Descriptor) -> list[str]:
    head = f"def {_function_name(descriptor)}(j, m):"
    if is_fallback(descriptor):
        return [head, " raise Unusual"]
    if descriptor.full_name in TEXT_MESSAGES:
        return [head, " m.FromJsonString(j)", " return 0"]
    if is_wrapper(descriptor):
        return [head, *_store(descriptor.fields_by_name["value"], "j", " "), " return 0"]
    lines = [head, " if type(j) is not dict: raise Unusual", " n = 0", " total = len(j)"]
    oneofs = {oneof.name for oneof in descriptor.oneofs if len(oneof.fields) > 1}
    lines += [f" in_{name} = 0" for name in sorted(oneofs)]
    for field in descriptor.fields:
        lines += [f" v = j.get({field.json_name!r})", " if v is not None:", "  n += 1"]
        if field.containing_oneof is not None and field.containing_oneof.name in oneofs:
            lines.append(f"  in_{field.containing_oneof.name} += 1")
        lines += _repeated(field) if field.is_repeated else _store(field, "v", "  ")
    lines += [f" if in_{name} > 1: raise Unusual" for name in sorted(oneofs)]
    # Fewer fields taken than keys given: an unknown name, a null, or a name as in the .proto file.
    return [*lines, " if n != len(j): raise Unusual", " return total"]


def _repeated(field: FieldDescriptor) -> list[str]:
    if is_map(field):
        return ["  raise Unusual"]
    lines = ["  if type(v) is not list: raise Unusual"]
    most = max_items(field)
    if most:
        lines.append(f"  if len(v) > {most}: v, total = v[:{most + 1}], {_CUT}")
    lines += [f"  r = m.{field.name}", "  for x in v:"]
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return [*lines, f"   total += {_function_name(message_of(field))}(x, r.add())"]
    check, value = _scalar(field, "x")
    return [*lines, *([f"   if not ({check}): raise Unusual"] if check else []), f"   r.append({value})"]


def _store(field: FieldDescriptor, source: str, indent: str) -> list[str]:
    """Statements that put the JSON value `source` into the singular field of `m`."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        target = f"m.{field.name}"
        call = f"{_function_name(message_of(field))}({source}, {target})"
        return [f"{indent}{target}.SetInParent()", f"{indent}total += {call}"]
    check, value = _scalar(field, source)
    lines = [f"{indent}if not ({check}): raise Unusual"] if check else []
    return [*lines, f"{indent}m.{field.name} = {value}"]


def _scalar(field: FieldDescriptor, source: str) -> tuple[str, str]:
    """The condition a scalar must meet (or "") and the expression for what is stored."""
    kind = field.type
    if kind in INT64_TYPES:
        return "", f"int64({source})"
    if kind in INT_TYPES:
        return f"type({source}) is int", source
    if kind == FieldDescriptor.TYPE_ENUM:
        return (
            f"type({source}) is str and {source} in {_enum_table(enum_of(field))}",
            f"{_enum_table(enum_of(field))}[{source}]",
        )
    if kind == FieldDescriptor.TYPE_BYTES:
        return "", f"base64({source})"
    return _PLAIN_CHECKS[kind].format(v=source), source
