"""Events that must not be lost between a commit and their publication."""

from core.outbox.service import News, Outbox

__all__ = ["News", "Outbox"]
