"""A real coturn on a port of its own, that takes the credentials we make."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import free_port

HOST = "127.0.0.1"
REALM = "skillforge.test"
START_SECONDS = 15.0


class TurnServer:
    """Use it as a context manager; it may be stopped and started again at the same port."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.port = free_port()
        self.log = folder / "turn.log"
        self._arguments = (
            "-c", "/dev/null", "--no-cli", "--no-tls", "--no-dtls", "--use-auth-secret", f"--static-auth-secret={secret}",
            f"--realm={REALM}", f"--listening-ip={HOST}", f"--relay-ip={HOST}", f"--listening-port={self.port}",
            "--allow-loopback-peers", "--relay-threads=1", f"--userdb={folder / 'turn.db'}", f"--pidfile={folder / 'turn.pid'}",
            f"--log-file={self.log}", "--simple-log", "--verbose",
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"turn:{HOST}:{self.port}?transport=udp"

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it listens."""
        self.log.unlink(missing_ok=True)
        program = shutil.which("turnserver", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        assert program is not None, "There is no turnserver: `make test` installs coturn."
        self._process = subprocess.Popen([program, *self._arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while f":{self.port}" not in self.said:
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it at once: everybody's way through it is gone."""
        self._process.kill()
        self._process.wait(10)
