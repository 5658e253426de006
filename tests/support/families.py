"""Linking people through the services."""

from __future__ import annotations

from core.call import Caller
from core.ids import to_text
from skillforge.v1 import identity_pb2
from skillforge.v1.families_pb2 import CreateLinkCodeRequest, FamilyLink, LinkChildRequest, LinkCode
from tests.support.school import School


def text(person: Caller) -> str:
    """The person's id in the contract."""
    return to_text(person.user_id)


async def code_of(school: School, child: Caller) -> str:
    """A new link code of the student's."""
    code: LinkCode = await school.run(CreateLinkCodeRequest(), child)
    return code.code


async def link(school: School, parent: Caller, child: Caller) -> FamilyLink:
    """Link the two."""
    request = LinkChildRequest(code=await code_of(school, child))
    return await school.run(request, parent)  # type: ignore[no-any-return]


async def set_standing(school: School, person: Caller, role: str, status: str = "ACTIVE") -> None:
    """Change an account's role and status."""
    numbers = (identity_pb2.Role.Value(f"ROLE_{role}"), identity_pb2.UserStatus.Value(f"USER_STATUS_{status}"))
    await school.db.execute("UPDATE users SET role = %s, status = %s WHERE id = %s", (*numbers, person.user_id))
