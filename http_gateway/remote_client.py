"""A `CoreClient` over gRPC: for a gateway in a process of its own.

Errors come as `google.rpc.Status` in the trailing metadata `grpc-status-details-bin`; without it, the gRPC code and
message make one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, status_pb2

from contract.client import Reply
from contract.errors import CallError
from contract.metadata import GATEWAY_TOKEN, REPLY_KEYS
from contract.methods import Method, load_methods

_DETAILS = "grpc-status-details-bin"
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_UNAVAILABLE_RETRY_SECONDS = 1.0
_DEFAULT_TIMEOUT_SECONDS = 30.0
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Many workers behind one name: each connects again within a second of losing its core.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
# Made by gRPC itself when it refuses or loses a call: the reason the pipeline would have given.
_REASONS = {
    code_pb2.UNAVAILABLE: "UNAVAILABLE",
    code_pb2.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    code_pb2.CANCELLED: "CANCELLED",
    code_pb2.UNIMPLEMENTED: "UNKNOWN_METHOD",
}
_SENTENCES = {
    code_pb2.UNAVAILABLE: "The service cannot be reached right now.",
    code_pb2.DEADLINE_EXCEEDED: "The call took longer than it may.",
}


class RemoteClient:
    """Calls a core at `target` ("host:port", "unix:/path"). Create it within the running event loop."""

    def __init__(self, target: str, *, root_certificates: bytes | None = None, gateway_token: str = "") -> None:
        """`root_certificates`: the PEM that vouches for a core with TLS, None for plain text; `gateway_token` proves to
        the core that the client addresses we send are true (the first of several between commas)."""
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(root_certificates), options=_OPTIONS)
            if root_certificates is not None
            else grpc.aio.insecure_channel(target, options=_OPTIONS)
        )
        token = gateway_token.partition(",")[0].strip()
        self._token = ((GATEWAY_TOKEN, token),) if token else ()
        self._calls: dict[str, Any] = {method.path: self._multicallable(method) for method in load_methods()}

    def _multicallable(self, method: Method) -> Any:
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        return make(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.reply_type.FromString,
        )

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        """Call a unary method; raises CallError."""
        running = self._calls[method.path](
            request, metadata=self._metadata(metadata), timeout=timeout or _DEFAULT_TIMEOUT_SECONDS
        )
        try:
            message: Message = await running
            head = _known(await running.initial_metadata())
            return Reply(message, {**head, **_known(await running.trailing_metadata())})
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        """Call a server-streaming method; raises CallError. Closing the iterator cancels the call."""
        running = self._calls[method.path](
            request, metadata=self._metadata(metadata), timeout=timeout or _DEFAULT_TIMEOUT_SECONDS
        )
        try:
            async for message in running:
                yield message
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        finally:
            running.cancel()

    async def close(self) -> None:
        """Close the channel; calls in work get a second."""
        await self._channel.close(grace=1.0)

    async def reachable(self, seconds: float) -> str:
        """ "ok" when the core can be reached within some seconds, else a sentence."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), seconds)
        except TimeoutError:
            return "does not answer. Start it, or correct the address that `skillforge gateway --core` was given."
        return "ok"

    def _metadata(self, metadata: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return (*metadata.items(), *self._token)


def call_error(error: grpc.aio.AioRpcError) -> CallError:
    """The error as the core meant it, or as gRPC's own code says when no core did."""
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()
    metadata = {**_known(error.initial_metadata() or ()), **_known(trailing)}
    details = next((value for key, value in trailing if key == _DETAILS), None)
    if isinstance(details, bytes):
        try:
            return CallError(status_pb2.Status.FromString(details), metadata)
        except DecodeError:
            pass  # no status of ours: gRPC's own code stands
    code = error.code().value[0]
    wait = _UNAVAILABLE_RETRY_SECONDS if code == code_pb2.UNAVAILABLE else None
    made = CallError.build(code, _REASONS.get(code, "INTERNAL"), _SENTENCES.get(code, error.details() or ""), retry_after=wait)
    made.metadata.update(metadata)
    return made


def _known(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The reply metadata doors know."""
    return {key: value for key, value in metadata if key in REPLY_KEYS and isinstance(value, str)}
