"""The dispatcher: one pipeline for every call, whichever door it came through.

limit by IP → authenticate → authorize → limit by user → validate → handle → audit; and one place turns an error into
a status. It is a `contract.client.CoreClient`, so a door in the same process calls it directly.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import Message

from contract.client import Reply
from contract.errors import CallError
from contract.metadata import AUTHORIZATION, CLIENT_IP, CONNECTION_SCHEME, IDEMPOTENCY_KEY, REQUEST_ID
from contract.methods import ContractError, Method
from core.call import Call, Caller, Claims, Connection
from core.errors import Unauthenticated
from core.rpc.access import AccessRule
from core.rpc.deadlines import finish_by
from core.rpc.idempotency import IdempotencyStore
from core.rpc.quotas import Quotas
from core.rpc.statuses import SERVER_FAULTS, to_call_error
from core.rpc.validate import KnownValid, check_rules
from core.times import Clock
from telemetry.request_ids import CURRENT_ID

log = logging.getLogger("skillforge.rpc")

DEFAULT_TIMEOUT_SECONDS = 10.0
MAX_TIMEOUT_SECONDS = 60.0
_CONNECTION = f"{CONNECTION_SCHEME} "
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

Handler = Callable[[Call, Any], Any]


class Authenticator(Protocol):
    """Tells who a bearer token belongs to."""

    def recall(self, token: str) -> tuple[Claims, Caller] | None:
        """The answer when it is known in this process already, without I/O."""

    def recall_claims(self, claims: Claims) -> tuple[Claims, Caller] | None:
        """`recall` for claims that were verified before."""

    async def identify_claims(self, claims: Claims) -> tuple[Claims, Caller | None]:
        """`identify` for claims that were verified before."""

    def connection(self, credential: str) -> tuple[Claims, Connection]:
        """The claims a WebSocket connection stands on, and the connection. Raises Unauthenticated."""

    async def identify(self, token: str) -> tuple[Claims, Caller | None]:
        """The claims and the account (None: not created yet). Raises Unauthenticated or Unavailable."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    method: Method
    handler: Handler
    access: AccessRule
    # Reads are asked again in the same words.
    reads: bool


