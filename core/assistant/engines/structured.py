"""JSON answers by a schema, read while they come and checked when they are there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from core.assistant.engines.completions import Unusable

# The text of a JSON string up to its end, as far as whole escapes are there.
_STRING_PART = re.compile(r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
_TYPES = {"object": dict, "array": list, "string": str, "integer": int}


class Answer:
    """An answer in pieces. `field`: the member that is shown while it comes, a text or a list."""

    def __init__(self, field: str, schema: Mapping[str, Any]) -> None:
        self._text = ""
        self._schema = schema
        self._opening = re.compile(rf'^\s*\{{\s*"{field}"\s*:\s*(["\[])')
        # Where the shown member was read up to; 0: it has not begun.
        self._place = 0
        self._depth = 0
        self._in_string = False
        self._item = 0

    def more_text(self, piece: str) -> str:
        """What a piece adds to the text of the member."""
        self._text += piece
        if not self._begins():
            return ""
        match = _STRING_PART.match(self._text, self._place)
        raw = _HALF_PAIR.sub("", match[0]) if match else ""
        self._place += len(raw)
        try:
            return str(orjson.loads(f'"{raw}"'))
        except orjson.JSONDecodeError:
            raise Unusable("the answer's text cannot be read") from None

    def more_items(self, piece: str) -> Iterator[Any]:
        """The objects that a piece completes in the list of the member."""
        self._text += piece
        if not self._begins():
            return
        text = self._text
        while self._place < len(text):
            char = text[self._place]
            if self._in_string:
                if char == "\\":
                    if self._place + 1 == len(text):
                        return  # what is escaped comes with the next piece
                    self._place += 1
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                if self._depth == 0:
                    self._item = self._place
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth < 0:
                    self._depth, self._place = 10**9, len(text)  # the list has ended
                    return
                if self._depth == 0:
                    yield _load(text[self._item : self._place + 1])
            self._place += 1

    def whole(self) -> Any:
        """All of it. Raises Unusable for what is not JSON by the schema."""
        value = _load(self._text)
        if not conforms(value, self._schema):
            raise Unusable("the answer is not what the schema says")
        return value

    def _begins(self) -> bool:
        if not self._place:
            opening = self._opening.match(self._text)
            self._place = opening.end() if opening else 0
        return self._place > 0


def conforms(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether the value is what the schema says; of JSON Schema it knows what the prompts use."""
    expected = _TYPES[schema["type"]]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        return False
    if isinstance(value, dict):
        known = schema["properties"]
        return value.keys() == known.keys() and all(conforms(value[name], part) for name, part in known.items())
    if isinstance(value, list):
        return all(conforms(item, schema["items"]) for item in value)
    return "enum" not in schema or value in schema["enum"]


def _load(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unusable("the answer is not JSON") from None
