"""The authorize stage: who may call a method, read once from its `access` option."""

from __future__ import annotations

from dataclasses import dataclass

from contract.methods import Method
from core.call import Call, Caller
from core.errors import NotAllowed, Unauthenticated
from skillforge.options.v1 import options_pb2 as options
from skillforge.v1 import identity_pb2

_ROLES = {
    options.ACCESS_ADMIN: identity_pb2.ROLE_ADMIN,
    options.ACCESS_INSTRUCTOR: identity_pb2.ROLE_INSTRUCTOR,
    options.ACCESS_STUDENT: identity_pb2.ROLE_STUDENT,
    options.ACCESS_PARENT: identity_pb2.ROLE_PARENT,
}


_OPEN = frozenset({options.ACCESS_PUBLIC, options.ACCESS_SIGNED})
_EVERY_ACCOUNT = _OPEN | {options.ACCESS_TOKEN, options.ACCESS_ANY}


@dataclass(frozen=True, slots=True)
class AccessRule:
    """`open`: no caller needed (public, or signed by a webhook). `token_only`: a valid token without an account
    is enough. `roles`: the `Role` numbers of the accounts that may call."""

    open: bool
    token_only: bool
    roles: frozenset[identity_pb2.Role.ValueType]

    @classmethod
    def of(cls, method: Method) -> AccessRule:
        """The rule a method declares; whoever it does not name is kept out."""
        everybody = bool(method.access & _EVERY_ACCOUNT)
        return cls(
            open=bool(method.access & _OPEN),
            token_only=options.ACCESS_TOKEN in method.access,
            roles=frozenset(role for access, role in _ROLES.items() if everybody or access in method.access),
        )

    def check(self, call: Call) -> None:
        """Raise Unauthenticated or NotAllowed when the call's claims and caller don't satisfy the rule."""
        caller = call.caller
        if caller is not None:
            self._check_caller(caller)
        elif self.open:
            return
        elif call.claims is None:
            raise Unauthenticated("TOKEN_MISSING", "Sign in: send `Authorization: Bearer <token>`.")
        elif not self.token_only:
            raise NotAllowed("ACCOUNT_MISSING", "There is no account for this token yet: POST /auth/sync-user first.")

    def _check_caller(self, caller: Caller) -> None:
        if caller.status != identity_pb2.USER_STATUS_ACTIVE:
            raise NotAllowed("ACCOUNT_SUSPENDED", "This account is suspended. Ask an administrator.")
        if caller.role not in self.roles:
            names = ", ".join(sorted(identity_pb2.Role.Name(role).removeprefix("ROLE_") for role in self.roles))
            raise NotAllowed("ROLE_NOT_ALLOWED", f"This needs one of the roles {names}.")
