"""Random messages of any type, and random damage to their JSON, from a seeded generator."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from google.protobuf import json_format, message_factory, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from http_gateway.descriptors import NULL_VALUE, is_map, key_field, value_field

_LETTERS = 'ab"\\\x00\x7f é李م\U0001f600:{}'
_DOUBLES = [0.0, -0.0, 1.0, 0.1, 1e300, -1e-300, 5e-324, 123456789.125, math.inf, -math.inf, math.nan]
_DEPTH = 3


def _text(rng: Random) -> str:
    return "".join(rng.choices(_LETTERS, k=rng.randrange(8)))


def _whole(low: int, high: int) -> Callable[[Random], int]:
    return lambda rng: rng.choice([low, high, 0, 1, rng.randint(low, high)])


def _double(rng: Random) -> float:
    return rng.choice(_DOUBLES) if rng.random() < 0.5 else rng.uniform(-1e6, 1e6)


def _single(rng: Random) -> float:
    value: float = struct.unpack("<f", struct.pack("<I", rng.getrandbits(32)))[0]
    return math.nan if math.isnan(value) else value  # one NaN: JSON keeps no sign and no payload


_SCALARS: dict[int, Callable[[Random], Any]] = {
    FieldDescriptor.CPPTYPE_INT32: _whole(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: _whole(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: _whole(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: _whole(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_FLOAT: _single,
    FieldDescriptor.CPPTYPE_BOOL: lambda rng: rng.random() < 0.5,
    FieldDescriptor.CPPTYPE_ENUM: lambda rng: rng.choice([0, 1, 2, 3, 77]),
}


def random_message(rng: Random, descriptor: Descriptor) -> Message:
    """A message with about half of its fields set."""
    message: Message = message_factory.GetMessageClass(descriptor)()
    _fill(rng, message, 0)
    return message


def _scalar(rng: Random, field: FieldDescriptor) -> Any:
    if field.enum_type is not None and field.enum_type.full_name == NULL_VALUE:
        return 0
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.randbytes(rng.randrange(8))
    return _text(rng) if field.type == FieldDescriptor.TYPE_STRING else _SCALARS[field.cpp_type](rng)


def _fill(rng: Random, message: Any, depth: int) -> None:
    name = message.DESCRIPTOR.full_name
    if name in _WELL_KNOWN:
        _WELL_KNOWN[name](rng, message)
        return
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.5:
            _set(rng, message, field, depth)


def _set(rng: Random, message: Any, field: FieldDescriptor, depth: int) -> None:
    target = getattr(message, field.name)
    if is_map(field):
        _set_map(rng, target, field, depth)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        for _ in range(0 if depth >= _DEPTH else rng.randrange(3) if field.is_repeated else 1):
            part = target.add() if field.is_repeated else target
            part.SetInParent()
            _fill(rng, part, depth + 1)
    elif field.is_repeated:
        target.extend(_scalar(rng, field) for _ in range(rng.randrange(4)))
    else:
        setattr(message, field.name, _scalar(rng, field))


def _set_map(rng: Random, target: Any, field: FieldDescriptor, depth: int) -> None:
    inner = value_field(field)
    for _ in range(rng.randrange(3)):
        key = _scalar(rng, key_field(field))
        if inner.type == FieldDescriptor.TYPE_MESSAGE:
            _fill(rng, target[key], depth + 1)
        else:
            target[key] = _scalar(rng, inner)


def _fill_timestamp(rng: Random, message: Any) -> None:
    message.seconds = rng.choice([-62135596800, 253402300799, -1, 0, rng.randrange(2**31)])
    message.nanos = rng.choice([0, 1, 999_999_999, 5_000_000, 120_000, rng.randrange(10**9)])


def _fill_duration(rng: Random, message: Any) -> None:
    sign = rng.choice([1, -1])
    message.seconds = sign * rng.choice([0, 1, 315576000000, rng.randrange(2**31)])
    message.nanos = sign * rng.choice([0, 1, 999_999_999, 5_000_000, 120_000])


def _value(rng: Random, depth: int = 0) -> Any:
    kind = rng.randrange(6 if depth < 2 else 4)
    if kind == 4:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(3))]
    if kind == 5:
        return {_text(rng): _value(rng, depth + 1) for _ in range(rng.randrange(3))}
    return [None, rng.random() < 0.5, rng.uniform(-10, 10), _text(rng)][kind]


_WELL_KNOWN: dict[str, Callable[[Random, Any], Any]] = {
    "google.protobuf.Timestamp": _fill_timestamp,
    "google.protobuf.Duration": _fill_duration,
    "google.protobuf.FieldMask": lambda rng, message: message.paths.extend(rng.choices(["a", "a_b.c"], k=rng.randrange(3))),
    "google.protobuf.Value": lambda rng, message: json_format.ParseDict(_value(rng), message),
    "google.protobuf.Struct": lambda rng, message: json_format.ParseDict({_text(rng): _value(rng)}, message),
    "google.protobuf.ListValue": lambda rng, message: message.extend([_value(rng)]),
    "google.protobuf.Any": lambda rng, message: message.Pack(timestamp_pb2.Timestamp(seconds=rng.randrange(10**9))),
}

_ODD: list[Any] = [
    None, True, False, 0, 1, -1, 3, 1.0, 1.5, -0.0, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**400, 1e300, 1e39,
    "0", "-0", "12", "1.0", "1e2", " 1", "1_0", "007", "NaN", "nan", "Infinity", "true", "ROLE_ADMIN", "COLOR_RED", "COLOR_NONE",
    "x", "\x00", "é", "AA==", "AA", "-_-_", "+/+/", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+01:00",
    "2026-13-02T03:04:05Z", "1.5s", "s", "a,b", [None], [1], ["a"], [[]], {"a": 1}, {"a": None},
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found += [(value, key), *_places(item)]
    return found


def damage(rng: Random, value: Any, names: list[str]) -> Any:
    """The JSON value with one random change; it may still be valid. `names` are keys worth trying."""
    spots = _places(value)
    action = rng.choice(["replace", "replace", "rename", "remove", "add", "wrap", "top"])
    odd = copy.deepcopy(rng.choice(_ODD))
    if action == "top":
        return odd
    if action == "add" or not spots:
        if isinstance(value, dict):
            value[rng.choice([*names, "nobody", "[a.b]", ""])] = odd
        return value
    holder, key = rng.choice(spots)
    if action == "rename" and isinstance(holder, dict):
        holder[rng.choice([*names, "nobody"])] = holder.pop(key)
    elif action == "remove":
        del holder[key]
    else:
        holder[key] = [holder[key]] if action == "wrap" else odd
    return value
