"""Puts the door on a socket, and takes it off again without dropping requests."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

from contract.client import CoreClient
from http_gateway.door import Door
from http_gateway.incoming import request_id_of
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import problem_answer
from http_gateway.problems import bad_request, problem_for, unexpected

BACKLOG = 1024
_LINGER_SECONDS = 2.0  # how long the rest of a refused body is read, so that the client sees the answer
_MAX_HEADER_BYTES = 16 * 1024
_LOG = logging.getLogger("http_gateway")


class GatewayServer(web.Server):
    """aiohttp's low-level server in front of a door."""

    def __init__(self, door: Door, options: GatewayOptions) -> None:
        super().__init__(
            # An Answer has what aiohttp asks of a response, without being one of its classes.
            cast(Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], door.handle),
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=options.keepalive_seconds,
            lingering_time=_LINGER_SECONDS,
            max_field_size=_MAX_HEADER_BYTES,
            # A compressed body is refused by its header, so nothing is ever blown up.
            auto_decompress=False,
        )
        self.door = door
        self.drain_others = options.drain_others

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """Answers what is no HTTP the way all errors are answered."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun; nothing can be said any more")
        request_id = request_id_of(request.headers)
        if status < 500:
            _LOG.debug("not HTTP: %s", message)
            error = bad_request("The request is not valid HTTP.")
        else:
            error = unexpected(request_id, request.method, exc or RuntimeError(message or "no handler"))
        answer = problem_answer(problem_for(error, request_id), request_id)
        answer.close = True
        return cast(web.StreamResponse, answer)


def create_server(client: CoreClient, options: GatewayOptions) -> GatewayServer:
    """The gateway in front of a core; call it within the running event loop. Raises RouteError, with every fault,
    when the contract cannot be served."""
    return GatewayServer(Door(client, options), options)


def open_socket(host: str, port: int, share: bool = False) -> socket.socket:
    """A listening socket; with `share` (SO_REUSEPORT) other processes may listen on the same port.

    Raises OSError when the address cannot be had.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]  # fmt: skip
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class RunningGateway:
    """A server that listens, until `stop`."""

    def __init__(self, server: GatewayServer, runner: web.ServerRunner, site: web.SockSite) -> None:
        self._server = server
        self._runner = runner
        self._site = site

    async def stop(self, notice_seconds: float = 0.25) -> None:
        """Stop listening, let connections end with their next answer for `notice_seconds`, wait for the requests in
        work (as long as `start` allowed), close what is left. A second call does nothing."""
        if self._server.door.system.draining:
            return
        self._server.door.system.draining = True
        await self._site.stop()
        notice = notice_seconds if self._server.connections else 0.0
        await asyncio.gather(self._server.drain_others(), asyncio.sleep(notice))
        await self._runner.cleanup()


async def start(
    server: GatewayServer, listener: socket.socket, drain_seconds: float = 30.0, tls: ssl.SSLContext | None = None
) -> RunningGateway:
    """Serve on a listening socket; on stop, requests in work get `drain_seconds` to finish."""
    runner = web.ServerRunner(server, shutdown_timeout=drain_seconds)
    await runner.setup()
    site = web.SockSite(runner, listener, ssl_context=tls, backlog=BACKLOG)
    await site.start()
    return RunningGateway(server, runner, site)


async def serve(
    server: GatewayServer, listener: socket.socket, stop: asyncio.Event, drain_seconds: float = 30.0, **more: Any
) -> None:
    """Serve on a listening socket until `stop` is set, then drain."""
    running = await start(server, listener, drain_seconds, **more)
    try:
        await stop.wait()
    finally:
        await running.stop()
