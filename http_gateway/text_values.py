"""Field values written as text, in a path or a query: from one string to what the field holds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from http_gateway.descriptors import INT_TYPES, TEXT_MESSAGES, enum_of, is_map, is_wrapper, message_of

# Raises ValueError for a text that is no value of the field.
FromText = Callable[[str], Any]

_WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity", re.ASCII)
_MAX_NUMBER = 100  # characters


def from_text(field: FieldDescriptor) -> FromText | None:
    """How a single value of the field is read from text; None where text cannot say it (an object, a map)."""
    kind = field.type
    if kind == FieldDescriptor.TYPE_MESSAGE:
        if is_map(field) or not (is_wrapper(message_of(field)) or message_of(field).full_name in TEXT_MESSAGES):
            return None
        return _message(field)
    if kind == FieldDescriptor.TYPE_ENUM:
        return _enum(enum_of(field))
    if kind in INT_TYPES:
        return _whole
    readers: dict[int, FromText] = {
        FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_BOOL: _flag, FieldDescriptor.TYPE_BYTES: _bytes,
        FieldDescriptor.TYPE_DOUBLE: _number, FieldDescriptor.TYPE_FLOAT: _number,
    }  # fmt: skip
    return readers[kind]


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if len(text) > _MAX_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if value in (float("inf"), float("-inf")) and not text.endswith("Infinity"):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _bytes(text: str) -> bytes:
    """Base64, standard or URL-safe, with or without padding."""
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise ValueError(text) from None


def _enum(enum: EnumDescriptor) -> FromText:
    numbers = {value.name: value.number for value in enum.values}

    def read(text: str) -> int:
        number = numbers.get(text)
        return number if number is not None else _whole(text)

    return read


def _message(field: FieldDescriptor) -> FromText:
    message_type: Any = message_factory.GetMessageClass(message_of(field))
    inner = from_text(message_of(field).fields_by_name["value"]) if is_wrapper(message_of(field)) else None

    def read(text: str) -> Any:
        if inner is not None:
            return message_type(value=inner(text))
        message = message_type()
        message.FromJsonString(text)
        return message

    return read
