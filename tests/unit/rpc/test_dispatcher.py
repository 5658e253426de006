"""The pipeline: what is checked in which order, and what callers and the log learn of a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, cast

import pytest
from google.rpc import code_pb2

from cli.logs import JsonFormatter
from contract.errors import CallError
from contract.methods import ContractError, Method
from core.call import Call, Caller, Claims, Connection
from core.errors import Conflict, Unauthenticated, Unavailable
from core.redis import Redis, RedisAway
from core.rpc.dispatcher import Dispatcher
from core.rpc.idempotency import IdempotencyStore
from core.rpc.limits import Policy, RateLimiter
from core.rpc.quotas import Quotas
from skillforge.options.v1 import options_pb2 as options
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import UpdateUserRequest, User

NOW = datetime(2026, 11, 22, 12)
METHOD = Method(
    path="/test.Things/Change", service="test.Things", name="Change", handler="change", request_type=UpdateUserRequest,
    reply_type=User, server_streaming=False, routes=(), access=frozenset({options.ACCESS_ADMIN}), success_status=200,
    limit=0, idempotency_key=False, audit="", frame="",
)  # fmt: skip
STREAM = replace(METHOD, path="/test.Things/Watch", name="Watch", handler="watch", server_streaming=True)
AUDITED = replace(METHOD, path="/test.Things/Drop", name="Drop", audit="thing.drop")
OPEN = replace(METHOD, path="/test.Things/Show", name="Show", access=frozenset({options.ACCESS_PUBLIC}))
COSTLY = replace(OPEN, path="/test.Things/Make", name="Make", limit=options.LIMIT_PAYMENTS)
OWN = replace(COSTLY, path="/test.Things/Buy", name="Buy", access=frozenset({options.ACCESS_ANY}))
GOOD = UpdateUserRequest(user_id="01890a5d-ac96-774b-bcce-b302099a8057")
BAD = UpdateUserRequest(user_id="ada@example.com")


class NoRedis:
    """Redis is away: every part of the pipeline goes on by itself."""

    async def run(self, *command: Any) -> Any:
        raise RedisAway("away")

    def script(self, name: str) -> Any:
        async def call(names: list[str], arguments: list[Any]) -> Any:
            raise RedisAway("away")

        return call


class Tokens:
    """An authenticator to whom the token is the role's name; "nobody" has no account yet."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.away = False

    def recall(self, token: str) -> tuple[Claims, Caller] | None:
        return None

    def recall_claims(self, claims: Claims) -> tuple[Claims, Caller] | None:
        return None

    async def identify_claims(self, claims: Claims) -> tuple[Claims, Caller | None]:
        return await self.identify(claims.subject.removeprefix("user_"))

    def connection(self, credential: str) -> tuple[Claims, Connection]:
        raise Unauthenticated("TOKEN_INVALID", "no")

    async def identify(self, token: str) -> tuple[Claims, Caller | None]:
        self.verified.append(token)
        if self.away:
            raise Unavailable("UNAVAILABLE", "away")
        claims = Claims(f"user_{token}", "sess_1", 2e9, identity_pb2.ROLE_UNSPECIFIED)
        if token == "nobody":
            return claims, None
        role, _, suspended = token.partition(" ")
        if f"ROLE_{role}" not in identity_pb2.Role.DESCRIPTOR.values_by_name:
            raise Unauthenticated("TOKEN_INVALID", "no")
        status = identity_pb2.USER_STATUS_SUSPENDED if suspended else identity_pb2.USER_STATUS_ACTIVE
        return claims, Caller(b"u" * 16, identity_pb2.Role.Value(f"ROLE_{role}"), status, role, claims.subject, "sess_1")


