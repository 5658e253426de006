"""The two sides of a comparison, as processes on ports of their own over the same MariaDB and Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pymysql

from cli.servers import LocalServers

HERE = Path(__file__).parent
START_SECONDS = 30.0
GENEROUS = "1000000/1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], environment: Mapping[str, str], log: Path, url: str, cwd: Path | None = None) -> Iterator[str]:
    """A server process that answers at `url`, stopped at the end."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output, cwd=cwd)
        try:
            _await_answer(child, url, log)
            yield url
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def _await_answer(child: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            urllib.request.urlopen(url + "/", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{' '.join(child.args)} does not answer:\n{log.read_text(errors='replace')[-2000:]}")  # type: ignore[arg-type]


def load_sql(servers: LocalServers, database: str, *files: Path) -> None:
    """Run SQL files, statement by statement (each ends a line with a semicolon)."""
    with (
        pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=database, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for file in files:
            text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
            for statement in filter(None, (part.strip() for part in text.split(";\n"))):
                cursor.execute(statement.rstrip(";"))


@contextmanager
def peer(servers: LocalServers, pem: Path, folder: Path) -> Iterator[str]:
    """The Express peer, its packages installed in `folder`."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            sys.exit(f"{name} is not installed; the peer needs Node 20 or newer")
    home = folder / "peer"
    shutil.copytree(HERE / "peer_express", home, dirs_exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=home, check=True, timeout=300)
    servers.create_database("peer")
    load_sql(servers, "peer", home / "schema.sql", home / "seed.sql")
    port = free_port()
    environment = {
        "MYSQL_SOCKET": str(servers.mariadb_socket),
        "MYSQL_DB": "peer",
        "REDIS_SOCKET": str(servers.redis_socket),
        "JWT_PUBLIC_KEY": str(pem),
        "NODE_ENV": "production",
        "PORT": str(port),
    }
    with process(["node", "server.js"], environment, folder / "peer.log", f"http://127.0.0.1:{port}", cwd=home) as url:
        yield url


@contextmanager
def ours(servers: LocalServers, pem: Path, folder: Path, *, workers: int = 1) -> Iterator[str]:
    """`skillforge serve` with limits out of the way."""
    servers.create_database("skillforge")
    port, grpc_port = free_port(), free_port()
    limits = {f"RATE_LIMIT_{name}": GENEROUS for name in ("IP", "USER", "PAYMENTS", "CERTIFICATES", "AUTH")}
    environment = {
        **limits,
        "DATABASE_URL": servers.database_url("skillforge"),
        "REDIS_URL": servers.redis_url(1),
        "CLERK_SECRET_KEY": "sk_test_benchmark",
        "CLERK_JWT_KEY": str(pem),
        "LOG_LEVEL": "WARNING",
    }
    skillforge = [sys.executable, "-m", "cli.main"]
    subprocess.run([*skillforge, "migrate"], env={**os.environ, **environment}, check=True, timeout=120, cwd=HERE.parent)
    load_sql(servers, "skillforge", HERE / "seed.sql")
    serve = [*skillforge, "serve", "--port", str(port), "--grpc-port", str(grpc_port), "--workers", str(workers)]
    with process(serve, environment, folder / "ours.log", f"http://127.0.0.1:{port}", cwd=HERE.parent) as url:
        yield url


@contextmanager
def bare(body: bytes, folder: Path) -> Iterator[str]:
    """A bare aiohttp handler that returns the same bytes to everything."""
    (folder / "bare.json").write_bytes(body)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(folder / "bare.json")]
    with process(command, {}, folder / "bare.log", f"http://127.0.0.1:{port}", cwd=HERE.parent) as url:
        yield url
