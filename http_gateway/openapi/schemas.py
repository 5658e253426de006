"""Messages as JSON Schemas: what a request may hold, which input rules limit, and what an answer always holds.

A message that is both sent and answered has two schemas: `Question` in answers, `QuestionInput` in requests.
Source: https://protobuf.dev/programming-guides/json/, https://spec.openapis.org/oas/v3.1.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import combinations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from contract.comments import comment_of
from http_gateway.descriptors import (
    INT64_TYPES,
    enum_of,
    is_fallback,
    is_map,
    is_object,
    is_wrapper,
    message_of,
    reachable,
    value_field,
)
from http_gateway.openapi.rules import (
    Schema,
    list_rules,
    message_rules,
    must_be_given,
    needs_one,
    rules_of,
    sentences,
    value_rules,
)
from http_gateway.openapi.usual import usual_text

_REFERENCE = "#/components/schemas/"
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
}
_TEXT_FORMS: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
}


class Schemas:
    """Collects the schemas that the document refers to. `answered`: the types of all answers."""

    def __init__(self, answered: Iterable[Descriptor]) -> None:
        self.components: dict[str, Schema] = {}
        self._answered = {item.full_name for item in reachable(answered)}

    def answer(self, descriptor: Descriptor) -> Schema:
        """A reference to what an answer of the type holds."""
        if descriptor.name not in self.components:
            self.components[descriptor.name] = {}  # a type may hold itself
            fields = descriptor.fields
            self.components[descriptor.name] = {
                "type": "object",
                **_described(comment_of(descriptor.full_name)),
                "properties": {field.json_name: self.field(field, sent=False) for field in fields},
                **_listed("required", [field.json_name for field in fields if not field.has_presence]),
            }
        return {"$ref": _REFERENCE + descriptor.name}

    def request(self, descriptor: Descriptor, without: Collection[str] = ()) -> Schema | None:
        """A reference to what a request of the type may hold, but for the fields `without`; None: there is nothing else."""
        name = descriptor.name + ("Input" if descriptor.full_name in self._answered else "")
        fields = [field for field in descriptor.fields if field.name not in without]
        if not fields:
            return None
        if name not in self.components:
            self.components[name] = {}
            oneofs = [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]
            text = [comment_of(descriptor.full_name), *map(_choice, oneofs), *sentences(message_rules(descriptor))]
            self.components[name] = {
                "type": "object",
                **_described(*text),
                "properties": {field.json_name: self.field(field, sent=True) for field in fields},
                **_listed("required", [field.json_name for field in fields if must_be_given(field)]),
                **_listed("not", [bad for oneof in oneofs for bad in _bad_choices(oneof)], any_of=True),
                "additionalProperties": False,
            }
        return {"$ref": _REFERENCE + name}

    def field(self, field: FieldDescriptor, *, sent: bool) -> Schema:
        """The schema of a field with its description; `sent`: in a request, where its input rules hold."""
        rules = rules_of(field)
        if is_map(field):
            schema: Schema = {"type": "object", "additionalProperties": self._value(value_field(field), sent, {})}
        elif field.is_repeated:
            items = self._value(field, sent, value_rules(rules.repeated.items, field) if sent else {})
            schema = {"type": "array", "items": items, **(list_rules(rules) if sent else {})}
        else:
            schema = self._value(field, sent, value_rules(rules, field) if sent else {})
        return {**schema, **_described(comment_of(field.full_name) or usual_text(field), *(sentences(rules) if sent else ()))}

    def _value(self, field: FieldDescriptor, sent: bool, limits: Schema) -> Schema:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            return self._message(message_of(field), sent)
        if field.type == FieldDescriptor.TYPE_ENUM:
            return {"type": "string", **limits} if "enum" in limits else self.enum(enum_of(field))
        if field.type in INT64_TYPES:
            return {"type": "string", "format": "int64", **({"pattern": "^-?[0-9]+$"} | limits)}
        if field.type in _SCALARS:
            return {**_SCALARS[field.type], **limits}
        return {"type": "integer", "format": "int32", **limits}

    def _message(self, descriptor: Descriptor, sent: bool) -> Schema:
        if is_object(descriptor):
            found = self.request(descriptor) if sent else self.answer(descriptor)
            return found if found is not None else {"type": "object"}
        if is_wrapper(descriptor):
            return self._value(descriptor.fields_by_name["value"], sent, {})
        if is_fallback(descriptor):
            return {"type": "object", "additionalProperties": True}
        return dict(_TEXT_FORMS[descriptor.full_name])

    def enum(self, enum: EnumDescriptor) -> Schema:
        """A reference to an enum's schema."""
        said = [(value.name, comment_of(f"{enum.full_name}.{value.name}")) for value in enum.values]
        lines = [f"- `{name}`: {' '.join(text.split())}" for name, text in said if text]
        self.components[enum.name] = {
            "type": "string",
            "enum": [name for name, _ in said],
            **_described(comment_of(enum.full_name), "\n".join(lines)),
        }
        return {"$ref": _REFERENCE + enum.name}


def _described(*texts: str) -> Schema:
    text = "\n\n".join(filter(None, texts))
    return {"description": text} if text else {}


def _listed(keyword: str, items: list[Schema] | list[str], *, any_of: bool = False) -> Schema:
    if not items:
        return {}
    return {keyword: {"anyOf": items} if any_of else items}


def _choice(oneof: OneofDescriptor) -> str:
    names = ", ".join(f"`{field.json_name}`" for field in oneof.fields)
    return f"{'Exactly' if needs_one(oneof) else 'At most'} one of {names}."


def _bad_choices(oneof: OneofDescriptor) -> list[Schema]:
    """What a request must not look like: with two of the fields, or with none of those it needs one of."""
    names = [field.json_name for field in oneof.fields]
    found: list[Schema] = [{"required": list(pair)} for pair in combinations(names, 2)]
    if needs_one(oneof):
        found.append({"properties": {name: {"not": {}} for name in names}})
    return found
