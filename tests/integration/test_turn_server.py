"""Our TURN credentials at a real coturn: data are relayed with them, and with no others."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.calls import turn
from tests.support.processes import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed: run scripts/install-system"),
]

SECRET = "north"
USER = "01a20548-ce07-741b-b170-a7716c721970"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A coturn of these tests alone, on the loopback."""
    folder: Path = tmp_path_factory.mktemp("turn")
    number = free_port()
    options = [
        "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", str(number), "--use-auth-secret",
        "--static-auth-secret", SECRET, "--realm", "school", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers",
        "--log-file", "stdout", "--pidfile", str(folder / "pid"), "--userdb", str(folder / "users"),
    ]  # fmt: skip
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(["turnserver", "-n", *options], stdout=out, stderr=out, cwd=folder) as server:
        try:
            deadline = time.monotonic() + 15
            while not answers(number):
                assert server.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < deadline, log.read_text(errors="replace")
            yield number
        finally:
            server.kill()


def answers(port: int) -> bool:
    """Whether a STUN server answers a binding request (RFC 8489)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        client.connect(("127.0.0.1", port))
        with suppress(OSError):
            client.send(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"skillforge  "))
            return client.recv(100).startswith(b"\x01\x01")
    return False


def relay(port: int, username: str, credential: str) -> str:
    """What coturn's own client says of sending three messages through the relay."""
    command = ["turnutils_uclient", "-u", username, "-w", credential, "-p", str(port), "-y", "-n", "3", "-m", "1", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def test_data_are_relayed_with_our_credentials_alone(port: int) -> None:
    soon = int(time.time()) + turn.LIFE_SECONDS
    username, credential = turn.credentials(SECRET, USER, soon)
    assert "Total lost packets 0" in relay(port, username, credential)
    _, forged = turn.credentials("another secret", USER, soon)
    past = turn.credentials(SECRET, USER, soon - turn.LIFE_SECONDS - 60)
    for wrong in ((username, forged), (f"{soon + 3600}:{USER}", credential), past):
        assert "Total lost packets" not in relay(port, *wrong)
