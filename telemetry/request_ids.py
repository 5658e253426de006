"""The id of the call that a line of the log belongs to, whoever writes it."""

from __future__ import annotations

from contextvars import ContextVar

# Set where a call begins. What it starts and leaves running, such as a batch that several calls share, keeps the id.
CURRENT_ID: ContextVar[str] = ContextVar("request id", default="")
