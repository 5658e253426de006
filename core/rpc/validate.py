"""The validate stage: `buf.validate` rules of the contract, checked by protovalidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import protovalidate
from google.protobuf.message import Message

from contract.errors import Violation
from core.errors import InvalidArgument

_validator = protovalidate.Validator()

# Patterns whose meaning is plainer in words.
_PATTERN_WORDS = {
    r"\S": "must not be blank",
    r"^\S(.*\S)?$": "must not be blank, nor begin or end with a space",
    "^[A-Za-z0-9_-]{0,36}$": "must be at most 36 letters, digits, _ and -",
    "^[A-Z]{3}$": "must be an ISO 4217 code of three capital letters",
    "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$": 'must be a BCP 47 language tag such as "en"',
}


def check_rules(request: Message) -> None:
    """Raise InvalidArgument with a violation for every rule the request breaks."""
    try:
        _validator.validate(request)
    except protovalidate.ValidationError as error:
        violations = tuple(_violation(item, request.DESCRIPTOR) for item in error.violations)
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise InvalidArgument(
            "INVALID_ARGUMENT", f"{first.field or 'The request'}: {first.description}{more}", violations=violations
        ) from None


def _violation(item: protovalidate.Violation, descriptor: Any) -> Violation:
    """The violation with its field's path as JSON spells it (`price.amountMinor`, `questions[3].prompt`)."""
    path = ""
    current, field = descriptor, None
    for element in item.proto.field.elements if item.proto.field else ():
        field = current.fields_by_name.get(element.field_name) if current else None
        path += ("." if path else "") + (field.json_name if field else element.field_name)
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
        current = field.message_type if field else None
    return Violation(path, item.proto.rule_id, _words(item, field) or item.proto.message)


def _words(item: protovalidate.Violation, field: Any) -> str:
    """The rule in words, where protovalidate's own are none; else ""."""
    rule, value = item.proto.rule_id, item.rule_value
    if rule == "string.pattern":
        return _PATTERN_WORDS.get(str(value), "")
    if rule in ("enum.in", "enum.defined_only") and field is not None and field.enum_type:
        numbers = value if isinstance(value, Sequence) else field.enum_type.values_by_number
        names = [item.name for item in field.enum_type.values if item.number in numbers and item.number != 0]
        return f"must be one of {', '.join(names)}"
    return "must be set" if rule == "enum.not_in" and value == [0] else ""
