"""Logs: coloured lines for people, JSON lines for machines. Fields come from `extra={"fields": {...}}`; every line that is
written during a call has the call's `request_id`, and its `trace_id` while calls are traced.

Whatever reaches a log by way of somebody else's message or a traceback, tokens, keys and e-mail addresses do not: both
formats strike them out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.logging import RichHandler

from telemetry import tracing
from telemetry.request_ids import CURRENT_ID

# JWTs, what stands behind `Bearer`, the passwords in URLs, and keys by their prefixes (Clerk's, Svix's, Stripe's).
_SECRETS = re.compile(
    r"\beyJ[\w-]+\.[\w-]*\.[\w-]*|(?<=bearer )[^\s\"',;\\]+|(?<=://)[^\s/@\"'\\]+(?=@)|\b(?:sk|rk|whsec)_[\w+/=-]{8,}",
    re.IGNORECASE,
)
# E-mail addresses; one never begins within an escape of JSON ("\n", "\u0001").
_OUTSIDE_ESCAPES = "".join(rf"(?<!\\{escape})" for escape in ("", "u", r"u\w", r"u\w\w", r"u\w\w\w"))
_ADDRESSES = re.compile(_OUTSIDE_ESCAPES + r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


def strike_secrets(text: str) -> str:
    """The text with `[secret]` in place of tokens, passwords and keys, and `[address]` in place of e-mail addresses."""
    return _ADDRESSES.sub("[address]", _SECRETS.sub("[secret]", text))


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The record's fields, and what its line has in common with the others of a call."""
    fields = dict(getattr(record, "fields", {}))
    common = {"request_id": CURRENT_ID.get(), "trace_id": tracing.trace_id()}
    return {**{name: value for name, value in common.items() if value}, **fields}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the record's fields, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line = {**line, **fields_of(record), **line}  # a field never replaces one of these
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return strike_secrets(_dump(line))


def _dump(line: dict[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # lone surrogates, integers beyond 64 bits: rare, so the slow way is good enough
        return json.dumps(line, default=str)


class PeopleFormatter(logging.Formatter):
    """The message and, behind it, the fields that help to find out more."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        shown = " ".join(f"{name}={fields[name]}" for name in ("milliseconds", "request_id") if name in fields)
        text = f"{record.getMessage()} {shown}".rstrip()
        return strike_secrets(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text)


def configure_logs(log_format: str, level: str) -> None:
    """Send every log to standard error in the format ("text" or "json") from the level on."""
    handler: logging.Handler
    if log_format == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
    else:
        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False, log_time_format="%H:%M:%S")
        handler.setFormatter(PeopleFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
