"""The validate stage: `buf.validate` rules of the contract, checked by protovalidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import protovalidate
from google.protobuf.message import Message

from contract.errors import Violation
from core.errors import InvalidArgument
from core.rpc.lengths import measure

_validator = protovalidate.Validator()
# A violation costs about 0.1 ms of the event loop.
MANY_ITEMS = 1000

# How many requests are remembered as valid, and up to what length in bytes.
MAX_VALID = 4096
MAX_VALID_BYTES = 256

# Patterns whose meaning is plainer in words.
_LINE = r"^[^\p{Cc}]*[^\p{Z}\p{Cc}\p{Cf}][^\p{Cc}]*$"
_TEXT = r"^[\t\n\r\P{Cc}]*$"
_PROSE = r"^[\t\n\r\P{Cc}]*[^\p{Z}\p{Cc}\p{Cf}][\t\n\r\P{Cc}]*$"
_TAG = r"^[^\p{Z}\p{Cc}\p{Cf}]([^\p{Cc}]*[^\p{Z}\p{Cc}\p{Cf}])?$"
_CLEAN = r"^[^\p{Cc}]*$"
_PATTERN_WORDS = {
    _LINE: "must not be blank, nor have line breaks or control characters",
    _TEXT: "must not have control characters",
    _PROSE: "must not be blank, nor have control characters",
    _TAG: "must not be blank, nor begin or end with a space, nor have line breaks or control characters",
    "^[A-Za-z0-9_-]{0,36}$": "must be at most 36 letters, digits, _ and -",
    "^[A-Za-z0-9._-]{0,32}$": "must be at most 32 letters, digits, dots, _ and -",
    "^[A-Za-z0-9._-]{0,64}$": "must be at most 64 letters, digits, dots, _ and -",
    "^[A-Za-z0-9._-]{1,64}$": "must be 1 to 64 letters, digits, dots, _ and -",
    "^[A-Za-z0-9_-]{3,50}$": "must be 3 to 50 letters, digits, _ and -",
    _CLEAN: "must not have line breaks or control characters",
    "^(#[0-9a-fA-F]{6})?$": 'must be a colour such as "#1f3a5f"',
    "^[A-Z]{3}$": "must be an ISO 4217 code of three capital letters",
    "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$": 'must be a BCP 47 language tag such as "en"',
}


def check_rules(request: Message) -> None:
    """Raise InvalidArgument with a violation for every rule the request breaks; with the first alone when the request
    is so long that naming all would take long too."""
    too_long, items = measure(request)
    if too_long:
        raise _refusal(too_long)
    try:
        _validator.validate(request, fail_fast=items > MANY_ITEMS)
    except protovalidate.ValidationError as error:
        raise _refusal([_violation(item, request.DESCRIPTOR) for item in error.violations]) from None


class KnownValid:
    """Remembers requests that kept all rules by their bytes, for calls that come again and again: the rules look at
    nothing else, such as the time."""

    def __init__(self) -> None:
        self._valid: set[tuple[type[Message], bytes]] = set()

    def check_rules(self, request: Message) -> None:
        """Raise InvalidArgument as the function does."""
        if request.ByteSize() > MAX_VALID_BYTES:
            return check_rules(request)
        key = (type(request), request.SerializeToString())
        if key not in self._valid:
            check_rules(request)
            if len(self._valid) >= MAX_VALID:
                self._valid.clear()
            self._valid.add(key)


def _refusal(violations: list[Violation]) -> InvalidArgument:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidArgument(
        "INVALID_ARGUMENT", f"{first.field or 'The request'}: {first.description}{more}", violations=violations
    )


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
