"""A private MariaDB and a private Redis, over unix sockets in one data folder, for `skillforge up` and the tests.

Both die with the process that started them, however it ends, and what an earlier, killed process left running
in the same folder is stopped at the next start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import pymysql

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, a closing zero among them.
SOCKET_PATH_BYTES = 100
# Debian keeps servers where only root's PATH looks.
MORE_FOLDERS = "/usr/sbin:/usr/local/sbin"
# The server replaces the shell, so their process ids are one. The watcher waits for a line on the pipe that the
# parent holds: a line tells it to leave, the end of the pipe (the parent is gone) to stop the server. Unlike
# Linux's PDEATHSIG it works everywhere and does not end the server with the thread that started it.
WATCHED = 'exec 3<&0 </dev/null; (read -r _ <&3 || kill -TERM $$) & exec 3<&-; exec "$@"'


class ServersError(Exception):
    """A private server cannot be started or stopped; the message says why and what to do."""


def find_program(name: str) -> str:
    """The path of a server's program; ServersError says how to get it."""
    path = shutil.which(name) or shutil.which(name, path=MORE_FOLDERS)
    if path is None:
        raise ServersError(f"{name} is not installed: run `make install`, or install MariaDB and Redis yourself")
    return path


def failure(what: str, log: Path) -> ServersError:
    """An error that shows the end of the server's log."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-15:]
    except OSError:
        tail = []
    return ServersError("\n  ".join([f"{what}; the end of {log}:", *tail]))


def command_of(pid: int) -> str:
    """The command line of a running process, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        if Path("/proc/self").exists():
            return ""
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=10, check=False
    )
    return shown.stdout