class Dispatcher:
    """Calls the services' handlers through the pipeline. Raises ContractError when a method has no handler."""

    def __init__(
        self,
        methods: Iterable[Method],
        services: Mapping[str, object],
        *,
        authenticator: Authenticator,
        quotas: Quotas,
        idempotency: IdempotencyStore,
        clock: Clock,
    ) -> None:
        self._endpoints = {item.path: _endpoint(item, services) for item in methods}
        self._authenticator = authenticator
        self._quotas = quotas
        self._idempotency = idempotency
        self._clock = clock
        self._known_valid = KnownValid()

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        """Run a unary call. Raises CallError, whatever went wrong; a cancellation stays one."""
        call = self._open(method, metadata, timeout)
        started = time.perf_counter()
        try:
            reply = await finish_by(call.deadline, self._run(self._endpoints[method.path], call, request))
        except Exception as error:
            raise self._failed(call, error, started) from error
        if log.isEnabledFor(logging.DEBUG):
            _log_call(logging.DEBUG, call, "OK", started)
        return reply

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        """Run a server-streaming call: admitted like a unary one, then message by message."""
        call = self._open(method, metadata, timeout)
        started = time.perf_counter()
        endpoint = self._endpoints[method.path]
        try:
            async with asyncio.timeout(None if method.lasting else call.deadline - time.monotonic()):
                await self._admit(endpoint, call, request)
                messages = endpoint.handler(call, request)
                del request  # a stream may last for hours, and there may be thousands
                async for message in messages:
                    yield message
                    del message
        except Exception as error:
            raise self._failed(call, error, started) from error

    def _open(self, method: Method, metadata: Mapping[str, str], timeout: float | None) -> Call:
        seconds = DEFAULT_TIMEOUT_SECONDS if timeout is None else min(timeout, MAX_TIMEOUT_SECONDS)
        request_id = _request_id(metadata.get(REQUEST_ID, ""))
        CURRENT_ID.set(request_id)
        return Call(method, metadata, request_id, metadata.get(CLIENT_IP, ""), self._clock(), time.monotonic() + seconds)

    async def _run(self, endpoint: _Endpoint, call: Call, request: Message) -> Reply:
        await self._admit(endpoint, call, request)
        if not endpoint.method.idempotency_key or (key := call.metadata.get(IDEMPOTENCY_KEY)) is None:
            return _reply(endpoint, call, await endpoint.handler(call, request))
        return await self._once(endpoint, call, request, key)

    async def _admit(self, endpoint: _Endpoint, call: Call, request: Message) -> None:
        """Everything before the handler. A caller learns nothing before it is known and allowed."""
        self._recognize(call)
        if call.connection is None and not self._quotas.take_ip(call):
            await self._quotas.await_ip(call)
        await self._authenticate(call, required=not endpoint.access.open)
        endpoint.access.check(call)
        if not self._quotas.take_user(call):
            await self._quotas.await_user(call)
        if endpoint.reads:
            self._known_valid.check_rules(request)
        else:
            check_rules(request)

    def _recognize(self, call: Call) -> None:
        """A frame of a connection: its client's address was counted when it connected."""
        header = call.metadata.get(AUTHORIZATION, "")
        if header.startswith(_CONNECTION):
            with suppress(Unauthenticated):
                call.claims, call.connection = self._authenticator.connection(header.removeprefix(_CONNECTION))

    async def _authenticate(self, call: Call, required: bool) -> None:
        if call.connection is not None and call.claims is not None:
            claims = call.claims
            known = self._authenticator.recall_claims(claims)
            call.claims, call.caller = known if known is not None else await self._authenticator.identify_claims(claims)
            return
        header = call.metadata.get(AUTHORIZATION, "")
        if header.startswith(_CONNECTION):
            self._authenticator.connection(header.removeprefix(_CONNECTION))  # says why it was not recognized
        token = _bearer_token(call, required)
        if token:
            known = self._authenticator.recall(token)
            call.claims, call.caller = known if known is not None else await self._authenticator.identify(token)

    async def _once(self, endpoint: _Endpoint, call: Call, request: Message, key: str) -> Reply:
        """Handle a call that carries an idempotency key: the first answer is replayed to repeats."""
        owner = call.caller.user_id.hex() if call.caller else call.client_ip

        async def work() -> Reply:
            return _reply(endpoint, call, await endpoint.handler(call, request))

        scope, fingerprint = f"{endpoint.method.path}:{owner}", request.SerializeToString(deterministic=True)
        reply = await self._idempotency.run(scope, key, fingerprint, work, endpoint.method.reply_type)
        # A replay carries the first answer's metadata, without the state of this call's limits.
        return Reply(reply.message, {**call.reply_metadata, **reply.metadata}, reply.shared)

    def _failed(self, call: Call, error: Exception, started: float) -> CallError:
        failure = to_call_error(error)
        failure.metadata.update(call.reply_metadata)
        level = logging.ERROR if failure.code in SERVER_FAULTS else logging.INFO
        _log_call(level, call, failure.code_name, started, error if failure.reason == "INTERNAL" else None)
        return failure


def _request_id(given: str) -> str:
    """The caller's request id if it is fit for logs and the audit table, else a new one."""
    return given if _SANE_ID.fullmatch(given) else secrets.token_hex(12)


def _bearer_token(call: Call, required: bool) -> str:
    """The token of the Authorization header (RFC 6750); "" without one where none is required."""
    header = call.metadata.get(AUTHORIZATION)
    if header is None:
        if required:
            raise Unauthenticated("TOKEN_MISSING", "Sign in: send `Authorization: Bearer <token>`.")
        return ""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("TOKEN_INVALID", "The Authorization header must read `Bearer <token>`.")
    return token


def _endpoint(method: Method, services: Mapping[str, object]) -> _Endpoint:
    handler = getattr(services.get(method.service), method.handler, None)
    if handler is None:
        raise ContractError(f"{method.path} has no handler `{method.handler}`")
    reads = any(route.verb == "GET" for route in method.routes)
    return _Endpoint(method, handler, AccessRule.of(method), reads)


def _reply(endpoint: _Endpoint, call: Call, message: Message) -> Reply:
    if endpoint.method.audit and not call.audited:
        raise RuntimeError(f"{endpoint.method.path} declares an audit action but recorded none")
    return Reply(message, call.reply_metadata, call.shared_reply)


def _log_call(level: int, call: Call, code: str, started: float, error: Exception | None = None) -> None:
    fields = {
        "method": call.method.path,
        "code": code,
        "request_id": call.request_id,
        "milliseconds": round((time.perf_counter() - started) * 1000, 2),
    }
    log.log(level, "%s %s", call.method.name, code, extra={"fields": fields}, exc_info=error)
