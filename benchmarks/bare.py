"""Bare sides that answer with the bytes of a file, on the event loop and with the settings that ours has.

`python -m benchmarks.bare SIDE PORT FILE`; SIDE is `handler` (`web.Application` with routes and a handler, what everybody
writes), `server` (aiohttp's low-level server without a router, which looks at nothing) or `grpc` (a grpc.aio handler).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop
from aiohttp import web

from cli.worker import settle_garbage
from skillforge.v1 import courses_pb2

HOST = "127.0.0.1"


async def serve_runner(runner: web.AppRunner | web.ServerRunner, port: int) -> None:
    """Serve until the process is ended."""
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    settle_garbage()
    await asyncio.Event().wait()


async def handler(port: int, body: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/courses", answer), web.get("/courses/{course_id}", answer)])
    await serve_runner(web.AppRunner(app, access_log=None, handler_cancellation=True, keepalive_timeout=75.0), port)


async def server(port: int, body: bytes) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    low_level = web.Server(answer, access_log=None, handler_cancellation=True, keepalive_timeout=75.0)
    await serve_runner(web.ServerRunner(low_level), port)


async def echo(port: int, body: bytes) -> None:
    """`GetCourse` of our contract with always the same course."""
    course = courses_pb2.Course.FromString(body)

    async def answer(request: courses_pb2.GetCourseRequest, context: object) -> courses_pb2.Course:
        return course

    method = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=courses_pb2.GetCourseRequest.FromString,
        response_serializer=courses_pb2.Course.SerializeToString,
    )
    running = grpc.aio.server()
    running.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("skillforge.v1.CoursesService", {"GetCourse": method}),)
    )
    running.add_insecure_port(f"{HOST}:{port}")
    await running.start()
    settle_garbage()
    await running.wait_for_termination()


SIDES: dict[str, Callable[[int, bytes], Awaitable[None]]] = {"handler": handler, "server": server, "grpc": echo}


async def main(side: str, port: int, body: bytes) -> None:
    await SIDES[side](port, body)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
