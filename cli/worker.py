"""One process: a core, its gRPC port and a REST gateway, in any combination, from sockets to drain."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import uvloop
from aiohttp import web

from cli.addresses import listen
from cli.logs import configure_logs
from contract.client import CoreClient
from core.app import Core
from core.rpc.server import GrpcServer
from core.settings import DoorSettings, Settings
from http_gateway import server as gateway_server
from http_gateway.options import GatewayOptions
from http_gateway.remote_client import RemoteClient
from telemetry import tracing
from telemetry.metrics import Metrics
from telemetry.server import serving_metrics
from telemetry.workers import Place
from ws_signaling import SignalingDoor, SignalingOptions

DRAIN_SECONDS = 15.0
READY_SECONDS = 2.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen. `reuse_port` when sibling workers listen at the same ports."""

    host: str
    port: int
    grpc_port: int
    reuse_port: bool = False


@asynccontextmanager
async def telling(settings: DoorSettings, addresses: Addresses, place: Place | None = None) -> AsyncIterator[Metrics]:
    """The figures and, if there is a collector, the traces of a process; what is to be told of is made inside."""
    if settings.otlp_endpoint:
        tracing.start(settings.otlp_endpoint, settings.otlp_service)
    listener = listen(*settings.metrics_address, reuse_port=addresses.reuse_port) if settings.metrics_address else None
    metrics = Metrics(place, version("skillforge-lms"))
    try:
        async with metrics.running(), serving_metrics(metrics, listener):
            yield metrics
    finally:
        await tracing.stop()


@asynccontextmanager
async def running_core(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[Core]:
    """A core that is connected, and closed at the end."""
    core = Core(settings)
    try:
        await core.start()
        with (metrics or Metrics()).including(core.figures, core.shared_figures):
            yield core
    finally:
        await core.close()


@asynccontextmanager
async def running_grpc(
    core: Core, settings: Settings, addresses: Addresses, metrics: Metrics | None = None
) -> AsyncIterator[int]:
    """The gRPC server of a core; gives its port."""
    server = GrpcServer(
        (metrics or Metrics()).counted(core.dispatcher, "grpc"),
        core.methods,
        gateway_token=settings.door.gateway_token,
        tls=settings.grpc_tls,
        reuse_port=addresses.reuse_port,
    )
    port = await server.start(_address(addresses.host, addresses.grpc_port))
    try:
        yield port
    finally:
        await server.stop(DRAIN_SECONDS)


@asynccontextmanager
async def running_gateway(
    client: CoreClient,
    settings: DoorSettings,
    listener: socket.socket,
    readiness: Callable[[], Awaitable[Mapping[str, str]]],
    extra_handlers: Mapping[str, Handler] | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[None]:
    """A REST gateway and a WebSocket door over a client on a listening socket, drained at the end."""
    metrics = metrics or Metrics()
    signaling = SignalingDoor(
        metrics.counted(client, "ws"),
        SignalingOptions(
            allowed_origins=frozenset(settings.allowed_origins) | settings.own_origins,
            trusted_proxy_hops=settings.trusted_proxy_hops,
        ),
    )
    options = GatewayOptions(
        allowed_origins=frozenset(settings.allowed_origins),
        trusted_proxy_hops=settings.trusted_proxy_hops,
        readiness=readiness,
        extra_handlers={**(extra_handlers or {}), "/ws": signaling.handle},
        metrics=metrics.text,
        metrics_token=settings.metrics_token,
        drain_others=signaling.drain,
    )
    signaling.start()
    server = gateway_server.create_server(metrics.counted(client, "rest"), options)
    running = await gateway_server.start(server, listener, DRAIN_SECONDS)
    try:
        with metrics.including(signaling.figures), metrics.including(server.door.figures):
            yield
    finally:
        await running.stop()


async def serve_all(settings: Settings, addresses: Addresses, place: Place | None = None) -> None:
    """Core, gRPC and gateway in this process until a signal to stop."""
    listener = listen(addresses.host, addresses.port, reuse_port=addresses.reuse_port)
    async with (
        telling(settings.door, addresses, place) as metrics,
        running_core(settings, metrics) as core,
        running_grpc(core, settings, addresses, metrics),
        running_gateway(core.dispatcher, settings.door, listener, core.readiness, metrics=metrics),
    ):
        settle_garbage()
        await stopped()


async def serve_core(settings: Settings, addresses: Addresses) -> None:
    """A core behind gRPC alone until a signal to stop."""
    async with (
        telling(settings.door, addresses) as metrics,
        running_core(settings, metrics) as core,
        running_grpc(core, settings, addresses, metrics),
    ):
        await stopped()


async def serve_remote_gateway(settings: DoorSettings, addresses: Addresses, target: str, ca: bytes | None) -> None:
    """A gateway to a core elsewhere until a signal to stop. `ca`: the PEM that vouches for the core, None for plain text."""
    listener = listen(addresses.host, addresses.port, reuse_port=addresses.reuse_port)
    async with telling(settings, addresses) as metrics, running_remote_client(target, settings, ca) as client:

        async def readiness() -> Mapping[str, str]:
            return {"core": await client.reachable(READY_SECONDS)}

        async with running_gateway(client, settings, listener, readiness, metrics=metrics):
            await stopped()


@asynccontextmanager
async def running_remote_client(target: str, settings: DoorSettings, ca: bytes | None = None) -> AsyncIterator[RemoteClient]:
    """A client of a core elsewhere, closed at the end."""
    client = RemoteClient(target, root_certificates=ca, gateway_token=settings.gateway_token)
    try:
        yield client
    finally:
        await client.close()


def settle_garbage() -> None:
    """Take what the start-up made out of the garbage collector's sight, and let it look less often: requests leave
    few cycles, and a full collection over everything loaded costs milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def stopped() -> None:
    """Return at SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def worker_process(settings: Settings, addresses: Addresses, folder: Path) -> None:
    """What a worker of `skillforge serve` runs; importable, as workers are spawned. They find each other in the folder."""
    configure_logs(settings.door.log_format, settings.door.log_level)
    uvloop.run(serve_all(settings, addresses, Place(multiprocessing.current_process().name, folder)))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
