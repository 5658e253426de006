"""Lists longer than the contract allows, found before anybody looks at their items: a body of a mebibyte holds hundreds
of thousands of empty ones, and saying what is wrong with each would hold up everybody for half a minute."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from contract.errors import Violation


class _Field(NamedTuple):
    """A field that is a list (`most`: how many items it may have, 0: no rule) or leads to one."""

    name: str
    json_name: str
    is_list: bool
    most: int
    inner: tuple[_Field, ...]


def measure(message: Message) -> tuple[list[Violation], int]:
    """The lists that are too long, and how many items all lists have together; what is inside of a long one is left out."""
    found: list[Violation] = []
    return found, _walk(message, _fields(message.DESCRIPTOR), "", found)


def _walk(message: Any, fields: tuple[_Field, ...], place: str, found: list[Violation]) -> int:
    count = 0
    for field in fields:
        path = place + field.json_name
        value = getattr(message, field.name)
        if not field.is_list:
            count += _walk(value, field.inner, f"{path}.", found) if message.HasField(field.name) else 0
            continue
        count += len(value)
        if field.most and len(value) > field.most:
            found.append(Violation(path, "repeated.max_items", f"must contain no more than {field.most} item(s)"))
        elif field.inner:
            count += sum(_walk(item, field.inner, f"{path}[{number}].", found) for number, item in enumerate(value))
    return count


@cache
def _fields(descriptor: Descriptor, above: frozenset[str] = frozenset()) -> tuple[_Field, ...]:
    """The fields of a message that are lists or lead to lists. A message inside of itself is not followed."""
    if descriptor.full_name in above or descriptor.GetOptions().map_entry:
        return ()
    above |= {descriptor.full_name}
    fields = [_field(field, above) for field in descriptor.fields]
    return tuple(field for field in fields if field.is_list or field.inner)


def _field(field: Any, above: frozenset[str]) -> _Field:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    inner = _fields(field.message_type, above) if field.message_type is not None else ()
    return _Field(field.name, field.json_name, field.is_repeated, rules.repeated.max_items, inner)
