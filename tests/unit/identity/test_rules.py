"""Who gets which role, and who counts as an administrator."""

from __future__ import annotations

import pytest

from core.errors import NotAllowed
from core.identity.rules import admin_change, first_role, role_number
from skillforge.v1.identity_pb2 import (
    ROLE_ADMIN,
    ROLE_INSTRUCTOR,
    ROLE_PARENT,
    ROLE_STUDENT,
    ROLE_UNSPECIFIED,
    USER_STATUS_ACTIVE,
    USER_STATUS_DELETED,
    USER_STATUS_SUSPENDED,
    Role,
)


@pytest.mark.parametrize("signed", [ROLE_ADMIN, ROLE_INSTRUCTOR, ROLE_STUDENT, ROLE_PARENT])
@pytest.mark.parametrize("requested", Role.values())
def test_a_signed_role_wins(signed: Role.ValueType, requested: Role.ValueType) -> None:
    assert first_role(signed, requested) == signed


@pytest.mark.parametrize(
    ("requested", "role"), [(ROLE_UNSPECIFIED, ROLE_STUDENT), (ROLE_STUDENT, ROLE_STUDENT), (ROLE_PARENT, ROLE_PARENT)]
)
def test_without_one_students_and_parents_choose(requested: Role.ValueType, role: Role.ValueType) -> None:
    assert first_role(ROLE_UNSPECIFIED, requested) == role


@pytest.mark.parametrize("requested", [ROLE_INSTRUCTOR, ROLE_ADMIN])
def test_nobody_makes_themselves_instructor_or_admin(requested: Role.ValueType) -> None:
    with pytest.raises(NotAllowed) as caught:
        first_role(ROLE_UNSPECIFIED, requested)
    assert caught.value.reason == "ROLE_NOT_SELF_ASSIGNABLE"


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("student", ROLE_STUDENT), (" Admin ", ROLE_ADMIN), ("ROLE_PARENT", ROLE_PARENT), ("role_instructor", ROLE_INSTRUCTOR),
        ("", 0), ("ROLE_", 0), ("unspecified", 0), ("owner", 0), (None, 0), (1, 0), (["ADMIN"], 0),
    ],
)  # fmt: skip
def test_names_of_roles(name: object, role: int) -> None:
    assert role_number(name) == role


ADMIN_STATES = [
    (ROLE_ADMIN, USER_STATUS_ACTIVE, 1),
    (ROLE_ADMIN, USER_STATUS_SUSPENDED, 0),
    (ROLE_ADMIN, USER_STATUS_DELETED, 0),
    (ROLE_STUDENT, USER_STATUS_ACTIVE, 0),
    (ROLE_UNSPECIFIED, USER_STATUS_ACTIVE, 0),
]


@pytest.mark.parametrize(("role", "status", "count"), ADMIN_STATES)
@pytest.mark.parametrize(("new_role", "new_status", "new_count"), ADMIN_STATES)
def test_only_active_admins_count(role: int, status: int, count: int, new_role: int, new_status: int, new_count: int) -> None:
    assert admin_change(role, status, new_role, new_status) == new_count - count
