"""The path templates of `google.api.http`.

    Template  = "/" Segments [ Verb ] ;
    Segments  = Segment { "/" Segment } ;
    Segment   = "*" | "**" | LITERAL | Variable ;
    Variable  = "{" FieldPath [ "=" Segments ] "}" ;
    FieldPath = IDENT { "." IDENT } ;
    Verb      = ":" LITERAL ;

Source: google/api/http.proto. A LITERAL holds what RFC 3986 allows in a segment, except ":" and "=".
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

ONE = "*"
REST = "**"
_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL = re.compile(r"(?:[A-Za-z0-9_.~!$&'()+,;@-]|%[0-9A-Fa-f]{2})+")
_ESCAPED_SLASH = re.compile("(%2[fF])")


class TemplateError(ValueError):
    """The template does not follow the grammar; says what is wrong and where."""


class Variable(NamedTuple):
    """A field and the segments bound to it: from `start` up to `end`, None being the path's end."""

    field: str
    start: int
    end: int | None
    single: bool  # exactly one segment: percent-decoded whole

    def read(self, segments: list[str]) -> str:
        """The variable's value from the raw segments of a path that matched. Raises UnicodeDecodeError."""
        if self.single:
            return decode_segment(segments[self.start])
        return "/".join(_decode_kept_slashes(segment) for segment in segments[self.start : self.end])


class Template(NamedTuple):
    """A parsed template. `segments` holds literals (decoded), ONE and REST; a literal "*" cannot occur."""

    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str


def decode_segment(segment: str) -> str:
    """Percent-decode a segment; raises UnicodeDecodeError when that gives no UTF-8."""
    return unquote(segment, errors="strict") if "%" in segment else segment


def _decode_kept_slashes(segment: str) -> str:
    """Decode all but %2F, which in a value of several segments would read as a separator."""
    return "".join(part if index % 2 else decode_segment(part) for index, part in enumerate(_ESCAPED_SLASH.split(segment)))


def parse_template(text: str) -> Template:
    """Parse a template; raises TemplateError."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._segments: list[str] = []
        self._variables: list[Variable] = []

    def parse(self) -> Template:
        self._expect("/")
        self._read_segments(inside=False)
        verb = ""
        if self._take(":"):
            verb = self._literal()
        if self._position != len(self._text):
            raise self._error("unexpected character")
        if REST in self._segments[:-1]:
            raise TemplateError(f"{self._text!r}: ** must be the last segment")
        fields = [variable.field for variable in self._variables]
        repeated = sorted({field for field in fields if fields.count(field) > 1})
        if repeated:
            raise TemplateError(f"{self._text!r}: {', '.join(repeated)} is bound more than once")
        return Template(tuple(self._segments), tuple(self._variables), verb)

    def _read_segments(self, inside: bool) -> None:
        self._read_segment(inside)
        while self._take("/"):
            self._read_segment(inside)

    def _read_segment(self, inside: bool) -> None:
        if self._take(REST):
            self._segments.append(REST)
        elif self._take(ONE):
            self._segments.append(ONE)
        elif self._take("{"):
            if inside:
                raise self._error("a variable within a variable")
            self._read_variable()
        else:
            self._segments.append(self._literal())

    def _read_variable(self) -> None:
        field = self._match(_IDENT, "a field name")
        while self._take("."):
            field += "." + self._match(_IDENT, "a field name")
        start = len(self._segments)
        if self._take("="):
            self._read_segments(inside=True)
        else:
            self._segments.append(ONE)
        self._expect("}")
        bound = self._segments[start:]
        end = None if bound[-1] == REST else len(self._segments)
        self._variables.append(Variable(field, start, end, single=len(bound) == 1 and bound[0] != REST))

    def _literal(self) -> str:
        return unquote(self._match(_LITERAL, "a segment"), errors="strict")

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._position)
        if found is None:
            raise self._error(f"expected {what}")
        self._position = found.end()
        return found.group()

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._position):
            return False
        self._position += len(token)
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self._error(f"expected {token!r}")

    def _error(self, what: str) -> TemplateError:
        return TemplateError(f"{self._text!r}: {what} at character {self._position + 1}")
