"""The private MariaDB and Redis: their data stays, their processes never do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pytest
import redis

from cli.servers import LocalServers, ServersError, command_of
from tests.support.processes import freeze

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from cli.servers import LocalServers
LocalServers(sys.argv[1]).start()
print("up", flush=True)
time.sleep(600)
"""


def answer(servers: LocalServers, statement: str, database: str | None = None) -> object:
    """The first value the statement returns."""
    address = str(servers.mariadb_socket)
    with pymysql.connect(unix_socket=address, user="root", database=database, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        row = cursor.fetchone()
    return row[0] if row else None


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that has started servers in `folder`."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "up\n"
    return holder


def wait_gone(*pids: int) -> None:
    deadline = time.monotonic() + 20
    while any(command_of(pid) for pid in pids):
        assert time.monotonic() < deadline, "a server outlived its parent"
        time.sleep(0.02)


def server_pids(folder: Path) -> list[int]:
    return [int((folder / name).read_text()) for name in ("mariadb.pid", "redis.pid")]


def test_addresses_reach_the_worker_s_own_databases(servers: LocalServers, database_url: str, redis_url: str) -> None:
    name = database_url.removeprefix("mysql://root@localhost/").partition("?")[0]
    assert answer(servers, "SELECT DATABASE()", name) == name
    assert answer(servers, "SELECT @@character_set_database", name) == "utf8mb4"
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True


@pytest.mark.slow
def test_data_survives_a_restart_and_a_kill(tmp_path: Path) -> None:
    with LocalServers(tmp_path / "data") as servers:
        servers.create_database("kept")
        answer(servers, "CREATE TABLE kept.note (text TEXT)")
        answer(servers, "INSERT INTO kept.note VALUES ('still here')")
        with redis.Redis.from_url(servers.redis_url(3)) as client:
            client.set("note", "still here")
        servers.restart_mariadb(kill=True)
        servers.restart_redis()
        with redis.Redis.from_url(servers.redis_url(3)) as client:
            assert client.get("note") == b"still here"
    with LocalServers(tmp_path / "data") as servers:
        assert answer(servers, "SELECT text FROM kept.note") == "still here"
        pids = server_pids(servers.data_dir)
    assert not any(command_of(pid) for pid in pids)


@pytest.mark.slow
def test_each_server_has_its_own_temporary_folder(own_servers: LocalServers, servers: LocalServers) -> None:
    """A starting mariadbd removes the temporary tables it finds."""
    assert answer(own_servers, "SELECT @@tmpdir") == str(own_servers.data_dir / "tmp")
    assert answer(servers, "SELECT @@tmpdir") == str(servers.data_dir / "tmp")


@pytest.mark.slow
def test_a_second_start_on_the_folder_names_the_first(own_servers: LocalServers) -> None:
    with pytest.raises(ServersError, match=f"in use by process {os.getpid()}"):
        LocalServers(own_servers.data_dir).start()
    assert answer(own_servers, "SELECT 1") == 1


@pytest.mark.slow
def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    pids = server_pids(tmp_path)
    assert all(command_of(pid) for pid in pids)
    holder.kill()
    holder.communicate(timeout=10)
    wait_gone(*pids)


@pytest.mark.slow
def test_a_start_stops_what_a_killed_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = hold(tmp_path)
    pids = server_pids(tmp_path)
    for pid in pids:
        freeze(pid)  # frozen, they hear neither that their parent is gone nor a SIGTERM
    holder.kill()
    holder.communicate(timeout=10)
    monkeypatch.setattr("cli.servers.STOP_SECONDS", 0.2)
    with LocalServers(tmp_path) as servers:
        assert answer(servers, "SELECT 1") == 1
        assert set(server_pids(tmp_path)).isdisjoint(pids)
        assert not any(command_of(pid) for pid in pids)


@pytest.mark.slow
def test_each_server_stops_and_starts_alone(own_servers: LocalServers) -> None:
    own_servers.stop_redis()
    with pytest.raises(redis.ConnectionError), redis.Redis.from_url(own_servers.redis_url()) as client:
        client.ping()
    assert answer(own_servers, "SELECT 1") == 1
    own_servers.start_redis()
    own_servers.stop_mariadb(kill=True)
    with pytest.raises(pymysql.OperationalError):
        answer(own_servers, "SELECT 1")
    own_servers.start_mariadb()
    assert answer(own_servers, "SELECT 1") == 1


@pytest.mark.slow
def test_a_long_path_keeps_its_sockets_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with LocalServers(folder, fast=True) as servers:
        assert not servers.sockets.is_relative_to(folder)
        assert servers.sockets.stat().st_mode & 0o077 == 0
        assert answer(servers, "SELECT 1") == 1
    assert not servers.sockets.exists()


def test_a_server_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "mariadb").mkdir()  # a data folder without a database in it
    with pytest.raises(ServersError, match=r"(?s)mariadb ended with status \d+ at its start; the end of .*mariadb\.log:.*mysql"):
        LocalServers(tmp_path).start()


def test_another_user_s_socket_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("/tmp")
    with pytest.raises(ServersError, match="belongs to somebody else"):
        LocalServers(tmp_path).start()
