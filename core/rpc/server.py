"""The gRPC door: a thin adapter from grpc.aio to the dispatcher, with health, reflection and optional TLS."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from contract.client import CoreClient
from contract.errors import CallError
from contract.metadata import CLIENT_IP, GATEWAY_TOKEN
from contract.methods import Method

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
STATUS_DETAILS = "grpc-status-details-bin"
MAX_DETAILS_BYTES = 5000
# Calls at once; streams that last, one a connection, beside them.
MAX_CALLS = 1000
MAX_STREAMS = 20_000
_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = grpc.aio.ServicerContext[Any, Any]


class GrpcServer:
    """A grpc.aio server over a `CoreClient`.

    `gateway_token`: a gateway that sends it, or one of several between commas, is believed about the client's IP; everybody
    else counts as the peer that it is. `tls`: (certificate chain, private key) as PEM, None for plain text. `reuse_port`:
    sibling workers listen at the same port.
    """

    def __init__(
        self,
        core: CoreClient,
        methods: Iterable[Method],
        *,
        gateway_token: str = "",
        tls: tuple[bytes, bytes] | None = None,
        reuse_port: bool = False,
    ) -> None:
        self._core = core
        self._gateway_tokens = [token.strip().encode() for token in gateway_token.split(",") if token.strip()]
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", int(reuse_port)),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
            maximum_concurrent_rpcs=MAX_CALLS + MAX_STREAMS,
        )
        self._calls = 0
        self._health = health.aio.HealthServicer()
        self._tls = tls
        by_service: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
        for method in methods:
            by_service.setdefault(method.service, {})[method.name] = self._adapter(method)
        for service, handlers in by_service.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._services = (*by_service, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(self._services, self._server)

    async def start(self, address: str) -> int:
        """Listen at "host:port" and serve; returns the port. Raises OSError when the address is taken."""
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(address)
            else:
                certificate, key = self._tls
                port = self._server.add_secure_port(address, grpc.ssl_server_credentials([(key, certificate)]))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address} for gRPC; is the port taken?") from error
        await self._server.start()
        for service in ("", *self._services):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Report NOT_SERVING, take no new calls and let running ones finish within the grace."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)

    def _adapter(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def unary(request: Message, context: Context) -> Message:
            if self._calls >= MAX_CALLS:
                await _abort(context, _overloaded())
            self._calls += 1
            try:
                reply = await self._core.call(method, request, self._metadata(context), context.time_remaining())
            except CallError as error:
                await _abort(context, error)
                raise
            finally:
                self._calls -= 1
            # With the status, as an error's is: sent ahead it would cost a message of its own, an eighth of the call.
            context.set_trailing_metadata(tuple(reply.metadata.items()))
            return reply.message

        async def streaming(request: Message, context: Context) -> AsyncIterator[Message]:
            try:
                async for message in self._core.stream(method, request, self._metadata(context), context.time_remaining()):
                    yield message
            except CallError as error:
                await _abort(context, error)

        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        return make(
            streaming if method.server_streaming else unary,
            request_deserializer=method.request_type.FromString,
            response_serializer=method.reply_type.SerializeToString,
        )

    def _metadata(self, context: Context) -> dict[str, str]:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        sent = metadata.pop(GATEWAY_TOKEN, "").encode()
        matches = [hmac.compare_digest(sent, token) for token in self._gateway_tokens]  # all of them, in constant time
        if not any(matches):
            metadata[CLIENT_IP] = _peer_host(context.peer())
        return metadata


@lru_cache(maxsize=1024)
def _peer_host(peer: str) -> str:
    """The host of a gRPC peer string: "ipv4:127.0.0.1:5000", "ipv6:%5B::1%5D:5000", "unix:..."."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else kind


def _details(error: CallError) -> bytes:
    """The status as a trailer, with as many violations as a client that kept gRPC's usual 8 KiB of metadata takes."""
    raw: bytes = error.status.SerializeToString()
    kept = error.violations
    while len(raw) > MAX_DETAILS_BYTES and kept:
        kept = kept[: len(kept) // 2]
        raw = CallError.build(error.code, error.reason, error.detail, kept, error.retry_after).status.SerializeToString()
    return raw


def _overloaded() -> CallError:
    return CallError.build(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", "Too many calls are running. Try again.", retry_after=1.0)


async def _abort(context: Context, error: CallError) -> None:
    trailing: tuple[tuple[str, str | bytes], ...] = (*error.metadata.items(), (STATUS_DETAILS, _details(error)))
    await context.abort(_CODES.get(error.code, grpc.StatusCode.UNKNOWN), error.detail, trailing)
