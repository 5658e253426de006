"""Decisions about roles and accounts: pure, on plain values."""

from __future__ import annotations

from core.errors import NotAllowed
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import Role

SELF_ASSIGNABLE = frozenset({identity_pb2.ROLE_STUDENT, identity_pb2.ROLE_PARENT})


def role_number(name: object) -> Role.ValueType:
    """The `Role` number of a name in signed metadata ("student", "ROLE_STUDENT"); 0 for anything else."""
    if not isinstance(name, str):
        return identity_pb2.ROLE_UNSPECIFIED
    full = name.strip().upper()
    full = full if full.startswith("ROLE_") else f"ROLE_{full}"
    return Role.Value(full) if full in Role.DESCRIPTOR.values_by_name else identity_pb2.ROLE_UNSPECIFIED


def first_role(signed: Role.ValueType, requested: Role.ValueType) -> Role.ValueType:
    """The role of a new account: the token's signed one, else the requested one, else STUDENT.

    Raises NotAllowed when a role that nobody gives themselves is requested without being signed.
    """
    if signed:
        return signed
    if requested and requested not in SELF_ASSIGNABLE:
        raise NotAllowed(
            "ROLE_NOT_SELF_ASSIGNABLE", "INSTRUCTOR and ADMIN are given by an administrator; request STUDENT or PARENT."
        )
    return requested or identity_pb2.ROLE_STUDENT


def admin_change(role: int, status: int, new_role: int, new_status: int) -> int:
    """By how much a change moves the number of active admins: -1, 0 or 1."""
    active = identity_pb2.USER_STATUS_ACTIVE

    def counts(a_role: int, a_status: int) -> bool:
        return a_role == identity_pb2.ROLE_ADMIN and a_status == active

    return int(counts(new_role, new_status)) - int(counts(role, status))