class Things:
    """A service of which a test says what it does."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.error: BaseException | None = None
        self.wait: asyncio.Event | None = None

    async def change(self, call: Call, request: UpdateUserRequest) -> User:
        self.calls.append(call)
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        return User(id=request.user_id)

    async def watch(self, call: Call, request: UpdateUserRequest) -> AsyncIterator[User]:
        for number in "12":
            yield User(id=number)
        yield await self.change(call, request)


class Pipeline:
    """A dispatcher over `Things`."""

    def __init__(self, per_ip: int = 1000, per_user: int = 1000, per_class: int = 1000) -> None:
        redis = cast(Redis, NoRedis())
        self.tokens, self.things = Tokens(), Things()
        self.dispatcher = Dispatcher(
            (METHOD, STREAM, AUDITED, OPEN, COSTLY, OWN),
            {"test.Things": self.things},
            authenticator=self.tokens,
            quotas=Quotas(
                RateLimiter(redis), Policy("ip", per_ip, 60, per_ip), Policy("user", per_user, 60, per_user),
                Policy("frames", per_user, 60, per_user),
                {options.LIMIT_PAYMENTS: Policy("payments", per_class, 60, per_class)},
            ),
            idempotency=IdempotencyStore(redis),
            clock=lambda: NOW,
        )  # fmt: skip

    async def call(
        self,
        token: str | None = None,
        request: UpdateUserRequest = GOOD,
        method: Method = METHOD,
        timeout: float | None = None,
        **more: str,
    ) -> Any:
        metadata = {name.replace("_", "-"): value for name, value in more.items()}
        if token is not None:
            metadata["authorization"] = f"Bearer {token}"
        return await self.dispatcher.call(method, request, metadata, timeout)

    async def refused(self, *arguments: Any, **more: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.call(*arguments, **more)
        return caught.value


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


async def test_an_admitted_call_reaches_its_handler(pipeline: Pipeline) -> None:
    reply = await pipeline.call("ADMIN", x_request_id="req-1", x_client_ip="192.0.2.1")
    assert (reply.message, reply.shared) == (User(id=GOOD.user_id), False)
    [call] = pipeline.things.calls
    assert (call.now, call.request_id, call.client_ip, call.method) == (NOW, "req-1", "192.0.2.1", METHOD)
    assert call.user.role == identity_pb2.ROLE_ADMIN
    assert call.claims is not None


ORDER = [
    # Each is wrong in every later way too, and learns of the first alone.
    (None, BAD, "UNAUTHENTICATED", "TOKEN_MISSING"),
    ("forged", BAD, "UNAUTHENTICATED", "TOKEN_INVALID"),
    ("nobody", BAD, "PERMISSION_DENIED", "ACCOUNT_MISSING"),
    ("STUDENT suspended", BAD, "PERMISSION_DENIED", "ACCOUNT_SUSPENDED"),
    ("ADMIN suspended", BAD, "PERMISSION_DENIED", "ACCOUNT_SUSPENDED"),
    ("STUDENT", BAD, "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
    ("ADMIN", BAD, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ("ADMIN", GOOD, "ABORTED", "CONFLICT"),
]


@pytest.mark.parametrize(("token", "request_", "code", "reason"), ORDER)
async def test_known_then_allowed_then_valid_then_handled(
    pipeline: Pipeline, token: str | None, request_: UpdateUserRequest, code: str, reason: str
) -> None:
    pipeline.things.error = Conflict("CONFLICT", "changed")
    error = await pipeline.refused(token, request_)
    assert (error.code_name, error.reason) == (code, reason)
    assert bool(pipeline.things.calls) == (code == "ABORTED")
    assert bool(error.violations) == (code == "INVALID_ARGUMENT")


async def test_over_the_ip_s_limit_no_token_is_even_verified() -> None:
    pipeline = Pipeline(per_ip=2)
    for _ in range(2):
        await pipeline.refused("forged", x_client_ip="192.0.2.1")
    error = await pipeline.refused("forged", x_client_ip="192.0.2.1")
    assert (error.code_name, error.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert error.retry_after is not None
    assert error.retry_after > 0
    assert len(pipeline.tokens.verified) == 2
    await pipeline.call("ADMIN", x_client_ip="192.0.2.2")


async def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    pipeline = Pipeline(per_ip=1)
    await pipeline.call("ADMIN", x_client_ip="2001:db8::1")
    assert (await pipeline.refused("ADMIN", x_client_ip="2001:db8::ffff:2")).reason == "RATE_LIMITED"
    await pipeline.call("ADMIN", x_client_ip="2001:db8:0:1::1")


async def test_a_user_is_limited_before_the_request_is_looked_at() -> None:
    pipeline = Pipeline(per_user=1)
    await pipeline.call("ADMIN")
    assert (await pipeline.refused("ADMIN", BAD)).reason == "RATE_LIMITED"
    assert (await pipeline.refused("STUDENT")).reason == "ROLE_NOT_ALLOWED"


async def test_a_class_counts_per_user_where_one_is_needed() -> None:
    pipeline = Pipeline(per_class=1)
    for token in ("ADMIN", "STUDENT"):
        await pipeline.call(token, method=OWN, x_client_ip="192.0.2.1")
        error = await pipeline.refused(token, method=OWN, x_client_ip="192.0.2.2")
        assert error.metadata["ratelimit-policy"] == '"payments";q=1;w=60'


async def test_a_class_counts_per_address_where_anybody_may_call() -> None:
    pipeline = Pipeline(per_class=1)
    await pipeline.call("ADMIN", method=COSTLY, x_client_ip="192.0.2.1")
    await pipeline.call(method=COSTLY, x_client_ip="192.0.2.2")
    for token in ("ADMIN", "STUDENT", "nobody", None):
        for address in ("192.0.2.1", "192.0.2.2"):
            error = await pipeline.refused(token, method=COSTLY, x_client_ip=address)
            assert error.metadata["ratelimit-policy"] == '"payments";q=1;w=60'


@pytest.mark.parametrize(
    ("token", "request_", "policy"),
    [(None, GOOD, '"ip"'), ("forged", GOOD, '"ip"'), ("ADMIN", BAD, '"user"'), ("ADMIN", GOOD, '"user"')],
)
async def test_errors_carry_the_limits_state_too(
    pipeline: Pipeline, token: str | None, request_: UpdateUserRequest, policy: str
) -> None:
    pipeline.things.error = Conflict("CONFLICT", "changed")
    error = await pipeline.refused(token, request_)
    assert error.metadata["ratelimit"].startswith(policy)
    assert error.metadata["ratelimit-policy"].startswith(policy)


@pytest.mark.parametrize("header", ["", "ADMIN", "Basic ADMIN", "Bearer", "Bearer "])
async def test_only_bearer_tokens_are_read(pipeline: Pipeline, header: str) -> None:
    error = await pipeline.refused(method=OPEN, authorization=header)
    assert (error.code_name, error.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert pipeline.tokens.verified == []
    await pipeline.call(method=OPEN, authorization="bearer ADMIN")


async def test_an_open_method_verifies_the_token_that_is_sent(pipeline: Pipeline) -> None:
    await pipeline.call(method=OPEN)
    assert pipeline.things.calls[-1].caller is None
    await pipeline.call("STUDENT", method=OPEN)
    assert pipeline.things.calls[-1].user.role == identity_pb2.ROLE_STUDENT
    assert (await pipeline.refused("forged", method=OPEN)).reason == "TOKEN_INVALID"
    pipeline.tokens.away = True
    assert (await pipeline.refused("ADMIN", method=OPEN)).code_name == "UNAVAILABLE"


async def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_all(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.things.error = KeyError("the secret of the house")
    with caplog.at_level(logging.INFO):
        error = await pipeline.refused("ADMIN", x_request_id="req-7", x_client_ip="192.0.2.77", user_agent="Ada's browser")
    assert (error.code_name, error.reason, error.violations) == ("INTERNAL", "INTERNAL", ())
    assert "secret" not in str(error.status)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    line = JsonFormatter().format(record)
    assert '"request_id":"req-7"' in line
    assert '"method":"/test.Things/Change"' in line
    assert "KeyError: 'the secret of the house'" in line
    assert "test_dispatcher.py" in line
    for private in ("Bearer", "user_ADMIN", "192.0.2.77", "browser", GOOD.user_id):
        assert private not in line


async def test_an_expected_error_is_one_quiet_line(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await pipeline.refused("ADMIN", BAD)
    [record] = caplog.records
    assert (record.levelno, record.exc_info, record.getMessage()) == (logging.INFO, None, "Change INVALID_ARGUMENT")
    assert BAD.user_id not in JsonFormatter().format(record)


async def test_an_outage_is_an_error_without_a_traceback(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline.things.error = Unavailable("UNAVAILABLE", "away", retry_after=3)
    error = await pipeline.refused("ADMIN")
    assert (error.code_name, error.retry_after) == ("UNAVAILABLE", 3)
    [record] = caplog.records
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)


async def test_time_runs_out(pipeline: Pipeline) -> None:
    pipeline.things.wait = asyncio.Event()
    error = await pipeline.refused("ADMIN", timeout=0.01)
    assert (error.code_name, error.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert pipeline.things.calls[0].deadline == pytest.approx(monotonic(), abs=1)


async def test_no_caller_gets_more_than_a_minute(pipeline: Pipeline) -> None:
    await pipeline.call("ADMIN", timeout=10**6)
    await pipeline.call("ADMIN")
    now = monotonic()
    deadlines = [call.deadline for call in pipeline.things.calls]
    assert deadlines == [pytest.approx(now + 60, abs=1), pytest.approx(now + 10, abs=1)]


async def test_a_cancellation_stays_one(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline.things.wait = asyncio.Event()
    task = asyncio.create_task(pipeline.call("ADMIN"))
    while not pipeline.things.calls:  # noqa: ASYNC110 (it takes a few rounds of the loop)
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_an_audited_method_that_recorded_nothing_is_a_defect(pipeline: Pipeline) -> None:
    assert (await pipeline.refused("ADMIN", method=AUDITED)).reason == "INTERNAL"


@pytest.mark.parametrize("given", ["", "two words", "é", "x" * 129, "a\nb", "<script>"])
async def test_a_request_id_is_taken_if_it_is_sane_and_else_made(pipeline: Pipeline, given: str) -> None:
    await pipeline.call("ADMIN", x_request_id=given)
    await pipeline.call("ADMIN", x_request_id="x" * 128)
    made, taken = (call.request_id for call in pipeline.things.calls)
    assert len(made) == 24
    assert made != given
    assert taken == "x" * 128


async def test_a_stream_is_admitted_like_a_call(pipeline: Pipeline) -> None:
    def watch(token: str, timeout: float | None = None) -> AsyncIterator[Any]:
        return pipeline.dispatcher.stream(STREAM, GOOD, {"authorization": f"Bearer {token}"}, timeout)

    assert [message.id async for message in watch("ADMIN")] == ["1", "2", GOOD.user_id]
    with pytest.raises(CallError) as caught:
        await anext(watch("STUDENT"))
    assert caught.value.code == code_pb2.PERMISSION_DENIED
    pipeline.things.error = ValueError("secret")
    broken = watch("ADMIN")
    assert [(await anext(broken)).id, (await anext(broken)).id] == ["1", "2"]
    with pytest.raises(CallError) as caught:
        await anext(broken)
    assert caught.value.reason == "INTERNAL"
    pipeline.things.wait = asyncio.Event()
    with pytest.raises(CallError) as caught:
        [message async for message in watch("ADMIN", 0.01)]
    assert caught.value.reason == "DEADLINE_EXCEEDED"


def test_a_method_without_a_handler_stops_the_start() -> None:
    with pytest.raises(ContractError, match=r"/test\.Things/Change has no handler `change`"):
        Dispatcher(
            (METHOD,), {"test.Things": object()}, authenticator=Tokens(), quotas=cast(Any, None), idempotency=cast(Any, None),
            clock=lambda: NOW,
        )  # fmt: skip
