"""A message with a field of every kind proto3 knows, made at run time, for tests of the codec and the query mapping."""

from __future__ import annotations

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message

_F = descriptor_pb2.FieldDescriptorProto
PACKAGE = "skillforge.test"
SCALARS = (
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
    "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
)  # fmt: skip
_WELL_KNOWN: dict[str, type[Message]] = {
    "timestamp": timestamp_pb2.Timestamp, "duration": duration_pb2.Duration, "empty": empty_pb2.Empty,
    "mask": field_mask_pb2.FieldMask, "struct": struct_pb2.Struct, "value": struct_pb2.Value, "list": struct_pb2.ListValue,
    "int64_value": wrappers_pb2.Int64Value, "string_value": wrappers_pb2.StringValue, "bool_value": wrappers_pb2.BoolValue,
    "double_value": wrappers_pb2.DoubleValue, "bytes_value": wrappers_pb2.BytesValue, "any": any_pb2.Any,
}  # fmt: skip


class _Builder:
    def __init__(self, message: descriptor_pb2.DescriptorProto) -> None:
        self.message = message

    def add(self, name: str, kind: str, type_name: str = "", repeated: bool = False) -> descriptor_pb2.FieldDescriptorProto:
        field = self.message.field.add(name=name, number=len(self.message.field) + 1)
        field.type = getattr(_F, f"TYPE_{kind.upper()}")
        field.label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
        if type_name:
            field.type_name = f".{type_name}"
        return field

    def add_map(self, name: str, key: str, kind: str, type_name: str = "") -> None:
        entry = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        nested = self.message.nested_type.add(name=entry)
        nested.options.map_entry = True
        inner = _Builder(nested)
        inner.add("key", key)
        inner.add("value", kind, type_name)
        self.add(name, "message", f"{PACKAGE}.Everything.{entry}", repeated=True)


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="skillforge/test/everything.proto", package=PACKAGE, syntax="proto3")
    file.dependency.extend(sorted({kind.DESCRIPTOR.file.name for kind in _WELL_KNOWN.values()}))
    color = file.enum_type.add(name="Color")
    for number, name in enumerate(("COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_BLUE")):
        color.value.add(name=name, number=number)
    part = _Builder(file.message_type.add(name="Part"))
    part.add("part_name", "string")
    part.add("count", "int32")
    part.add("color", "enum", f"{PACKAGE}.Color")
    whole = _Builder(file.message_type.add(name="Everything"))
    for kind in SCALARS:
        whole.add(f"a_{kind}", kind)
        whole.add(f"many_{kind}", kind, repeated=True)
    whole.add("color", "enum", f"{PACKAGE}.Color")
    whole.add("colors", "enum", f"{PACKAGE}.Color", repeated=True)
    whole.add("part", "message", f"{PACKAGE}.Part")
    whole.add("parts", "message", f"{PACKAGE}.Part", repeated=True)
    whole.add("self", "message", f"{PACKAGE}.Everything")
    for name, well_known in _WELL_KNOWN.items():
        whole.add(f"a_{name}", "message", well_known.DESCRIPTOR.full_name)
        whole.add(f"list_of_{name}", "message", well_known.DESCRIPTOR.full_name, repeated=True)
    whole.add("nothing", "enum", "google.protobuf.NullValue")
    whole.add_map("by_name", "string", "message", f"{PACKAGE}.Part")
    whole.add_map("by_number", "int64", "string")
    whole.add_map("by_flag", "bool", "enum", f"{PACKAGE}.Color")
    whole.message.oneof_decl.add(name="choice")
    for kind in ("string", "int64"):
        whole.add(f"choice_{kind}", kind).oneof_index = 0
    whole.add("choice_part", "message", f"{PACKAGE}.Part").oneof_index = 0
    for index, kind in enumerate(("string", "int32", "bool", "double"), start=1):
        field = whole.add(f"maybe_{kind}", kind)
        field.proto3_optional, field.oneof_index = True, index
        whole.message.oneof_decl.add(name=f"_maybe_{kind}")
    return file


def _types() -> tuple[type[Message], type[Message]]:
    pool = descriptor_pool.Default()
    pool.Add(_file())
    find = pool.FindMessageTypeByName
    return tuple(message_factory.GetMessageClass(find(f"{PACKAGE}.{name}")) for name in ("Everything", "Part"))  # type: ignore[return-value]


Everything, Part = _types()
