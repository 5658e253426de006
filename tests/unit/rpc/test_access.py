"""Access rules: who may call what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from contract.methods import Method, load_methods
from core.call import Call, Caller, Claims
from core.errors import DomainError
from core.rpc.access import AccessRule
from skillforge.options.v1 import options_pb2 as options
from skillforge.v1 import identity_pb2

ROLES = ("ADMIN", "INSTRUCTOR", "STUDENT", "PARENT")
CLAIMS = Claims("user_1", "sess_1", 2e9, identity_pb2.ROLE_UNSPECIFIED)


def method(*access: int) -> Method:
    return replace(load_methods()[0], access=frozenset(access))


def caller(role: str, status: int = identity_pb2.USER_STATUS_ACTIVE) -> Caller:
    return Caller(
        b"u" * 16, identity_pb2.Role.Value(f"ROLE_{role}"), identity_pb2.UserStatus.ValueType(status), "", "user_1", "sess_1"
    )


def outcome(rule: AccessRule, claims: Claims | None, who: Caller | None) -> str:
    call = Call(method(), {}, "r", "", datetime(2026, 1, 1), 0.0, claims, who)
    try:
        rule.check(call)
    except DomainError as error:
        return error.reason
    return "allowed"


CASES: dict[tuple[int, ...], tuple[str, str, tuple[str, ...]]] = {
    # access → nobody, a token without account, then the roles that get in
    (options.ACCESS_PUBLIC,): ("allowed", "allowed", ROLES),
    (options.ACCESS_SIGNED,): ("allowed", "allowed", ROLES),
    (options.ACCESS_TOKEN,): ("TOKEN_MISSING", "allowed", ROLES),
    (options.ACCESS_ANY,): ("TOKEN_MISSING", "ACCOUNT_MISSING", ROLES),
    (options.ACCESS_ADMIN,): ("TOKEN_MISSING", "ACCOUNT_MISSING", ("ADMIN",)),
    (options.ACCESS_STUDENT,): ("TOKEN_MISSING", "ACCOUNT_MISSING", ("STUDENT",)),
    (options.ACCESS_INSTRUCTOR, options.ACCESS_ADMIN): ("TOKEN_MISSING", "ACCOUNT_MISSING", ("ADMIN", "INSTRUCTOR")),
    (options.ACCESS_ANY, options.ACCESS_ADMIN): ("TOKEN_MISSING", "ACCOUNT_MISSING", ROLES),
}


@pytest.mark.parametrize("access", CASES)
def test_who_gets_in(access: tuple[int, ...]) -> None:
    rule = AccessRule.of(method(*access))
    nobody, no_account, roles = CASES[access]
    assert outcome(rule, None, None) == nobody
    assert outcome(rule, CLAIMS, None) == no_account
    for role in ROLES:
        assert outcome(rule, CLAIMS, caller(role)) == ("allowed" if role in roles else "ROLE_NOT_ALLOWED")


@pytest.mark.parametrize("access", CASES)
@pytest.mark.parametrize("status", [identity_pb2.USER_STATUS_SUSPENDED, identity_pb2.USER_STATUS_DELETED])
def test_a_suspended_or_deleted_account_gets_in_nowhere(access: tuple[int, ...], status: int) -> None:
    rule = AccessRule.of(method(*access))
    for role in ROLES:
        assert outcome(rule, CLAIMS, caller(role, status)) == "ACCOUNT_SUSPENDED"


def test_an_access_that_names_nobody_lets_nobody_in() -> None:
    """The contract's reader refuses it before; the rule does not open by itself."""
    rule = AccessRule.of(method())
    assert outcome(rule, None, None) == "TOKEN_MISSING"
    assert outcome(rule, CLAIMS, None) == "ACCOUNT_MISSING"
    for role in ROLES:
        assert outcome(rule, CLAIMS, caller(role)) == "ROLE_NOT_ALLOWED"
