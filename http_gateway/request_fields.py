"""Sets request fields from path variables and query parameters, as google/api/http.proto maps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from contract.errors import Violation
from http_gateway.descriptors import is_map, is_object, json_fields, message_of
from http_gateway.json_faults import WRONG_VALUE, expected
from http_gateway.text_values import from_text

# Sets the field from a text; raises ValueError for a wrong one.
Setter = Callable[[Message, str], None]


class FieldSlot:
    """One field of a request, possibly nested, that text can set."""

    __slots__ = ("field", "json_path", "oneof", "path", "set")

    def __init__(self, path: tuple[FieldDescriptor, ...], setter: Setter) -> None:
        self.field = path[-1]
        self.path = ".".join(field.name for field in path)
        self.json_path = ".".join(field.json_name for field in path)
        holder = ".".join(field.name for field in path[:-1])
        oneof = self.field.containing_oneof
        # A proto3 `optional` sits alone in a oneof of its own: no conflict can arise there.
        self.oneof = f"{holder}.{oneof.name}" if oneof is not None and len(oneof.fields) > 1 else None
        self.set = setter

    def violation(self) -> Violation:
        """What to say when `set` refused a text."""
        return Violation(self.json_path, WRONG_VALUE, expected(self.field))


def find_slot(descriptor: Descriptor, path: str) -> FieldSlot | None:
    """The slot for a dotted path of field names, each lowerCamelCase or as in the .proto file; None where there is
    no such field, or where text cannot set it (objects, maps, lists of objects)."""
    found: list[FieldDescriptor] = []
    holder: Descriptor | None = descriptor
    for name in path.split("."):
        field = json_fields(holder).get(name) if holder is not None else None
        if field is None:
            return None
        found.append(field)
        single_object = field.type == FieldDescriptor.TYPE_MESSAGE and not field.is_repeated and is_object(message_of(field))
        holder = message_of(field) if single_object else None
    read = from_text(found[-1])
    return None if read is None or is_map(found[-1]) else FieldSlot(tuple(found), _setter(found, read))


def _setter(path: list[FieldDescriptor], read: Callable[[str], Any]) -> Setter:
    *parents, leaf = path
    names = [parent.name for parent in parents]
    name = leaf.name
    is_message = leaf.type == FieldDescriptor.TYPE_MESSAGE

    def plain(message: Message, text: str) -> None:
        setattr(message, name, read(text))

    def general(message: Message, text: str) -> None:
        value: Any = read(text)
        holder: Any = message
        for parent in names:
            holder = getattr(holder, parent)
        if leaf.is_repeated:
            getattr(holder, name).append(value)
        elif is_message:
            getattr(holder, name).CopyFrom(value)
        else:
            setattr(holder, name, value)

    return general if names or leaf.is_repeated or is_message else plain