def stop_pid(pid: int, mark: str) -> None:
    """End the process `pid` if its command line holds `mark`: SIGTERM, and SIGKILL after STOP_SECONDS."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if mark not in command_of(pid):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while mark in command_of(pid) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


class Server:
    """One server process: started, awaited, stopped, always with a deadline.

    `folder` gets the server's pid file and log; `socket` stands in its command line and in no other's;
    `answers` raises OSError or pymysql.Error until the server is ready.
    """

    def __init__(
        self, name: str, folder: Path, socket: Path, command: Callable[[], Sequence[str]], answers: Callable[[], None]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self._socket = socket
        self._command = command
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start the process and return at once; `wait_ready` tells when it answers."""
        if self._process is not None:
            raise ServersError(f"{self.name} is already running")
        command = [*self._command()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is for the parent, which then stops us in its order
            )
        self.pid_file.write_text(f"{self._process.pid}\n")

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when the server answers; ServersError with the end of its log when it dies or takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._answers()
            except (OSError, pymysql.Error) as error:
                if self._process is not None and self._process.poll() is not None:
                    raise self._failure(f"ended with status {self._process.returncode} at its start") from error
                if time.monotonic() > deadline:
                    raise self._failure(f"did not answer within {seconds:g} s ({error})") from error
            time.sleep(POLL_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        """End the process and wait for it: SIGTERM, and SIGKILL after STOP_SECONDS; SIGKILL at once if `kill`."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.write(b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # its watcher is gone already
        process.kill() if kill else process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.pid_file.unlink(missing_ok=True)

    def stop_leftover(self) -> None:
        """Stop what a killed earlier run left."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return
        stop_pid(pid, str(self._socket))
        self.pid_file.unlink(missing_ok=True)

    def _failure(self, what: str) -> ServersError:
        return failure(f"{self.name} {what}", self.log)


class LocalServers:
    """MariaDB and Redis of one data folder, which keeps their data between runs.

    `fast` gives up safety against a crash of the machine, not of a process: for tests. `cache_megabytes` is what
    MariaDB keeps of its tables in memory. The addresses follow from the folder, so another process can use them
    without starting anything. Use it as a context manager, or call `start` and `stop`; every method blocks, so call
    it from a thread when an event loop runs.
    """

    def __init__(self, data_dir: Path | str, *, fast: bool = False, cache_megabytes: int = 64) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.fast = fast
        self.cache_megabytes = cache_megabytes
        self.sockets = socket_folder(self.data_dir)
        self.mariadb = Server("mariadb", self.data_dir, self.mariadb_socket, self._mariadb_command, self._mariadb_answers)
        self.redis = Server("redis", self.data_dir, self.redis_socket, self._redis_command, self._redis_answers)
        self._lock: IO[str] | None = None

    @property
    def mariadb_socket(self) -> Path:
        return self.sockets / "mariadb.sock"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    def database_url(self, name: str) -> str:
        """The address of a database; see `create_database`."""
        return f"mysql://root@localhost/{quote(name)}?unix_socket={quote(str(self.mariadb_socket))}"

    def redis_url(self, db: int = 0) -> str:
        return f"unix://{quote(str(self.redis_socket))}?db={db}"

    def start(self) -> None:
        """Lock the folder, start both servers side by side and return when both answer."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_folder(self.sockets)
        self._take_lock()
        try:
            for server in (self.mariadb, self.redis):
                server.stop_leftover()
            self.redis.spawn()
            self.mariadb.spawn()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def wait_ready(self) -> None:
        """Return when both servers answer, whoever started them."""
        self.redis.wait_ready()
        self.mariadb.wait_ready()

    def stop(self, *, kill: bool = False) -> None:
        """Stop both servers and give the folder free; `kill` for data nobody needs any more."""
        self.mariadb.stop(kill=kill)
        self.redis.stop(kill=kill)
        if self.sockets.parent != self.data_dir:
            shutil.rmtree(self.sockets, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def create_database(self, name: str) -> str:
        """Create the database unless it exists, and return its address."""
        with pymysql.connect(unix_socket=str(self.mariadb_socket), user="root") as connection, connection.cursor() as cursor:
            quoted = name.replace("`", "``")
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return self.database_url(name)

    def stop_mariadb(self, *, kill: bool = False) -> None:
        self.mariadb.stop(kill=kill)

    def start_mariadb(self) -> None:
        self.mariadb.spawn()
        self.mariadb.wait_ready()

    def restart_mariadb(self, *, kill: bool = False) -> None:
        self.stop_mariadb(kill=kill)
        self.start_mariadb()

    def stop_redis(self, *, kill: bool = False) -> None:
        self.redis.stop(kill=kill)

    def start_redis(self) -> None:
        self.redis.spawn()
        self.redis.wait_ready()

    def restart_redis(self, *, kill: bool = False) -> None:
        self.stop_redis(kill=kill)
        self.start_redis()

    def _take_lock(self) -> None:
        lock = (self.data_dir / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            message = f"{self.data_dir} is in use by process {owner}: stop that one first, or choose another data folder"
            raise ServersError(message) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _mariadb_command(self) -> list[str]:
        data = self.data_dir / "mariadb"
        durability = ["--innodb-flush-log-at-trx-commit=1"]
        if self.fast:
            durability = ["--innodb-flush-log-at-trx-commit=2", "--skip-innodb-doublewrite"]
        # A starting mariadbd removes the temporary tables of every other one that shares its folder for them.
        temporary = self.data_dir / "tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        memory = [f"--innodb-buffer-pool-size={self.cache_megabytes}M", f"--innodb-log-file-size={self.cache_megabytes // 2}M"]
        common = [f"--tmpdir={temporary}", *memory, *self._as_root()]
        if not data.exists():
            install_database(data, self.mariadb.log, common)
        return [
            find_program("mariadbd"),
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={self.mariadb_socket}",
            "--skip-networking",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--default-time-zone=+00:00",
            "--max-connections=300",
            "--table-open-cache=400",
            *durability,
            *common,
        ]

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def _mariadb_answers(self) -> None:
        pymysql.connect(unix_socket=str(self.mariadb_socket), user="root", connect_timeout=5).close()

    def _redis_command(self) -> list[str]:
        data = self.data_dir / "redis"
        data.mkdir(mode=0o700, exist_ok=True)
        keep = ["--save", "", "--appendonly", "no"] if self.fast else ["--save", "60 1", "--appendonly", "yes"]
        listen = ["--port", "0", "--unixsocket", str(self.redis_socket), "--unixsocketperm", "700"]
        limits = ["--databases", "64", "--maxmemory", "256mb", "--maxmemory-policy", "volatile-ttl"]
        return [find_program("redis-server"), *listen, "--dir", str(data), *keep, *limits]

    def _redis_answers(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.redis_socket))
            connection.sendall(b"PING\r\n")
            answer = connection.recv(100)
        if answer != b"+PONG\r\n":
            raise ConnectionError(answer.decode(errors="replace").strip() or "connection closed")


def socket_folder(data_dir: Path) -> Path:
    """Where the sockets of a data folder are: in it, or in the system's temporary folder if its path is too long."""
    folder = data_dir / "run"
    if len(os.fsencode(folder / "mariadb.sock")) <= SOCKET_PATH_BYTES:
        return folder
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"skillforge-{os.geteuid()}-{digest}"


def private_folder(folder: Path) -> None:
    """Make a folder only its owner enters: whoever reaches MariaDB's socket is its root. Refuses another user's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
        raise ServersError(f"{folder} belongs to somebody else: choose another data folder")
    folder.chmod(0o700)


def install_database(data: Path, log: Path, options: Sequence[str]) -> None:
    """Fill a new MariaDB data folder, all or nothing; root needs no password, for the socket is private."""
    unfinished = data.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    command = [find_program("mariadb-install-db"), "--no-defaults", f"--datadir={unfinished}"]
    quick = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *options]
    with log.open("ab") as output:
        done = subprocess.run([*command, *quick], stdout=output, stderr=output, timeout=START_SECONDS * 2, check=False)
    if done.returncode != 0:
        raise failure(f"mariadb-install-db ended with status {done.returncode}", log)
    unfinished.rename(data)
