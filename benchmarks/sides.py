"""The two sides of a comparison, as processes on ports of their own over the same MariaDB and Redis."""

from __future__ import annotations

import http.client
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
from typing import NamedTuple

import pymysql

from cli.servers import LocalServers
from cli.signing_keys import kept_signing_key
from core.settings import RATES

HERE = Path(__file__).parent
START_SECONDS = 30.0
GENEROUS = "1000000/1"
HOST = "127.0.0.1"
SKILLFORGE = (sys.executable, "-m", "cli.main")


class Side(NamedTuple):
    """Where a process answers, and which it is."""

    url: str
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], environment: Mapping[str, str], log: Path, url: str, cwd: Path | None = None) -> Iterator[Side]:
    """A server process that answers HTTP or gRPC at `url`, stopped at the end."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output, cwd=cwd)
        try:
            _await_answer(child, url, log)
            yield Side(url, child.pid)
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
        except (urllib.error.HTTPError, http.client.BadStatusLine):  # the latter from a gRPC port
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
def peer(servers: LocalServers, pem: Path, folder: Path) -> Iterator[Side]:
    """The Express peer, its packages installed in `folder`."""
    with peer_process(prepare_peer(servers, pem, folder), folder) as side:
        yield side


def prepare_peer(servers: LocalServers, pem: Path, folder: Path) -> Mapping[str, str]:
    """The peer's database with its data, and its packages; returns the environment of `peer_process`."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            sys.exit(f"{name} is not installed; the peer needs Node 20 or newer")
    home = folder / "peer"
    shutil.copytree(HERE / "peer_express", home, dirs_exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=home, check=True, timeout=300)
    servers.create_database("peer")
    load_sql(servers, "peer", home / "schema.sql", home / "seed.sql")
    return {
        "MYSQL_SOCKET": str(servers.mariadb_socket),
        "MYSQL_DB": "peer",
        "REDIS_SOCKET": str(servers.redis_socket),
        "JWT_PUBLIC_KEY": str(pem),
        "NODE_ENV": "production",
    }


@contextmanager
def peer_process(environment: Mapping[str, str], folder: Path) -> Iterator[Side]:
    """One process of the peer."""
    port = free_port()
    log, url = folder / f"peer{port}.log", f"http://{HOST}:{port}"
    with process(["node", "server.js"], {**environment, "PORT": str(port)}, log, url, cwd=folder / "peer") as side:
        yield side


def prepare_ours(servers: LocalServers, pem: Path) -> Mapping[str, str]:
    """Our database with its data; returns the environment of `ours`."""
    servers.create_database("skillforge")
    limits = {f"RATE_LIMIT_{name}": GENEROUS for name in RATES}
    environment = {
        **limits,
        "DATABASE_URL": servers.database_url("skillforge"),
        "REDIS_URL": servers.redis_url(1),
        "CLERK_SECRET_KEY": "sk_test_benchmark",
        "CERTIFICATE_SIGNING_KEY": str(kept_signing_key(pem.parent)),
        "CLERK_JWT_KEY": str(pem),
        "LOG_LEVEL": "WARNING",
    }
    subprocess.run([*SKILLFORGE, "migrate"], env={**os.environ, **environment}, check=True, timeout=120, cwd=HERE.parent)
    load_sql(servers, "skillforge", HERE / "seed.sql")
    return environment


@contextmanager
def ours(environment: Mapping[str, str], folder: Path, workers: int = 1) -> Iterator[tuple[Side, Side]]:
    """`skillforge serve` with limits out of the way: its REST port and its gRPC port."""
    port, grpc_port = free_port(), free_port()
    serve = [*SKILLFORGE, "serve", "--port", str(port), "--grpc-port", str(grpc_port), "--workers", str(workers)]
    with process(serve, environment, folder / f"ours{port}.log", f"http://{HOST}:{port}", cwd=HERE.parent) as side:
        yield side, Side(f"http://{HOST}:{grpc_port}", side.pid)


@contextmanager
def bare(kind: str, body: bytes, folder: Path) -> Iterator[Side]:
    """A side of `benchmarks.bare` that returns the same bytes to everything."""
    file, port = folder / f"bare_{kind}", free_port()
    file.write_bytes(body)
    command = [sys.executable, "-m", "benchmarks.bare", kind, str(port), str(file)]
    with process(command, {}, folder / f"bare_{kind}.log", f"http://{HOST}:{port}", cwd=HERE.parent) as side:
        yield side


@contextmanager
def bare_progress(servers: LocalServers, folder: Path) -> Iterator[Side]:
    """The side of `benchmarks.bare_progress`, on our database; cases.json and the answers are in the folder."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_progress", str(port), str(servers.mariadb_socket), str(folder)]
    with process(command, {}, folder / "bare_progress.log", f"http://{HOST}:{port}", cwd=HERE.parent) as side:
        yield side
