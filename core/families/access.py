"""What a linked parent may read: every feature whose things parents read puts this into its own statements.

The link is looked at in the statement that reads the thing, so that access begins and ends with the link's row.
"""

from __future__ import annotations

from typing import Final

from contract.errors import Violation
from core.call import Call
from core.errors import InvalidArgument
from skillforge.v1 import identity_pb2

# The links that count, to stand behind FROM: `f.parent_id`, `f.child_id`. Whoever is no student any more is no child.
LINKS: Final = f"family_links f JOIN users linked ON linked.id = f.child_id AND linked.role = {int(identity_pb2.ROLE_STUDENT)}"


def is_parent(call: Call) -> bool:
    """Whether a parent calls."""
    return call.caller is not None and call.caller.role == identity_pb2.ROLE_PARENT


def parent_id(call: Call) -> bytes:
    """The caller's id for `f.parent_id`; that of nobody unless a parent calls."""
    return call.caller.user_id if call.caller is not None and is_parent(call) else b""


def require_child(student_id: bytes | None) -> bytes:
    """The student a parent asks about. Raises InvalidArgument when the call names none."""
    if student_id is None:
        raise InvalidArgument(
            "INVALID_ARGUMENT",
            "Say which child's.",
            violations=[Violation("studentId", "required", "must name one of your children")],
        )
    return student_id
