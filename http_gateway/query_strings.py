"""Query strings to request fields.

Parameters are field paths ("price.currency"), each name lowerCamelCase or as in the .proto file; repeated fields may
be given several times. Source: google/api/http.proto.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from http_gateway.descriptors import json_fields
from http_gateway.json_faults import MAX_VIOLATIONS, UNKNOWN_FIELD, shown
from http_gateway.request_fields import FieldSlot, find_slot

MAX_PARAMETERS = 100
_MAX_PATH = 200  # characters of a parameter's name that are looked at
REPEATED = "repeated"


class QueryReader:
    """Reads query strings for one binding: every request field but those its path and body take."""

    def __init__(self, descriptor: Descriptor, body: str, bound: Collection[str]) -> None:
        """`body` is the binding's body ("" none, "*" the whole request), `bound` the paths of its path variables."""
        self._descriptor = descriptor
        self._body = body
        self._taken = frozenset(bound)
        # Fields of the request itself are found once; nested ones when they come.
        self._slots = {name: slot for name in json_fields(descriptor) if (slot := self._find(name)) is not None}

    def read(self, query: str, message: Message) -> None:
        """Set the message's fields from a raw query string without its "?". Raises CallError INVALID_ARGUMENT with a
        violation for every parameter at fault."""
        try:
            pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
        except UnicodeDecodeError:
            raise _refusal("INVALID_ARGUMENT", "The query is not UTF-8.", []) from None
        except ValueError:
            raise _refusal("INVALID_ARGUMENT", f"A query holds at most {MAX_PARAMETERS} parameters.", []) from None
        faults: list[Violation] = []
        given: set[str] = set()
        for name, text in pairs:
            fault = self._set(name, text, message, given)
            if fault is not None:
                faults.append(fault)
        if faults:
            raise _faulty(faults[:MAX_VIOLATIONS])

    def _set(self, name: str, text: str, message: Message, given: set[str]) -> Violation | None:
        slot = self._slots.get(name) or (self._find(name) if "." in name and len(name) <= _MAX_PATH else None)
        if slot is None:
            return Violation(shown(name), UNKNOWN_FIELD, "there is no such parameter")
        if not slot.field.is_repeated:
            key = slot.oneof or slot.path
            if key in given:
                what = "may be given once" if slot.oneof is None else "excludes another parameter that is given"
                return Violation(slot.json_path, REPEATED, what)
            given.add(key)
        try:
            slot.set(message, text)
        except (ValueError, OverflowError):
            return slot.violation()
        return None

    def _find(self, name: str) -> FieldSlot | None:
        slot = None if self._body == "*" else find_slot(self._descriptor, name)
        if slot is None or slot.path in self._taken or slot.path.split(".")[0] == self._body:
            return None
        return slot


def _faulty(faults: list[Violation]) -> CallError:
    unknown = next((fault for fault in faults if fault.rule == UNKNOWN_FIELD), None)
    if unknown is not None:
        return _refusal("UNKNOWN_FIELD", f'There is no query parameter "{unknown.field}".', faults)
    return _refusal("INVALID_ARGUMENT", "The query has parameters that cannot be read.", faults)


def _refusal(reason: str, detail: str, faults: list[Violation]) -> CallError:
    return CallError.build(code_pb2.INVALID_ARGUMENT, reason, detail, faults)
