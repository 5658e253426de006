"""Events that must not be lost between a commit and their publication."""

from core.outbox.service import Outbox

__all__ = ["Outbox"]
