"""Stripe's wire: form-encoded requests with brackets, error objects, idempotency keys, and what may go wrong.

https://docs.stripe.com/api/errors, https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

import enum
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

MAX_FIELDS = 200
MAX_DEPTH = 6
MAX_KEYS = 10_000
_NAME = re.compile(r"([A-Za-z0-9_]+)((?:\[[A-Za-z0-9_]*\])*)", re.ASCII)


class Answer(NamedTuple):
    """An answer: its status, and its body as JSON."""

    status: int
    body: dict[str, Any]

    def error(self) -> ApiError:
        """The answer, to be raised."""
        shown = self.body["error"]
        return ApiError(self.status, shown["message"], kind=shown["type"], code=shown.get("code", ""))


class ApiError(Exception):
    """A refused request, as Stripe tells it."""

    def __init__(
        self, status: int, message: str, *, kind: str = "invalid_request_error", code: str = "", param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        shown = {"type": kind, "code": code, "param": param, "message": message}
        self.body: dict[str, Any] = {"error": {name: value for name, value in shown.items() if value}}


class Fault(enum.Enum):
    """What may go wrong with one request."""

    UNAVAILABLE = "503 before anything was done"
    FAILED = "500 halfway; the key answers so from then on"
    LIMITED = "429"
    BUSY = "409: another request holds a lock"
    CUT = "done, and the connection breaks before the answer"
    SILENT = "no answer, ever"
    SLOW = "an answer after `slow_seconds`"
    GARBAGE = "200 and no JSON"
    STRANGE = "200 and another object"
    HTML = "502 and a page"
    ENDLESS = "200 and more than anybody reads"
    REDIRECT = "307 to another place"


def _error(status: int, message: str, kind: str = "api_error", code: str = "") -> Answer:
    return Answer(status, ApiError(status, message, kind=kind, code=code).body)


FAULT_ERRORS = {
    Fault.UNAVAILABLE: _error(503, "The fake is unavailable."),
    Fault.FAILED: _error(500, "The fake failed halfway."),
    Fault.LIMITED: _error(429, "Too many requests.", "invalid_request_error", "rate_limit"),
    Fault.BUSY: _error(409, "Another request holds the object.", "invalid_request_error", "lock_timeout"),
}


def read_form(text: str) -> dict[str, Any]:
    """`a[b][0]=c` as nested objects; what is numbered from 0 on becomes a list. Raises ApiError."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise ApiError(400, "The parameters cannot be read.") from None
    root: dict[str, Any] = {}
    for name, value in pairs:
        found = _NAME.fullmatch(name)
        if not found:
            raise ApiError(400, f"Invalid parameter name: {name}", param=name)
        path = [found[1], *re.findall(r"\[([A-Za-z0-9_]*)\]", found[2])]
        _put(root, path, name, value)
    return {key: _listed(value) for key, value in root.items()}


def _put(root: dict[str, Any], path: list[str], name: str, value: str) -> None:
    place = root
    if len(path) > MAX_DEPTH:
        raise ApiError(400, f"Invalid parameter name: {name}", param=name)
    for step in path[:-1]:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise ApiError(400, f"Invalid object: {name}", param=name)
    place[path[-1] or str(len(place))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    return list(inner.values()) if list(inner) == [str(number) for number in range(len(inner))] and inner else inner


class Keys:
    """What was answered for each idempotency key; the oldest are forgotten beyond MAX_KEYS."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[bytes, Answer]] = OrderedDict()
        self._busy: dict[str, bytes] = {}

    def begin(self, key: str, place: str, params: Mapping[str, Any]) -> Answer | None:
        """The answer to replay, if there is one. Raises ApiError for other parameters (400) and one in progress (409)."""
        asked = hashlib.sha256(orjson.dumps([place, params], option=orjson.OPT_SORT_KEYS)).digest()
        known, answer = self._answers.get(key, (self._busy.get(key, asked), None))
        if known != asked:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise ApiError(400, message, kind="idempotency_error")
        if answer is None:
            if key in self._busy:
                message = "There is currently another in-progress request using this key."
                raise ApiError(409, message, code="idempotency_key_in_use")
            self._busy[key] = asked
        return answer

    def end(self, key: str, answer: Answer | None) -> None:
        """Keep the answer; None: nothing was done, and the key is free again."""
        asked = self._busy.pop(key)
        if answer is not None:
            self._answers[key] = (asked, answer)
            if len(self._answers) > MAX_KEYS:
                self._answers.popitem(last=False)


def new_id(prefix: str) -> str:
    """An id as Stripe makes them, such as "re_3f…"."""
    return f"{prefix}_{secrets.token_hex(12)}"
