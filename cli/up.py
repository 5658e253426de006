"""`skillforge up`: everything on this machine, for development and for a first look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from cli.addresses import listen, require_free
from cli.demo.personas import demo_personas
from cli.demo.school import make_school
from cli.servers import LocalServers
from cli.signing_keys import kept_signing_key
from cli.worker import Addresses, running_core, running_gateway, running_grpc, stopped, telling
from contract.client import CoreClient
from core.db import Database, Migrator
from core.settings import Settings, load_settings
from fakes.server import CLERK_SECRET_KEY, PAYMENTS_API_KEY, WEBHOOK_SECRET, FakeWorld

DATABASE = "skillforge"
SETTINGS_FILE = "settings.env"
MIGRATE_SECONDS = 120.0
# For a first look at `/metrics`; production has its own, or none.
METRICS_TOKEN = "development"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `skillforge up` was told."""

    data_dir: Path
    addresses: Addresses
    demo: bool


def default_settings(data_dir: Path, url: str, servers: LocalServers) -> dict[str, str]:
    """The settings that `up` makes for itself; whatever the environment sets wins over them."""
    return {
        "DATABASE_URL": servers.database_url(DATABASE),
        "REDIS_URL": servers.redis_url(),
        "CLERK_SECRET_KEY": CLERK_SECRET_KEY,
        "CLERK_API_URL": url,
        "CLERK_ISSUER": url,
        "PUBLIC_URL": url,
        "PAYMENT_PROVIDER": "fake",
        "PAYMENT_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "FAKE_PAYMENTS_URL": url,
        "FAKE_PAYMENTS_KEY": PAYMENTS_API_KEY,
        "CERTIFICATE_SIGNING_KEY": str(kept_signing_key(data_dir)),
        # People type either name of this machine.
        "ALLOWED_ORIGINS": ",".join(sorted({url, url.replace("//localhost:", "//127.0.0.1:")})),
        "METRICS_TOKEN": METRICS_TOKEN,
        "LOG_LEVEL": "WARNING",
    }


async def up(options: UpOptions, console: Console) -> None:
    """Run until a signal to stop; then stop everything that was started."""
    started = time.perf_counter()
    addresses = options.addresses
    require_free(addresses.host, addresses.grpc_port)
    listener = listen(addresses.host, addresses.port, reuse_port=False)
    port = listener.getsockname()[1]
    shown_host = "localhost" if addresses.host in ("127.0.0.1", "::1", "0.0.0.0", "::") else addresses.host
    url = f"http://{shown_host}:{port}"
    async with private_servers(options.data_dir) as servers:
        defaults = await asyncio.to_thread(default_settings, options.data_dir, url, servers)
        settings = load_settings(defaults)
        write_settings(options.data_dir, defaults)
        await migrate(settings)
        people = demo_personas() if options.demo else ()
        fakes = FakeWorld(options.data_dir, public_url=url, webhook_url=f"{url}/payments/webhook", personas=people)
        await fakes.start()
        try:
            async with (
                telling(settings.door, addresses) as metrics,
                running_core(settings, metrics) as core,
                running_grpc(core, settings, addresses, metrics) as grpc_port,
                running_gateway(
                    core.dispatcher, settings.door, listener, core.readiness, dict.fromkeys(fakes.prefixes, fakes.handle), metrics
                ),
            ):
                _announce(console, url, f"{shown_host}:{grpc_port}", options, time.perf_counter() - started)
                async with demo_school(core.dispatcher, fakes, console, wanted=options.demo):
                    await stopped()
                console.print("Stopping ...")
        finally:
            await fakes.close()


@asynccontextmanager
async def demo_school(client: CoreClient, fakes: FakeWorld, console: Console, *, wanted: bool) -> AsyncIterator[None]:
    """The demo school fills itself beside what runs inside; it stops with that, and the next start completes it."""
    filling = asyncio.create_task(_fill(client, fakes, console)) if wanted else None
    try:
        yield
    finally:
        if filling is not None:
            filling.cancel()
            await asyncio.wait([filling])


async def _fill(client: CoreClient, fakes: FakeWorld, console: Console) -> None:
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("The demo school opens", total=None)
            made = await make_school(client, fakes.clerk, lambda done, total: progress.update(task, completed=done, total=total))
    except* Exception as errors:
        console.print(f"[yellow]The demo school is not complete, the next start goes on with it:[/] {_first(errors)}")
    else:
        if made:
            console.print(f"The demo school is open, after {time.perf_counter() - started:.1f} s.")


def _first(errors: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


@asynccontextmanager
async def private_servers(data_dir: Path) -> AsyncIterator[LocalServers]:
    """The private MariaDB and Redis of a data folder, with the database made."""
    servers = LocalServers(data_dir)
    starting = asyncio.create_task(asyncio.to_thread(servers.start))
    try:
        await asyncio.shield(starting)
        await asyncio.to_thread(servers.create_database, DATABASE)
        yield servers
    finally:
        await asyncio.wait([starting])  # the thread of an interrupted start goes on to its end
        if starting.exception() is None:
            await asyncio.to_thread(servers.stop)


async def migrate(settings: Settings) -> list[str]:
    """Bring the database up to date; returns the names of the migrations applied."""
    db = Database(settings.database_url, size=2)
    try:
        async with asyncio.timeout(MIGRATE_SECONDS):
            await db.start()
            return list(await Migrator(db).apply())
    finally:
        await db.close()


def write_settings(data_dir: Path, values: Mapping[str, str]) -> None:
    """Leave the settings in the data folder, for commands that work on a running `up`."""
    path = data_dir / SETTINGS_FILE
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def read_settings_file(data_dir: Path) -> dict[str, str]:
    """The settings that `up` left in the data folder; empty when it never ran there."""
    try:
        lines = (data_dir / SETTINGS_FILE).read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _announce(console: Console, url: str, grpc_address: str, options: UpOptions, seconds: float) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("Console", f"[bold]{url}[/] (open it in a browser; the REST interface is there too)")
    table.add_row("gRPC", f"{grpc_address} (reflection is on)")
    table.add_row("Sign in", f"POST {url}/dev/sign-in {{email, displayName, role}} (a development issuer, not Clerk)")
    if options.demo:
        table.add_row("Demo", "sam@skillforge.example learns, ada@ teaches, anders@ is a parent, admin@ runs the school")
    table.add_row("Data", f"{options.data_dir} (MariaDB, Redis, keys; delete it to start anew)")
    table.add_row("Try", "skillforge tour")
    console.print(f"\n[bold green]SkillForge is ready[/] after {seconds:.1f} s. Ctrl-C stops it.\n")
    console.print(table)
