"""The limit stage: which policies a call counts against, and what its answer says of them.

Per IP before authentication, per user after, and a stricter class for methods that declare one.
Header fields: draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from contract.metadata import RATE_LIMIT, RATE_LIMIT_POLICY
from core.call import Call
from core.errors import TooMany
from core.rpc.limits import Decision, Policy, RateLimiter
from skillforge.options.v1 import options_pb2


class Quotas:
    """Counts calls. `classes` maps a `Limit` number of the contract to its policy; `frames` counts a user's WebSocket
    frames, apart from other calls."""

    def __init__(
        self, limiter: RateLimiter, per_ip: Policy, per_user: Policy, frames: Policy, classes: Mapping[int, Policy]
    ) -> None:
        self._limiter = limiter
        self._per_ip = per_ip
        self._per_user = per_user
        self._frames = frames
        self._classes = dict(classes)

    def take_ip(self, call: Call) -> bool:
        """Count the call against its IP; False when that needs a round trip (then await `await_ip`)."""
        decision = self._limiter.try_take(self._per_ip, _network(call.client_ip))
        return decision is not None and self._apply(call, self._per_ip, decision)

    async def await_ip(self, call: Call) -> None:
        """`take_ip`, asking Redis."""
        self._apply(call, self._per_ip, await self._limiter.check(self._per_ip, _network(call.client_ip)))

    def take_user(self, call: Call) -> bool:
        """Count the call against its user's limit, and the method's own class; False when that needs a round trip (then
        await `await_user`)."""
        counts = self._counts(call)
        if not all(self._limiter.knows(policy, key) for policy, key in counts):
            return False
        for policy, key in counts:
            decision = self._limiter.try_take(policy, key)
            if decision is None:  # it ran out in this moment
                return False
            self._apply(call, policy, decision)
        return True

    async def await_user(self, call: Call) -> None:
        """`take_user`, asking Redis."""
        for policy, key in self._counts(call):
            self._apply(call, policy, await self._limiter.check(policy, key))

    def _counts(self, call: Call) -> list[tuple[Policy, str]]:
        """What the call counts against: its user's limit; and the method's own class, counted per user; or per IP without
        one, and wherever anybody may call: accounts cost nothing.

        The user is the token's, so that it counts before there is an account.
        """
        owner = call.claims.subject if call.claims else None
        counts = [] if owner is None else [(self._frames if call.connection is not None else self._per_user, owner)]
        policy = self._classes.get(call.method.limit)
        if policy is not None:
            by_address = owner is None or options_pb2.ACCESS_PUBLIC in call.method.access
            counts.append((policy, _network(call.client_ip) if by_address else owner or ""))
        return counts

    def _apply(self, call: Call, policy: Policy, decision: Decision) -> bool:
        if call.connection is None:  # a frame's answer has no room for it
            call.reply_metadata[RATE_LIMIT_POLICY] = policy.header
            call.reply_metadata[RATE_LIMIT] = decision.header(policy)
        if not decision.allowed:
            raise TooMany(
                "RATE_LIMITED", f"Too many calls for the limit {policy.header}. Slow down.", retry_after=decision.retry_after
            )
        return True


def _network(ip: str) -> str:
    """Whose address it is: an IPv6 customer has a /64 to choose from (RFC 6177), which counts as one."""
    return ip if ":" not in ip else _network_of_ipv6(ip)


@lru_cache(maxsize=4096)
def _network_of_ipv6(ip: str) -> str:
    try:
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    except ValueError:
        return ip
