"""The remote client against a small gRPC server that answers as it is told."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from contract.methods import Method, load_methods
from http_gateway import remote_client
from http_gateway.remote_client import RemoteClient
from skillforge.v1 import courses_pb2
from tests.unit.http_gateway.gateways import gateway

Answer = Callable[[Any, Any], Awaitable[Any]]


def method(name: str) -> Method:
    return next(item for item in load_methods() if item.name == name)


class _Server(grpc.GenericRpcHandler):
    def __init__(self, answer: Any, streaming: bool) -> None:
        make = grpc.unary_stream_rpc_method_handler if streaming else grpc.unary_unary_rpc_method_handler
        request = courses_pb2.GetCourseRequest
        self._handler = make(answer, request.FromString, courses_pb2.Course.SerializeToString)

    def service(self, details: Any) -> Any:
        return self._handler if details.method == method("GetCourse").path else None


@asynccontextmanager
async def client_of(answer: Any, token: str = "", streaming: bool = False) -> AsyncIterator[RemoteClient]:
    with tempfile.TemporaryDirectory() as folder:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Server(answer, streaming),))
        server.add_insecure_port(f"unix:{folder}/core")
        await server.start()
        client = RemoteClient(f"unix:{folder}/core", gateway_token=token)
        try:
            assert await client.reachable(5) == "ok"
            yield client
        finally:
            await client.close()
            await server.stop(0)


async def get_course(client: RemoteClient, timeout: float = 5.0) -> Any:
    return await client.call(method("GetCourse"), courses_pb2.GetCourseRequest(course_id="c"), {"x-request-id": "r"}, timeout)


async def failure(answer: Any, timeout: float = 5.0) -> CallError:
    async with client_of(answer) as client:
        with pytest.raises(CallError) as error:
            await get_course(client, timeout)
    return error.value


async def test_request_metadata_and_reply_metadata_travel() -> None:
    seen: dict[str, str] = {}

    async def answer(request: Any, context: Any) -> Any:
        seen.update(context.invocation_metadata())
        assert context.time_remaining() < 6
        await context.send_initial_metadata((("ratelimit", "a"), ("internal", "no")))
        context.set_trailing_metadata((("x-http-status", "200"), ("ratelimit-policy", "b")))
        return courses_pb2.Course(id=request.course_id)

    async with client_of(answer, token="secret") as client:
        reply = await get_course(client)
    assert reply.message == courses_pb2.Course(id="c")
    assert dict(reply.metadata) == {"ratelimit": "a", "x-http-status": "200", "ratelimit-policy": "b"}
    assert reply.shared is False
    assert (seen["x-request-id"], seen["x-gateway-token"]) == ("r", "secret")


async def test_rich_errors_come_as_they_were_meant() -> None:
    sent = CallError.build(code_pb2.INVALID_ARGUMENT, "SOME", "words", [Violation("a.b", "r", "d")], retry_after=1.5)

    async def answer(request: Any, context: Any) -> Any:
        trailing = (("grpc-status-details-bin", sent.status.SerializeToString()), ("ratelimit", "a"))
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "words", trailing)

    error = await failure(answer)
    assert error.status == sent.status
    assert (error.reason, error.retry_after, error.violations) == ("SOME", 1.5, (Violation("a.b", "r", "d"),))
    assert error.metadata == {"ratelimit": "a"}


async def test_errors_without_details_keep_their_code() -> None:
    async def plain(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    async def garbled(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", (("grpc-status-details-bin", b"\xff\xff"),))

    for answer in (plain, garbled):
        error = await failure(answer)
        assert (error.code, error.detail) == (code_pb2.NOT_FOUND, "gone")


async def test_unavailable_says_when_to_try_again() -> None:
    client = RemoteClient("unix:/nonexistent/core")
    with pytest.raises(CallError) as error:
        await get_course(client)
    assert (await client.reachable(0.01)).startswith("does not answer.")
    await client.close()
    assert (error.value.code, error.value.reason, error.value.retry_after) == (code_pb2.UNAVAILABLE, "UNAVAILABLE", 1.0)


async def test_the_deadline_ends_the_call() -> None:
    async def never(request: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    error = await failure(never, timeout=0.05)
    assert (error.code, error.reason) == (code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    streaming = replace(method("GetCourse"), server_streaming=True)
    monkeypatch.setattr(remote_client, "load_methods", lambda: (streaming,))

    async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
        yield courses_pb2.Course(id="1")
        yield courses_pb2.Course(id="2")
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    got = []
    async with client_of(answer, streaming=True) as client:
        stream: Any = client.stream(streaming, courses_pb2.GetCourseRequest(), {}, 5.0)
        got += [(await anext(stream)).id, (await anext(stream)).id]
        with pytest.raises(CallError):
            await anext(stream)
    assert got == ["1", "2"]


async def test_a_gateway_in_front_of_a_remote_core() -> None:
    async def answer(request: Any, context: Any) -> Any:
        return courses_pb2.Course(id=request.course_id, etag="v")

    async with client_of(answer) as client, gateway(client) as http:
        response = await http("GET", "/courses/c1", headers={"User-Agent": "Brøwser"})
    assert (response.status, response.json["id"], response.headers["ETag"][:3]) == (200, "c1", '"v.')
