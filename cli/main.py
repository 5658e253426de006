"""The `skillforge` command. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

if TYPE_CHECKING:
    from core.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
DEFAULT_DATA_DIR = Path(".skillforge")
ROLES = ("ADMIN", "INSTRUCTOR", "STUDENT", "PARENT")

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_DATA_DIR, show_default=True,
    help="The folder of `skillforge up`.",
)  # fmt: skip


def address_options(*names: str) -> Callable[[_F], _F]:
    """The options of where to listen that a command takes."""
    options = {
        "host": click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at."),
        "port": click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="The REST port."),
        "grpc_port": click.option(
            "--grpc-port", default=50051, show_default=True, type=click.IntRange(0, 65535), help="The gRPC port."
        ),
    }

    def decorate(command: _F) -> _F:
        for name in reversed(names):
            command = options[name](command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="skillforge-lms")
def main() -> None:
    """SkillForge LMS: a learning management system behind one contract, over REST and gRPC."""


@main.command()
@address_options("host", "port", "grpc_port")
@data_dir_option
@click.option(
    "--demo/--no-demo", default=True, show_default=True, help="Fill a small school with people and courses on the first start."
)
def up(host: str, port: int, grpc_port: int, data_dir: Path, demo: bool) -> None:
    """Start everything on this machine: MariaDB, Redis, core, gateway, and fakes of Clerk and of a payment provider."""
    import uvloop
    from rich.console import Console

    from cli.logs import configure_logs
    from cli.servers import ServersError
    from cli.up import UpOptions
    from cli.up import up as run_up
    from cli.worker import Addresses
    from core.settings import SettingsError

    configure_logs("text", "WARNING")
    options = UpOptions(data_dir.resolve(), Addresses(host, port, grpc_port), demo)
    try:
        uvloop.run(run_up(options, Console()))
    except SettingsError as error:
        raise _settings_failure(error.faults) from error
    except (ServersError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@address_options("host", "port", "grpc_port")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 128), help="How many processes.")
def serve(host: str, port: int, grpc_port: int, workers: int) -> None:
    """Serve in production. Needs DATABASE_URL, REDIS_URL, CLERK_SECRET_KEY and CERTIFICATE_SIGNING_KEY."""
    import tempfile

    from cli.addresses import require_free
    from cli.logs import configure_logs
    from cli.serve import Supervisor
    from cli.worker import Addresses, worker_process

    settings = _settings()
    configure_logs(settings.door.log_format, settings.door.log_level)
    for address in ((host, port), (host, grpc_port), *filter(None, (settings.door.metrics_address,))):
        require_free(*address)
    _migrate(settings)
    click.echo(f"REST at {host}:{port}, gRPC at {host}:{grpc_port}, {workers} worker(s)", err=True)
    addresses = Addresses(host, port, grpc_port, reuse_port=True)
    with tempfile.TemporaryDirectory(prefix="skillforge-") as folder:  # where the workers find each other
        Supervisor(worker_process, (settings, addresses, Path(folder)), workers).run()


@main.command()
@address_options("host", "grpc_port")
def core(host: str, grpc_port: int) -> None:
    """Serve the core alone, over gRPC."""
    import uvloop

    from cli.addresses import require_free
    from cli.logs import configure_logs
    from cli.worker import Addresses, serve_core

    settings = _settings()
    configure_logs(settings.door.log_format, settings.door.log_level)
    require_free(host, grpc_port)
    _migrate(settings)
    click.echo(f"gRPC at {host}:{grpc_port}", err=True)
    uvloop.run(serve_core(settings, Addresses(host, 0, grpc_port)))


@main.command()
@address_options("host", "port")
@click.option("--core", "target", required=True, metavar="HOST:PORT", help="The core's gRPC address.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="PEM that vouches for a core with TLS.")
def gateway(host: str, port: int, target: str, ca: Path | None) -> None:
    """Serve the REST gateway alone, to a core elsewhere."""
    import uvloop

    from cli.logs import configure_logs
    from cli.worker import Addresses, serve_remote_gateway
    from core.settings import SettingsError, load_door_settings

    try:
        settings = load_door_settings()
    except SettingsError as error:
        raise _settings_failure(error.faults) from error
    configure_logs(settings.log_format, settings.log_level)
    click.echo(f"REST at {host}:{port}, core at {target}", err=True)
    uvloop.run(serve_remote_gateway(settings, Addresses(host, port, 0), target, ca.read_bytes() if ca else None))


@main.command()
@data_dir_option
def migrate(data_dir: Path) -> None:
    """Bring the database up to date. Any number of processes may run it at once."""
    applied = _migrate(_settings(data_dir))
    click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do")


@main.command()
@click.option("--students", default=1000, show_default=True, type=int, help="How many students.")
@click.option("--courses", default=50, show_default=True, type=int, help="How many courses.")
@click.option("--lectures", default=20, show_default=True, type=int, help="Lectures in each course.")
@click.option("--enrollments", default=5, show_default=True, type=int, help="Courses each student is enrolled in.")
@click.option("--progress", default=10, show_default=True, type=int, help="Lectures completed in each enrollment, on average.")
@click.option("--seed", default=1, show_default=True, type=int, help="The same sizes and seed give the same data.")
@click.option("--yes", is_flag=True, help="Write into a database that is not the data folder's own, too.")
@data_dir_option
def generate(yes: bool, data_dir: Path, **sizes: int) -> None:
    """Fill the database with large data, by bulk SQL: students, courses, progress, exams, payments, certificates.

    A repeat with the same sizes and seed writes what is missing, so one that was stopped goes on.
    """
    from datetime import time

    from rich.console import Console

    from cli.generate import owns_database, run_generate
    from core.db import MigrationError
    from core.errors import DomainError
    from core.generate.plan import Plan, PlanError
    from core.times import utc_now

    settings = _settings(data_dir)
    if not yes and not owns_database(settings, data_dir):
        raise click.ClickException(f"DATABASE_URL is not the database of {data_dir}: say --yes to write into it all the same")
    try:
        plan = Plan(**sizes, until=datetime.combine(utc_now(), time()))
        asyncio.run(run_generate(settings, plan, Console()))
    except PlanError as error:
        raise click.ClickException(str(error)) from error
    except (MigrationError, DomainError, TimeoutError) as error:
        reason = error.detail if isinstance(error, DomainError) else str(error) or "the database does not answer"
        raise click.ClickException(f"{reason} (is `skillforge up` running there?)") from error
    click.echo(f"Sign in as any of them: student1@{plan.domain}, ..., instructor1@{plan.domain}, ...")


@main.command("grant-role")
@click.argument("email")
@click.argument("role", type=click.Choice(ROLES, case_sensitive=False))
@data_dir_option
def grant_role(email: str, role: str, data_dir: Path) -> None:
    """Give the account with EMAIL a ROLE, effective everywhere within a second."""
    from cli.grants import grant_role as run
    from core.errors import DomainError

    try:
        click.echo(asyncio.run(run(_settings(data_dir), email, role.upper())))
    except DomainError as error:
        raise click.ClickException(error.detail) from error


@main.command("make-signing-key")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--replacing", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="OLD",
    help="The key that retires: tells what to add to CERTIFICATE_RETIRED_KEYS, so that its certificates stay valid.",
)  # fmt: skip
def make_signing_key(path: Path, replacing: Path | None) -> None:
    """Make the key that signs certificates, in a new file at PATH that only you may read."""
    from cli.signing_keys import make_signing_key as run
    from cli.signing_keys import retire

    try:
        retired = retire(replacing) if replacing else ""
        run(path)
    except FileExistsError as error:
        raise click.ClickException(f"{path} exists already; a signing key is never overwritten") from error
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Set CERTIFICATE_SIGNING_KEY={path.resolve()} and keep a copy of it in a safe place.", err=True)
    if retired:
        click.echo("Add this to the file that CERTIFICATE_RETIRED_KEYS names:", err=True)
        click.echo(retired, nl=False)


@main.command("rebuild-analytics")
@click.option("--course", "course", type=click.UUID, help="The id of the only course to rebuild.")
@data_dir_option
def rebuild_analytics(course: UUID | None, data_dir: Path) -> None:
    """Compute gradebooks and analytics again from what they are made of, while everything runs."""
    from rich.console import Console

    from cli.rebuild import rebuild_analytics as run
    from core.errors import DomainError

    try:
        click.echo(asyncio.run(run(_settings(data_dir), course.bytes if course else None, Console(stderr=True))))
    except DomainError as error:
        raise click.ClickException(error.detail) from error


@main.command()
@click.option("--dry-run", is_flag=True, help="List what is wrong, and change nothing.")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Ask the providers about payments opened since then (UTC).  [default: 30 days ago]",
)  # fmt: skip
@click.option("--payment", type=click.UUID, help="The id of the only payment to look at.")
@data_dir_option
@click.pass_context
def reconcile(context: click.Context, dry_run: bool, since: datetime | None, payment: UUID | None, data_dir: Path) -> None:
    """Compare all payments with the access they give and with their providers, while everything runs, and mend what differs.

    The exit code is 0 when nothing is left to do, 3 when something is: listed by --dry-run, to be looked at by somebody,
    or a provider that could not be asked.
    """
    from datetime import timedelta

    from rich.console import Console

    from cli.reconcile import reconcile as run
    from cli.reconcile import table
    from core.errors import DomainError
    from core.times import utc_now

    try:
        since, payment_id = since or utc_now() - timedelta(days=30), payment.bytes if payment else None
        findings, left = asyncio.run(run(_settings(data_dir), since, payment_id, dry_run, Console(stderr=True)))
    except DomainError as error:
        raise click.ClickException(error.detail) from error
    if findings:
        Console(width=None if Console().is_terminal else 200).print(table(findings, dry_run))
    click.echo("everything fits together" if not findings else f"{left} left to do" if left else "everything is mended")
    context.exit(3 if left else 0)


@main.command()
@click.option("--url", default="http://localhost:8080", show_default=True, help="Where `skillforge up` runs.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("certificate.pdf"), show_default=True,
    help="Where to leave the certificate.",
)  # fmt: skip
def tour(url: str, output: Path) -> None:
    """Walk the whole student journey as an HTTP client, showing each request."""
    from rich.console import Console

    from cli.client import ApiError
    from cli.tour import run_tour

    try:
        asyncio.run(run_tour(url, output, Console()))
    except (ApiError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@address_options("host")
@click.option("--port", default=9000, show_default=True, type=click.IntRange(0, 65535), help="The port.")
@click.option("--webhook-url", required=True, help="Where payment webhooks go, such as http://localhost:8080/payments/webhook.")
@data_dir_option
def fakes(host: str, port: int, webhook_url: str, data_dir: Path) -> None:
    """Serve the fakes of Clerk and of the payment provider, for trying `serve` without accounts there."""
    from cli.fakes import run_fakes

    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(run_fakes(host, port, webhook_url, data_dir.resolve()))


def _settings(data_dir: Path | None = None) -> Settings:
    """The settings of the environment, over those that `up` left in the data folder."""
    from cli.up import read_settings_file
    from core.settings import SettingsError, load_settings

    try:
        return load_settings(read_settings_file(data_dir) if data_dir else None)
    except SettingsError as error:
        raise _settings_failure(error.faults) from error


def _migrate(settings: Settings) -> list[str]:
    from cli.up import migrate as run_migrate
    from core.db import MigrationError
    from core.errors import DomainError

    try:
        return asyncio.run(run_migrate(settings))
    except (MigrationError, DomainError, TimeoutError) as error:
        raise click.ClickException(f"the database cannot be brought up to date: {error or 'it does not answer'}") from error


def _settings_failure(faults: list[str]) -> click.ClickException:
    return click.ClickException("the settings are not complete:\n" + "\n".join(f"  {fault}" for fault in faults))


if __name__ == "__main__":
    main()
